# Every minion with the pillar `domus` is a dom0. The pillar is made by the master for that minion
# alone, so no minion can make a dom0 of itself.
base:
  'domus:schema_version:*':
    - match: pillar
    - dom0
    - vps
