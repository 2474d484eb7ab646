domus-order_paid-runner:
  runner.domus_work.order_paid:
  - args:
    - message_id: {{ data["message_id"] | json }}
    - order_id: {{ data["order_id"] | json }}
