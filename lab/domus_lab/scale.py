"""What our processes weigh in a running dom0, second by second."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from domus_lab.machine import LabMachine

#: Runs in dom0: each second the proportional set sizes of the units in which Domus, libvirt and Xen work.
_SCALE = """
import glob, json, re, sys, time
looks = int(sys.argv[1])
UNITS = ("salt-minion", "libvirtd", "virtlogd", "virtlockd", "xen", "xenstored", "xenconsoled", "domus-install-*")

def pss(pid):
    try:
        return int(re.search(r"^Pss:\\s+(\\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
    except (OSError, TypeError):
        return 0

def unit(name):
    folders = glob.glob(f"/sys/fs/cgroup/system.slice/{name}.service/**/cgroup.procs", recursive=True)
    return sum(pss(pid) for path in folders for pid in open(path).read().split())

while looks:
    memory = dict(re.findall(r"^(\\w+):\\s+(\\d+)", open("/proc/meminfo").read(), re.M))
    told = dict(re.findall(r"^(pswpin|pswpout|oom_kill) (\\d+)", open("/proc/vmstat").read(), re.M))
    try:
        weighed = {name.rstrip("-*"): unit(name) / 1024 for name in UNITS}
    except OSError:
        continue  # a unit ended meanwhile
    told = {name: int(count) for name, count in told.items()}
    looks -= 1
    print(json.dumps(weighed | told | {"available_mib": int(memory["MemAvailable"]) / 1024}), flush=True)
    time.sleep(1)
"""
_UNITS = (
    "salt-minion",
    "libvirtd",
    "virtlogd",
    "virtlockd",
    "xen",
    "xenstored",
    "xenconsoled",
    "domus-install",
)


_WITHOUT_END = 10**9


@dataclass
class Look:
    """What was seen in dom0, second by second."""

    looks: list[dict[str, float]] = field(default_factory=list)

    def weights_mib(self) -> list[float]:
        """Return the sums of all our processes."""
        return [sum(look[name] for name in _UNITS) for look in self.looks]

    def heaviest(self) -> dict[str, float]:
        """Return the look with the greatest sum."""
        return max(self.looks, key=lambda look: sum(look[name] for name in _UNITS))

    def grew_by(self, counter: str) -> float:
        """Return by how much a counter of the kernel grew."""
        return self.looks[-1][counter] - self.looks[0][counter]


def look_at(dom0: LabMachine, looks: int) -> Look:
    """Look at dom0 so many times."""
    said = dom0.run(["python3", "-c", _SCALE, str(looks)]).stdout
    return Look([json.loads(line) for line in said.splitlines()])


@contextmanager
def looking(dom0: LabMachine) -> Iterator[Look]:
    """Look at dom0 while the context lasts."""
    look = Look()
    argv = dom0.ssh.argv(["python3", "-u", "-c", _SCALE, str(_WITHOUT_END)])
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    try:
        look.looks.append(json.loads(process.stdout.readline()))
        yield look
    finally:
        process.terminate()
        # What it said meanwhile waits in the pipe.
        look.looks += [
            json.loads(line) for line in process.communicate()[0].splitlines() if line.endswith("}")
        ]
