"""What runs by itself: the nightly renewal run, the gateways' work, the bank's statements; and what keeps them from it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import partial

from domus.core.errors import DomusError
from domus.gateways.models import LineState
from domus.simulation.bank import IBAN
from domus.simulation.clock import nightly
from domus.simulation.moods import after_failures, decide_later
from domus.simulation.people import Letterbox
from domus.simulation.setting import OPERATOR
from domus.simulation.world import World
from domus.workflows import housekeeping
from domus.workflows.payments import bank, comparing
from domus.workflows.payments import events as payments_events
from domus.workflows.renewals import running

#: In the hour that spring leaves out and autumn has twice.
AT = time(2, 30)
LONGEST_OUTAGE_DAYS = 5


def set_timers(world: World) -> None:
    """Put all that comes by itself on the agenda."""
    days = (world.plan.rest_ends - world.plan.begin).days
    away = _outages(world)
    letters = Letterbox(world)
    for moment in nightly(world.plan.start, days, AT):
        if moment < world.plan.begin:
            continue
        if any(first <= moment < last for first, last in away):
            world.counts["cron_nights_missed"] += 1
            continue
        world.agenda.at(moment, partial(_night, world, letters))
    for number in range(days):
        morning = world.plan.begin + timedelta(days=number, hours=9)
        world.agenda.at(morning, partial(_morning, world))
        world.agenda.at(morning + timedelta(hours=8), partial(_work, world))
        for hour in range(0, 24, 6):
            world.agenda.at(
                world.plan.begin + timedelta(days=number, hours=hour, minutes=30), world.fleet.tick
            )
    _set_dom0_outages(world)
    _set_gateway_outages(world)


def _outages(world: World) -> list[tuple[datetime, datetime]]:
    """Return when the machine with the timers is off: every seven weeks or so, for up to five days."""
    chances = world.stream("cron-outages")
    found: list[tuple[datetime, datetime]] = []
    moment = world.plan.begin + timedelta(days=chances.uniform(5, 60))
    while True:
        last = moment + timedelta(days=chances.uniform(0.5, LONGEST_OUTAGE_DAYS))
        if last >= world.plan.end:
            return found
        found.append((moment, last))
        world.counts["cron_outages"] += 1
        moment = last + timedelta(days=chances.uniform(20, 80))


def _night(world: World, letters: Letterbox) -> None:
    """Renew what is due; now and then twice at once, which has to do the work once."""
    now = world.now
    report = running.run(world.db, gateways=world.gateways, now=now)
    world.runs.append(now)
    for name, count in report.counts().items():
        world.counts[f"run_{name}"] += count
    world.faults += [fault.text for fault in report.faults]
    if world.stream("again", now.isoformat()).random() < 0.1:
        again = running.run(world.db, gateways=world.gateways, now=now)
        if not again.did_nothing:
            world.repeated_work.append(f"{now:%Y-%m-%d}: {again.counts()}")
    world.fleet.wake_soon()
    letters.read()
    decide_later(world)
    _work(world)
    if now.weekday() == 6:
        world.counts["compared_and_missing"] += len(
            comparing.compare(world.db, world.gateways, since=now - timedelta(days=10), now=now)
        )
        housekeeping.clean_up(world.db, now=now)
        world.fleet.wake_soon()


def _work(world: World) -> None:
    done = payments_events.work(world.db, world.gateways, now=world.now, limit=1000)
    world.counts["work_failed"] += done.failed
    after_failures(world)
    world.fleet.wake_soon()


def _morning(world: World) -> None:
    """Read the bank's statement on working days, sometimes twice, and assign what names no invoice."""
    today = world.now.date()
    chances = world.stream("morning", today)
    world.fleet.wake_soon()
    if today.weekday() >= 5:
        return
    data = world.bank.statement(today)
    copies = (1 if chances.random() < 0.9 else 2) if data else 0
    for _ in range(copies):
        done = bank.import_statement(
            world.db, data, file_name=f"{today}.csv", own_iban=IBAN, actor=OPERATOR, now=world.now
        )
        world.counts["statements_read"] += 1
        world.counts["transfers_unmatched"] += done.unmatched
    for transfer in world.bank.transfers.values():
        if data and today - transfer.arrives <= timedelta(days=6):
            world.note_move(transfer.account_id, transfer.currency)
    if today.weekday() in (1, 4):
        _assign(world)


def _assign(world: World) -> None:
    """Assign what named no invoice: to the invoice that was meant, or to whoever sent it."""
    for line in bank.lines(world.db, state=LineState.UNMATCHED, actor=OPERATOR):
        transfer = world.bank.transfers[line.bank_reference]
        world.note_move(transfer.account_id, transfer.currency)
        named = world.stream("assign", transfer.reference).random() < 0.7
        try:
            bank.assign(
                world.db, line_id=line.id, invoice_id=transfer.invoice_id if named else None,
                account_id=None if named else transfer.account_id, reason="asked them", actor=OPERATOR, now=world.now,
            )  # fmt: skip
        except DomusError as error:
            world.refusals[f"assigning: {type(error).__name__}"] += 1


def _set_dom0_outages(world: World) -> None:
    """Let each dom0 be away now and then, for hours or days."""
    for minion, machine in world.fleet.machines.items():
        chances = world.stream("dom0-outages", minion)
        moment = world.plan.begin + timedelta(days=chances.uniform(10, 200))
        while moment < world.plan.end - timedelta(days=4):
            until = moment + timedelta(hours=chances.choice((1, 3, 8, 30, 70)))
            world.agenda.at(moment, partial(_leave, world, machine.minion_id, until))
            moment = until + timedelta(days=chances.uniform(60, 300))


def _leave(world: World, minion: str, until: datetime) -> None:
    world.fleet.machines[minion].leave(world.now, until)
    world.counts["dom0_outages"] += 1
    world.agenda.at(until, partial(world.fleet.come_back, minion))


def _set_gateway_outages(world: World) -> None:
    for gateway in (world.cards, world.wallet):
        chances = world.stream("gateway-outages", gateway.name)
        moment = world.plan.begin + timedelta(days=chances.uniform(10, 90))
        while moment < world.plan.end - timedelta(days=4):
            until = moment + timedelta(hours=chances.choice((1, 6, 30)))
            world.agenda.at(moment, partial(setattr, gateway, "is_down", True))
            world.agenda.at(until, partial(setattr, gateway, "is_down", False))
            moment = until + timedelta(days=chances.uniform(40, 150))
