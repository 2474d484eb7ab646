"""The dom0: what our processes weigh there, and a small one that makes and removes twenty VPSs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.harness import Result, absolute, benchmark
from bench.lab_house import SMALL_DOM0_MIB, LabHouse, lab_house
from domus_lab.scale import look_at, looking
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

#: The lab's dom0 has no swap: this one would be used if its memory did not suffice.
_ADD_SWAP = "fallocate -l 256M /swap && chmod 0600 /swap && mkswap /swap && swapon /swap"


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
    idle = look_at(house.world.dom0, IDLE_LOOKS)
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
