"""P5: a hundred orders at once over ten simulated dom0s, beside Ganeti with its fake hypervisor."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.harness import LeftOut, Result, absolute, benchmark, compare
from bench.house import House, house
from bench.peers.ganeti import instances_per_second

ORDERS = 100
DOM0S = 10
ROUNDS = 3
COMMAND = "make bench ONLY=burst"
PEER = "Ganeti, fake hypervisor"


@benchmark("burst")
def burst(rounds: int) -> Iterator[Result]:
    """Pay a hundred orders at once; ours and Ganeti's take turns, each time on an empty cluster."""
    with_forms: list[float] = []
    paid: list[float] = []
    peer: list[float] = []
    lost = 0
    left_out = ""
    for _ in range(min(rounds, ROUNDS)):
        with house(DOM0S) as ours:
            placing, making = _seconds(ours)
            with_forms.append(ORDERS / (placing + making))
            paid.append(ORDERS / making)
            lost += ORDERS - ours.domus_running()
        try:
            peer.append(instances_per_second(ORDERS))
        except LeftOut as reason:
            left_out = str(reason)
    yield absolute("P5 orders lost in the burst", "orders", [float(lost)], at_most=0, command=COMMAND)
    if left_out:
        yield absolute("P5 burst, from payment to running", "VPSs/s", paid, command=COMMAND)
        raise LeftOut(left_out)
    yield compare(
        "P5 burst, from payment to running",
        "VPSs/s",
        paid,
        peer=PEER,
        theirs=peer,
        at_least=5,
        command=COMMAND,
    )
    yield compare(
        "P5 burst, from the order form to running",
        "VPSs/s",
        with_forms,
        peer=PEER,
        theirs=peer,
        command=COMMAND,
    )


def _seconds(ours: House) -> tuple[float, float]:
    """Return how long placing all orders took, and how long it was from the first payment to the last running VPS."""
    start = time.perf_counter()
    order_ids = [ours.shop.place() for _ in range(ORDERS)]
    placed = time.perf_counter()
    for order_id in order_ids:
        ours.shop.pay(order_id)
    ours.wait_until_active(order_ids)
    return placed - start, time.perf_counter() - placed
