"""State runs on dom0s: which dom0 is due, and the run that is under way there, at most one."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.core.clock import iso_z
from domus.db.rows import changed_rows
from domus.inventory.models import Dom0, Dom0State
from domus.provisioning import jobs
from domus.provisioning.models import Dom0Run
from domus.vps.models import Vps, VpsState

log = logging.getLogger(__name__)

#: A run that did not come back is tried again after 5 s, 10 s, 20 s ... and never later than this.
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)

#: How soon to look again at what is under way, such as a guest that shuts down.
LOOK_AGAIN = timedelta(seconds=10)
#: The same for an installation, whose end a beacon tells, and for what went wrong and may do so every time.
LOOK_AGAIN_LATER = timedelta(minutes=1)
#: So long a run may be silent, and so long it may take in all.
LEASE = timedelta(minutes=5)
LONGEST_RUN = timedelta(hours=6)
#: A run younger than this is not taken for lost because its minion is said to have started.
JUST_BEGUN = timedelta(seconds=3)
#: A dom0 may ask to be left in peace, but not for longer than this.
FARTHEST_HINT = timedelta(days=1)

#: On these dom0s Domus starts runs.
WORKING = (Dom0State.ACTIVE, Dom0State.DRAINING)


@dataclass(frozen=True, slots=True)
class DueDom0:
    """A dom0 on which something is to be done."""

    dom0_id: int
    minion_id: str


@dataclass(frozen=True, slots=True)
class RunTicket:
    """The right to start one run on one dom0; to be published, or given back as failed."""

    run_id: int
    dom0_id: int
    minion_id: str


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose return has not come yet."""

    run_id: int
    minion_id: str
    jid: str | None
    started_at: datetime


def open_runs(session: Session) -> list[OpenRun]:
    """Return the runs that are under way."""
    query = (
        sa.select(Dom0Run.id, Dom0.minion_id, Dom0Run.jid, Dom0Run.started_at)
        .join(Dom0, Dom0.id == Dom0Run.dom0_id)
        .where(Dom0Run.ended_at.is_(None))
        .order_by(Dom0Run.id)
    )
    return [OpenRun(*row) for row in session.execute(query)]


def due(session: Session, *, now: datetime, dom0_id: int | None = None) -> list[DueDom0]:
    """Return the dom0s that are due (or the one given, if it is).

    Due is what has a VPS whose newest revision no run was begun for, and what was to be looked at again by
    now. While runs do not come back only the latter counts, so that new wishes do not undo the growing wait.
    """
    news = sa.exists().where(Vps.dom0_id == Dom0.id, Vps.revision > Vps.offered_revision)
    open_run = sa.exists().where(Dom0Run.dom0_id == Dom0.id, Dom0Run.ended_at.is_(None))
    query = (
        sa.select(Dom0.id, Dom0.minion_id)
        .where(
            Dom0.state.in_(WORKING),
            sa.or_(Dom0.next_run_at <= now, sa.and_(Dom0.failed_runs == 0, news)),
            ~open_run,
        )
        .order_by(Dom0.next_run_at.is_(None), Dom0.next_run_at, Dom0.id)
    )
    if dom0_id is not None:
        query = query.where(Dom0.id == dom0_id)
    return [DueDom0(*row) for row in session.execute(query)]


def begin(session: Session, dom0: DueDom0, *, now: datetime, lease: timedelta) -> RunTicket | None:
    """Open a run; None when another one is open, which a unique index decides."""
    run = Dom0Run(dom0_id=dom0.dom0_id, started_at=now, lease_until=now + lease)
    try:
        with session.begin_nested():
            session.add(run)
            session.flush()
    except sa.exc.IntegrityError:
        return None
    # What becomes wanted from here on may be too late for this run's pillar, and makes the dom0 due again.
    session.execute(
        sa.update(Vps)
        .where(Vps.dom0_id == dom0.dom0_id, Vps.revision > Vps.offered_revision)
        .values(offered_revision=Vps.revision),
        execution_options={"synchronize_session": False},
    )
    session.execute(sa.update(Dom0).where(Dom0.id == dom0.dom0_id).values(next_run_at=None))
    jobs.begin_waiting(session, dom0.dom0_id, now=now)
    return RunTicket(run.id, dom0.dom0_id, dom0.minion_id)


def find(session: Session, dom0_id: int, jid: str) -> Dom0Run | None:
    """Return the open run that a return with this jid belongs to.

    A return can overtake the note of its own jid; a jid that no run knows then belongs to the run that has
    none yet.
    """
    known = session.scalar(sa.select(Dom0Run).where(Dom0Run.jid == jid))
    if known is not None:
        return known if known.dom0_id == dom0_id and known.ended_at is None else None
    nameless = sa.select(Dom0Run).where(
        Dom0Run.dom0_id == dom0_id, Dom0Run.ended_at.is_(None), Dom0Run.jid.is_(None)
    )
    return session.scalar(nameless)


def end(session: Session, run: Dom0Run, *, outcome: str, now: datetime, jid: str | None = None) -> bool:
    """End an open run; False when it had ended already."""
    values = {"ended_at": now, "outcome": outcome[:1000]} | ({"jid": jid} if jid else {})
    is_open = (Dom0Run.id == run.id, Dom0Run.ended_at.is_(None))
    return bool(changed_rows(session, sa.update(Dom0Run).where(*is_open).values(**values)))


def is_running_out(session: Session, *, minion_id: str, jid: str, now: datetime) -> bool:
    """Tell whether an open run of a dom0 has used up half of its lease, and may have more."""
    query = sa.select(Dom0Run.id).join(Dom0, Dom0.id == Dom0Run.dom0_id)
    is_open = (Dom0.minion_id == minion_id, Dom0Run.jid == jid, Dom0Run.ended_at.is_(None))
    is_short = (Dom0Run.lease_until < now + LEASE / 2, Dom0Run.started_at > now - LONGEST_RUN)
    return session.scalar(query.where(*is_open, *is_short)) is not None


def extend(session: Session, jid: str, *, now: datetime) -> None:
    """Let the lease of an open run begin anew."""
    which = (Dom0Run.jid == jid, Dom0Run.ended_at.is_(None))
    session.execute(sa.update(Dom0Run).where(*which).values(lease_until=now + LEASE))


def expire(session: Session, *, now: datetime) -> int:
    """End the runs whose lease is over as lost, each with its dom0's back-off; return how many."""
    lost = sa.select(Dom0Run).where(Dom0Run.ended_at.is_(None), Dom0Run.lease_until <= now)
    ended = 0
    for run in session.scalars(lost.order_by(Dom0Run.dom0_id)).all():
        if give_up(session, run, outcome="lost", problem="The last state run did not come back.", now=now):
            log.warning("run %s on dom0 %s is lost: no return until %s", run.id, run.dom0_id, run.lease_until)
            ended += 1
    return ended


def give_up(session: Session, run: Dom0Run, *, outcome: str, problem: str, now: datetime) -> bool:
    """End an open run as failed and let its dom0 wait; False when it had ended already."""
    # The dom0 is locked before its run, as by the return that may come at this moment.
    session.get_one(Dom0, run.dom0_id, with_for_update={"key_share": True})
    if not end(session, run, outcome=outcome, now=now):
        return False
    back_off(session, run.dom0_id, problem=problem, now=now)
    return True


def back_off(session: Session, dom0_id: int, *, problem: str, now: datetime) -> None:
    """Count a run that failed, wait longer before the next one, and say so on every job that waits for it."""
    dom0 = session.get_one(Dom0, dom0_id, populate_existing=True, with_for_update={"key_share": True})
    wait = min(FIRST_WAIT * 2 ** min(dom0.failed_runs, 10), LONGEST_WAIT)
    dom0.failed_runs += 1
    dom0.next_run_at = now + wait
    dom0.problem = problem[:1000]
    heard = f"last heard of at {iso_z(dom0.seen_at)}" if dom0.seen_at else "never heard of"
    jobs.set_note(
        session, dom0_id, f"{dom0.minion_id} does not answer ({heard}); it is called again and again"
    )


def settle_down(
    session: Session, dom0: Dom0, *, problem: str, hints: Mapping[uuid.UUID, datetime], now: datetime
) -> None:
    """After a run that came back: forget failures, and set when to look again.

    ``problem`` is what the dom0 says of itself as a whole; ``hints`` are its own words on when another look is worth
    it, for VPSs that it is at work on by itself.
    """
    dom0.failed_runs = 0
    dom0.problem = problem
    # The run cleared next_run_at when it began: what stands there was asked for while it ran, and it may have
    # missed it.
    moments = (dom0.next_run_at, _look_again_at(session, dom0.id, hints=hints, now=now))
    dom0.next_run_at = min((moment for moment in moments if moment is not None), default=None)


def call_soon(session: Session, dom0_id: int, *, at: datetime) -> None:
    """Have the dom0 looked at no later than at that moment."""
    session.execute(
        sa.update(Dom0)
        .where(Dom0.id == dom0_id, sa.or_(Dom0.next_run_at.is_(None), Dom0.next_run_at > at))
        .values(next_run_at=at)
    )


def _look_again_at(
    session: Session, dom0_id: int, *, hints: Mapping[uuid.UUID, datetime], now: datetime
) -> datetime | None:
    """Return when something unfinished on the dom0 is worth another look; None when all that is wanted holds."""
    is_unfinished = sa.or_(
        Vps.state == VpsState.REMOVING,
        sa.and_(Vps.state.in_((VpsState.PROVISIONING, VpsState.ACTIVE)), Vps.revision > Vps.applied_revision),
    )
    query = sa.select(Vps.id, Vps.state, Vps.problem).where(Vps.dom0_id == dom0_id, is_unfinished)
    moments: list[datetime] = []
    for vps_id, state, problem in session.execute(query):
        is_slow = problem or state is VpsState.PROVISIONING
        moment = now + (LOOK_AGAIN_LATER if is_slow else LOOK_AGAIN)
        if vps_id in hints:
            moment = max(moment, min(hints[vps_id], now + FARTHEST_HINT))
        moments.append(moment)
    return min(moments, default=None)
