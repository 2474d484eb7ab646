domus-vps_changed-runner:
  runner.domus_work.vps_changed:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
