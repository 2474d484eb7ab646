domus-console_wanted-runner:
  runner.domus_work.console_wanted:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
