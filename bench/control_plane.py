"""The way from a payment to the hypervisor, the master's memory, and what a killed master loses."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import salt.config
import salt.utils.event
import sqlalchemy as sa
import yaml

from bench.dom0_side import fresh_target
from bench.harness import Result, absolute, benchmark, compare, seconds
from bench.house import LIMIT_SECONDS, House, house, running_stack
from bench.memory import group_pss_mib
from domus.provisioning.models import Dom0Run
from domus.vps.models import Vps
from domus_stack import Stack
from domus_stack.files import write_file
from domus_stack.waiting import wait_until

SAMPLES_PER_ROUND = 4
EVENTS = 100
ORDERS = 20
QUIET_SECONDS = 5.0
COMMAND = "make bench ONLY=control-plane"
_REACTION = """note:
  runner.bench_note.note:
  - args:
    - folder: {{ data["folder"] | json }}
    - number: {{ data["number"] | json }}
"""
_RUNNER = '''"""Leaves a file for each event that was acted on."""

from pathlib import Path


def note(folder, number):
    """Leave the file."""
    Path(folder, str(number)).touch()
'''


@benchmark("control-plane")
def control_plane(rounds: int) -> Iterator[Result]:
    """Measure one order at a time, then the memory, then the loss."""
    with house(1) as ours:
        _order(ours)  # The first one pays for imports.
        yield from _latency(ours, rounds * SAMPLES_PER_ROUND)
        pss = group_pss_mib(ours.stack.master.pid)
        lost = _lost_orders(ours)
    with fresh_target() as folder:
        bare_pss, lost_events = _bare_master(folder, rounds * SAMPLES_PER_ROUND)
    yield compare(
        "master's memory (PSS)",
        "MiB",
        [pss],
        peer="bare Salt master",
        theirs=[bare_pss],
        at_most=1.2,
        command=COMMAND,
    )
    yield Result(
        name=f"lost of {ORDERS} orders paid just before kill -9 of the master", value=lost, unit="orders", limit="0",
        holds=lost == 0, command=COMMAND, peer=f"plain reactor events, of {EVENTS}", peer_value=lost_events,
    )  # fmt: skip


def _latency(ours: House, samples: int) -> Iterator[Result]:
    """Yield P2: payments and bare state runs take turns on the same minion."""
    to_start: list[float] = []
    to_run: list[float] = []
    bare: list[float] = []
    for _ in range(samples):
        started, ran = _order(ours)
        to_start.append(started)
        to_run.append(ran)
        bare.append(seconds(lambda: _bare_state(ours.stack, ours.dom0s[0])))
    yield compare(
        "P2 payment accepted > hypervisor told to start", "s", to_start, peer="bare LocalClient state", theirs=bare,
        at_most=3, command=COMMAND,
    )  # fmt: skip
    p95 = statistics.quantiles(to_start, n=20)[-1]
    yield absolute(
        "P2 payment accepted > hypervisor told to start, p95", "s", [p95], at_most=1.0, command=COMMAND
    )
    yield compare(
        "payment accepted > state run on the dom0 recorded", "s", to_run, peer="bare LocalClient state", theirs=bare,
        command=COMMAND,
    )  # fmt: skip


def _order(ours: House) -> tuple[float, float]:
    """Bring one order about; return the seconds from its payment to the start, and to the end of the first run."""
    order_id = ours.shop.place()
    with ours.shop.db.reading() as session:
        vps_id = session.scalars(sa.select(Vps.id).where(Vps.order_id == order_id)).one()
        last_run = session.scalar(sa.select(sa.func.max(Dom0Run.id))) or 0
    ours.shop.pay(order_id)
    paid_at = time.time()
    ours.wait_until_active([order_id])
    _wait_until_quiet(ours)
    domu = ours.stack.minion_folder(ours.dom0s[0]) / "state" / "simulated" / "domus" / f"{vps_id}.json"
    started_at = float(json.loads(domu.read_text(encoding="utf-8"))["started_at"])
    with ours.shop.db.reading() as session:
        run = session.scalars(sa.select(Dom0Run).where(Dom0Run.id > last_run).order_by(Dom0Run.id)).first()
    if run is None or run.ended_at is None:
        raise RuntimeError(f"no run was recorded for the order {order_id}")
    return started_at - paid_at, run.ended_at.timestamp() - paid_at


def _wait_until_quiet(ours: House) -> None:
    """Wait until nothing is under way, so that the next measure begins on an idle dom0."""
    ours.stack.wait_for_dom0(ours.dom0s[0], LIMIT_SECONDS)


def _bare_state(stack: Stack, minion_id: str) -> None:
    returned = stack.salt.call(minion_id, "state.single", "test.succeed_without_changes", name="bench")
    if not isinstance(returned, dict):
        raise TypeError(f"the bare state run did not take place: {returned}")


def _lost_orders(ours: House) -> int:
    """Pay orders, kill the master at once, start it again, and return how many orders never became VPSs."""
    order_ids = [ours.shop.place() for _ in range(ORDERS)]
    for order_id in order_ids:
        ours.shop.pay(order_id)
    ours.stack.master.kill()
    ours.stack.salt.close()
    ours.stack.start_master()
    try:
        ours.wait_until_active(order_ids)
    except RuntimeError:
        return ORDERS - sum(
            number for state, number in ours.shop.states(order_ids).items() if state == "active"
        )
    return 0


def _bare_master(folder: Path, orders: int) -> tuple[float, int]:
    """Return a bare master's memory after as much of Salt's work, and how many of its events a kill -9 lost.

    Ours has sent its minion the modules and for each order acted on an event and made at least two state runs.
    """
    with running_stack(folder / "bare", domus_doors=False) as stack:
        _add_reaction(stack, folder)
        stack.master.stop()
        stack.start_master()
        stack.add_minion("bare")
        stack.wait_for_minion("bare", LIMIT_SECONDS)
        stack.salt.call("bare", "saltutil.sync_all")
        for done in range(orders):
            _fire(stack, folder, [uuid.uuid4().hex])
            wait_until(lambda: _noted(folder) > done, "the reaction to an event", LIMIT_SECONDS)  # noqa: B023 - called here
            for _ in range(2):
                _bare_state(stack, "bare")
        pss = group_pss_mib(stack.master.pid)
        before = _noted(folder)
        _fire(stack, folder, [str(number) for number in range(EVENTS)])
        stack.master.kill()
        stack.salt.close()
        stack.start_master()
        stack.wait_for_minion("bare", LIMIT_SECONDS)
        return pss, EVENTS - (_settled(folder) - before)


def _add_reaction(stack: Stack, folder: Path) -> None:
    """Give the bare master a reactor with one reaction, which leaves a file for each event."""
    for name, text in (("reaction.sls", _REACTION), ("runners/bench_note.py", _RUNNER)):
        write_file(folder / "code" / name, text)
    (folder / "noted").mkdir()
    path = stack.master_config_dir / "master"
    options = yaml.safe_load(path.read_text(encoding="utf-8"))
    options["reactor"] = [{"bench/note": [str(folder / "code" / "reaction.sls")]}]
    options["runner_dirs"] = [str(folder / "code" / "runners")]
    write_file(path, yaml.safe_dump(options))


def _fire(stack: Stack, folder: Path, numbers: list[str]) -> None:
    options = salt.config.client_config(str(stack.master_config_dir / "master"))
    with salt.utils.event.get_master_event(options, options["sock_dir"], listen=False) as bus:
        for number in numbers:
            if not bus.fire_event({"folder": str(folder / "noted"), "number": number}, "bench/note"):
                raise RuntimeError("the bus took no event")


def _noted(folder: Path) -> int:
    return sum(1 for _ in (folder / "noted").iterdir())


def _settled(folder: Path) -> int:
    """Return how many events were acted on, once no more are for a while."""
    count, since = _noted(folder), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        time.sleep(0.1)
        if _noted(folder) != count:
            count, since = _noted(folder), time.monotonic()
    return count
