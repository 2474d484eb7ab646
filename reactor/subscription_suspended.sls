domus-subscription_suspended-runner:
  runner.domus_contract.subscription_suspended:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
