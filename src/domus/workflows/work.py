"""The Salt side of the house: what the engine and the runners ask, and (from `dom0_news`) what they bring back.

Nothing here trusts an event. It carries an id, and what is to be done is read from the database again. Every
function is one transaction and may be called any number of times.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing.models import Order, OrderState
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State
from domus.inventory.queries import lock_dom0
from domus.placement import addresses
from domus.provisioning import facts, jobs, outbox, runs
from domus.provisioning.models import Dom0Run
from domus.provisioning.outbox import ClaimedMessage
from domus.provisioning.runs import DueDom0, OpenRun, RunTicket
from domus.vps.models import Vps, VpsState
from domus.vps.states import PROVISIONING_LIMIT
from domus.workflows import orders
from domus.workflows.contracts import changing
from domus.workflows.dom0_news import (
    ADDRESS_QUARANTINE,
    dom0_started,
    is_genuine,
    record_jobs,
    record_power,
    record_report,
    record_run,
    run_goes_on,
)

__all__ = [
    "ADDRESS_QUARANTINE",
    "ClaimedMessage",
    "DueDom0",
    "OpenRun",
    "RunTicket",
    "begin_run",
    "claim_messages",
    "console_wanted",
    "contract_changed",
    "dom0_started",
    "due_dom0s",
    "fail_overdue",
    "is_genuine",
    "open_runs",
    "order_paid",
    "record_jobs",
    "record_power",
    "record_report",
    "record_run",
    "run_failed",
    "run_goes_on",
    "run_published",
    "tick",
    "vps_changed",
]

log = logging.getLogger(__name__)

OVERDUE = "took longer than two hours"


def claim_messages(
    db: Database, *, now: datetime, limit: int = 100, lease: timedelta = timedelta(seconds=30)
) -> list[ClaimedMessage]:
    """Take messages to fire. One whose outcome nobody records comes again when its lease is over."""
    with db.unit_of_work() as session:
        return outbox.claim(session, now=now, limit=limit, lease=lease)


def order_paid(db: Database, *, message_id: int, order_id: uuid.UUID, now: datetime) -> str | None:
    """Act on a payment: return the minion id of the dom0 where work is due, or None when there is none to do.

    The event is only a hint. Whether the order is paid stands in the database.
    """
    with db.unit_of_work() as session:
        order = session.get(Order, order_id)
        is_paid = order is not None and order.state in (OrderState.PAID, OrderState.FULFILLED)
        vps = session.scalar(sa.select(Vps).where(Vps.order_id == order_id)) if is_paid else None
        return _answer(session, message_id, outbox.ORDER_PAID, {"order_id": str(order_id)}, vps, now=now)


def vps_changed(
    db: Database, *, message_id: int, vps_id: uuid.UUID, now: datetime, tag: str = outbox.VPS_CHANGED
) -> str | None:
    """Act on a changed wish, as `order_paid` does. The tag, one of ``outbox.VPS_NEWS``, says what it changed for."""
    with db.unit_of_work() as session:
        vps = session.get(Vps, vps_id)
        return _answer(session, message_id, tag, {"vps_id": str(vps_id)}, vps, now=now)


def contract_changed(
    db: Database, *, tag: str, message_id: int, vps_id: uuid.UUID, now: datetime
) -> int | None:
    """Act on what became of a contract (``domus/renewal/paid`` and its like): return the number of the dom0 to run on."""
    if vps_changed(db, message_id=message_id, vps_id=vps_id, now=now, tag=tag) is None:
        return None
    with db.reading() as session:
        return session.scalar(sa.select(Vps.dom0_id).where(Vps.id == vps_id))


def console_wanted(
    db: Database, *, message_id: int, vps_id: uuid.UUID, now: datetime
) -> tuple[str, str] | None:
    """Return the minion id and the domU name whose console somebody looks at.

    None unless the message is ours.
    """
    with db.unit_of_work() as session:
        payload = {"vps_id": str(vps_id)}
        query = sa.select(Dom0.minion_id, Vps.name).join(Vps, Vps.dom0_id == Dom0.id).where(Vps.id == vps_id)
        found = session.execute(query).one_or_none()
        outcome = "asked the dom0" if found else "no such VPS"
        is_ours = outbox.finish(
            session, message_id, tag=outbox.CONSOLE_WANTED, payload=payload, outcome=outcome, now=now
        )
        return (found[0], found[1]) if is_ours and found else None


def due_dom0s(db: Database, *, now: datetime) -> list[DueDom0]:
    """Return the dom0s on which a run is to be begun; runs that were lost are ended first."""
    with db.unit_of_work() as session:
        runs.expire(session, now=now)
        return runs.due(session, now=now)


def open_runs(db: Database) -> list[OpenRun]:
    """Return the runs whose return has not come yet, for whoever asks their dom0s what became of them."""
    with db.reading() as session:
        return runs.open_runs(session)


def begin_run(
    db: Database,
    *,
    dom0_id: int | None = None,
    minion_id: str | None = None,
    now: datetime,
    lease: timedelta = runs.LEASE,
    force: bool = False,
) -> RunTicket | None:
    """Take the right to run on a dom0; None when it is not due, left alone, unknown, or a run is under way.

    A hundred events for one dom0 thus make one run. ``force`` runs where nothing is due, for an operator who
    asks.
    """
    with db.unit_of_work() as session:
        dom0 = lock_dom0(session, dom0_id=dom0_id, minion_id=minion_id)
        if dom0 is None or dom0.state not in runs.WORKING:
            return None
        if not force and not runs.due(session, now=now, dom0_id=dom0.id):
            return None
        return runs.begin(session, DueDom0(dom0.id, dom0.minion_id), now=now, lease=lease)


def run_published(db: Database, *, run_id: int, jid: str, now: datetime) -> None:
    """Note under which jid Salt carries the run out. Its return may have come before this note."""
    with db.unit_of_work() as session:
        nameless = (Dom0Run.id == run_id, Dom0Run.jid.is_(None))
        session.execute(sa.update(Dom0Run).where(*nameless).values(jid=jid))


def run_failed(db: Database, *, run_id: int, problem: str, now: datetime) -> None:
    """End a run that Salt could not start or that did not return; the next one waits longer each time."""
    with db.unit_of_work() as session:
        run = session.get(Dom0Run, run_id)
        if run is not None:
            runs.give_up(session, run, outcome=problem or "failed", problem=problem, now=now)


def fail_overdue(db: Database, *, now: datetime) -> int:
    """Give up installations that take too long; return how many.

    One that ends well later is handed over all the same.
    """
    overdue = sa.select(Vps.id).where(
        Vps.state == VpsState.PROVISIONING, Vps.state_since <= now - PROVISIONING_LIMIT
    )
    with db.reading() as session:
        vps_ids = session.scalars(overdue).all()
    failed = 0
    for vps_id in vps_ids:
        try:
            with db.unit_of_work() as session:
                facts.fail_provisioning(session, vps_id, OVERDUE, Actor.system("sweep"), now)
        except Conflict as error:
            log.info("VPS %s is not overdue any more: %s", vps_id, error)
        else:
            failed += 1
    return failed


def tick(db: Database, *, now: datetime) -> None:
    """Do what time alone makes due. Called every few seconds; what was missed is caught up with."""
    fail_overdue(db, now=now)
    orders.expire_unpaid(db, now=now)
    changing.expire(db, now=now)
    with db.unit_of_work() as session:
        addresses.end_quarantine(session, now=now)
        left_alone = sa.select(Dom0).where(Dom0.state.in_((Dom0State.MAINTENANCE, Dom0State.LOST)))
        for dom0 in session.scalars(left_alone).all():
            jobs.set_note(session, dom0.id, f"{dom0.minion_id} is in state {dom0.state.value}")


def _answer(
    session: Session, message_id: int, tag: str, payload: dict[str, str], vps: Vps | None, *, now: datetime
) -> str | None:
    """Record what became of a message, and return the dom0 to run on, if any."""
    dom0 = session.get_one(Dom0, vps.dom0_id) if vps is not None else None
    if vps is None or dom0 is None:
        minion_id, outcome = None, "nothing to do: not there, or not paid"
    elif dom0.state not in runs.WORKING:
        minion_id, outcome = None, f"{dom0.minion_id} is in state {dom0.state.value}; done when it is back"
    elif vps.revision == vps.applied_revision:
        minion_id, outcome = None, "nothing to do: what is wanted holds"
    else:
        minion_id, outcome = dom0.minion_id, f"a run on {dom0.minion_id}"
    if not outbox.finish(session, message_id, tag=tag, payload=payload, outcome=outcome, now=now):
        log.info("message %s (%s) is not an open message of ours", message_id, tag)
    return minion_id
