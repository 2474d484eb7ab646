"""Figures read from recorded output of a dom0 (Xen 4.17.7, Debian 12)."""

import pytest

from domus_lab import facts
from domus_lab.errors import LabError

XL_INFO = """host                   : dom0-lab
release                : 6.1.0-56-amd64
xen_caps               : xen-3.0-x86_64
cc_compile_date        : Fri Jun 26 12:00:00 UTC 2026
xen_version            : 4.17.7
"""
XL_LIST = """Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0  1024     1     r-----      70.5
"""
MEMINFO = "MemTotal:         900000 kB\nMemAvailable:     809472 kB\nHugePages_Total:       0\n"
PSS = (
    "/usr/sbin/libvirtd --timeout 120\t21094\n"
    "/opt/salt/bin/python3 /opt/salt/bin/salt-minion\t60000\n"
    "/opt/salt/bin/python3 /opt/salt/bin/salt-minion MultiMinionProcessManager\t10240\n"
    "vi /etc/libvirtd.conf\t4000\n"
)


def test_the_version_of_xen_is_read_although_values_hold_colons() -> None:
    info = facts.parse_xl_info(XL_INFO)
    assert info["xen_version"] == "4.17.7"
    assert info["cc_compile_date"] == "Fri Jun 26 12:00:00 UTC 2026"


def test_memory_is_told_in_mib() -> None:
    assert facts.parse_meminfo(MEMINFO) == {"MemTotal": 878, "MemAvailable": 790}


def test_the_memory_of_dom0_is_its_line_in_the_list() -> None:
    assert facts.parse_xl_memory(XL_LIST) == 1024


def test_a_list_without_dom0_is_an_error() -> None:
    with pytest.raises(LabError, match="does not show Domain-0"):
        facts.parse_xl_memory("Name ID Mem VCPUs State Time(s)\n")


def test_memory_of_processes_adds_up_by_name_and_leaves_others_out() -> None:
    assert facts.parse_pss(PSS) == {"libvirtd": 20.6, "salt-minion": 68.6}
