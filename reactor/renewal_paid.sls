domus-renewal_paid-runner:
  runner.domus_contract.renewal_paid:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - vps_id: {{ data["vps_id"] | json }}
