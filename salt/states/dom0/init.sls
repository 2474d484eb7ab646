#!py
"""Makes a working dom0 of a bare Debian 12; the states are made by dom0.host_states."""


def run():
    return __salt__["dom0.host_states"]()
