"""Figures of a running dom0: which Xen, how much memory, what our processes take of it."""

import re
from dataclasses import asdict, dataclass

from domus_lab.errors import LabError

OUR_PROCESSES = ("salt-minion", "libvirtd", "oxenstored", "xenconsoled", "virtlogd", "virtlockd")


@dataclass(frozen=True)
class LabFacts:
    """What was measured in one dom0."""

    xen_version: str
    kernel: str
    dom0_memory_mib: int
    dom0_available_mib: int
    process_pss_mib: dict[str, float]
    boot_seconds: float | None

    def as_dict(self) -> dict[str, object]:
        """Return the facts as JSON-safe data."""
        return asdict(self)


def parse_xl_info(text: str) -> dict[str, str]:
    """Return `xl info` as a map."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def parse_meminfo(text: str) -> dict[str, int]:
    """Return /proc/meminfo as a map of MiB."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(kib) // 1024 for name, kib in found}


def parse_xl_memory(text: str) -> int:
    """Return the memory of domain 0 in MiB out of `xl list 0`."""
    for line in text.splitlines():
        match = re.match(r"Domain-0\s+0\s+(\d+)\s", line)
        if match:
            return int(match[1])
    raise LabError(f"xl list 0 does not show Domain-0: {text!r}")


def parse_pss(text: str) -> dict[str, float]:
    """Return MiB of our processes by name out of lines `command line<TAB>Pss in KiB`."""
    totals: dict[str, float] = {}
    for line in text.splitlines():
        command, _, kib = line.rpartition("\t")
        for name in OUR_PROCESSES:
            if re.search(rf"(^|/){re.escape(name)}( |$)", command):
                totals[name] = round(totals.get(name, 0.0) + int(kib) / 1024, 1)
                break
    return totals


# Runs in dom0. A process that ends meanwhile is none of ours.
PSS_SCRIPT = """
import glob, re
for status in glob.glob("/proc/[0-9]*/smaps_rollup"):
    folder = status.rpartition("/")[0]
    try:
        command = open(folder + "/cmdline").read().replace("\\0", " ")
        pss = re.search(r"^Pss:\\s+(\\d+)", open(status).read(), re.M)
    except (OSError, UnicodeDecodeError):
        continue
    if command and pss:
        print(command.strip() + "\\t" + pss[1])
"""
