#!py
"""All VPSs of this dom0, as its pillar wants them; the states are made by dom0.vps_states."""


def run():
    return __salt__["dom0.vps_states"]()
