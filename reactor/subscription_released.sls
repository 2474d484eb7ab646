domus-subscription_released-runner:
  runner.domus_contract.subscription_released:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
