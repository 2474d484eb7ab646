"""The dom0: what our processes weigh there, and a small one that makes and removes twenty VPSs."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.harness import Result, absolute, benchmark
from bench.lab_house import SMALL_DOM0_MIB, LabHouse, lab_house
from domus_lab import LabMachine
from domus_lab.world import IMAGE

COMMAND = "make bench ONLY=lab-dom0"
VPSS = 20
IDLE_LOOKS = 30
IDLE_LIMIT_MIB, PEAK_LIMIT_MIB = 90, 130
PRODUCT = "Tiny VPS"
#: Twenty of them fit into what a machine of 4 GiB has beside its dom0.
_CATALOGUE = f"""
products:
  - name: {PRODUCT}
    memory_mib: 128
    disk_mib: 2048
    swap_mib: 64
    prices: [{{period: "0000-01-00", currency: USD, amount: "1"}}]
"""
_CAPACITY = {"memory_capacity_mib": 3072, "disk_capacity_mib": 65536, "vcpus_capacity": 64}

#: Runs in dom0: each second the proportional set sizes of the units in which Domus, libvirt and Xen work.
_SCALE = """
import glob, json, re, time
UNITS = ("salt-minion", "libvirtd", "virtlogd", "virtlockd", "xen", "xenstored", "xenconsoled", "domus-install-*")

def pss(pid):
    try:
        return int(re.search(r"^Pss:\\s+(\\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
    except (OSError, TypeError):
        return 0

def unit(name):
    folders = glob.glob(f"/sys/fs/cgroup/system.slice/{name}.service/**/cgroup.procs", recursive=True)
    return sum(pss(pid) for path in folders for pid in open(path).read().split())

while True:
    memory = dict(re.findall(r"^(\\w+):\\s+(\\d+)", open("/proc/meminfo").read(), re.M))
    told = dict(re.findall(r"^(pswpin|pswpout|oom_kill) (\\d+)", open("/proc/vmstat").read(), re.M))
    try:
        weighed = {name.rstrip("-*"): unit(name) / 1024 for name in UNITS}
    except OSError:
        continue  # a unit ended meanwhile
    told = {name: int(count) for name, count in told.items()}
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
#: The lab's dom0 has no swap: this one would be used if its memory did not suffice.
_ADD_SWAP = "fallocate -l 256M /swap && chmod 0600 /swap && mkswap /swap && swapon /swap"


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


@contextmanager
def looking(dom0: LabMachine) -> Iterator[Look]:
    """Look at dom0 while the context lasts."""
    look = Look()
    argv = dom0.ssh.argv(["python3", "-u", "-c", _SCALE])
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


@benchmark("lab-dom0")
def lab_dom0(rounds: int) -> Iterator[Result]:
    """Weigh our processes idle and during an order; then twenty VPSs at once on a dom0 of 384 MiB."""
    with lab_house(
        product=PRODUCT, catalogue=_CATALOGUE, dom0_changes=_CAPACITY,
        storage_backend="lvm_thin", dom0_mem_mib=SMALL_DOM0_MIB,
    ) as house:  # fmt: skip
        house.world.dom0.run(["sh", "-c", _ADD_SWAP])
        yield from _weights(house)
        yield from _many(house)


def _weights(house: LabHouse) -> Iterator[Result]:
    house.world.converge()
    with looking(house.world.dom0) as idle:
        time.sleep(IDLE_LOOKS)
    weights = idle.weights_mib()
    yield absolute("dom0's processes, idle (PSS)", "MiB", weights, at_most=IDLE_LIMIT_MIB, command=COMMAND)
    with looking(house.world.dom0) as busy:
        house.seconds_paid_to_ssh(IMAGE)
    peak = max(busy.weights_mib())
    yield absolute(
        "dom0's processes, peak of an order (PSS)", "MiB", [peak], at_most=PEAK_LIMIT_MIB, command=COMMAND
    )
    print(f"idle: {idle.heaviest()}\nat the peak of an order: {busy.heaviest()}", flush=True)


def _many(house: LabHouse) -> Iterator[Result]:
    """All are paid at once, and all are removed at once when they run."""
    with looking(house.world.dom0) as look:
        order_ids = [house.place(IMAGE) for _ in range(VPSS)]
        started = time.monotonic()
        for order_id in order_ids:
            house.customer.pay(order_id)
        for order_id in order_ids:
            house.wait_until_active(order_id)
        made = time.monotonic() - started
        house.remove(order_ids)
        removed = time.monotonic() - started - made
    name = f"dom0 of {SMALL_DOM0_MIB} MiB, {VPSS} VPSs"
    yield absolute(f"{name} paid at once > the last runs", "s", [made], command=COMMAND)
    yield absolute(f"{name} removed at once > the last is gone", "s", [removed], command=COMMAND)
    yield absolute(
        f"{name}: pages swapped out", "pages", [look.grew_by("pswpout")], at_most=0, command=COMMAND
    )
    yield absolute(
        f"{name}: processes killed for memory", "", [look.grew_by("oom_kill")], at_most=0, command=COMMAND
    )
    peak, least = max(look.weights_mib()), min(each["available_mib"] for each in look.looks)
    yield absolute(
        f"{name}: dom0's processes, peak (PSS)", "MiB", [peak], at_most=PEAK_LIMIT_MIB, command=COMMAND
    )
    yield absolute(f"{name}: least memory available", "MiB", [least], command=COMMAND)
    print(f"median: {statistics.median(look.weights_mib())}, at the peak: {look.heaviest()}", flush=True)
