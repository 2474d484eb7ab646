domus-minion_start-runner:
  runner.domus_work.minion_started:
  - args:
    - minion_id: {{ data["id"] | json }}
