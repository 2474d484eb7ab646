domus-subscription_changed-runner:
  runner.domus_contract.subscription_changed:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
