domus-subscription_ended-runner:
  runner.domus_contract.subscription_ended:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
