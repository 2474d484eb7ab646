domus-dom0_due-runner:
  runner.domus_work.dom0_due:
  - args:
    - dom0_id: {{ data["dom0_id"] | json }}
