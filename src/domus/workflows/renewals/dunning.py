"""What happens to the VPS of a contract that is not paid: suspended, then ended. And the hold that stops both.

Each contract is a transaction of its own, and looks again whether it is due: it may have been paid a moment ago.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing.models import Subscription
from domus.core.errors import Conflict, InvalidInput
from domus.core.texts import one_line
from domus.db.engine import Database
from domus.renewals import dunning, queries, services
from domus.renewals.dunning import Terms
from domus.renewals.models import StepKind
from domus.vps import queries as vps_queries
from domus.vps.models import SuspensionReason, Vps, VpsState
from domus.workflows import suspensions
from domus.workflows.contracts import ending

ACTOR = Actor.system("renewals")

#: Longer than this nobody should have to remember why.
MAX_HOLD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class _Row:
    """A contract as `services.record_steps` takes it."""

    id: int
    paid_until: date
    invoice_id: int | None


def suspend(db: Database, *, vps_id: uuid.UUID, terms: Terms, now: datetime) -> bool:
    """Suspend a VPS as unpaid if its contract is so far overdue; False when it is not (any more)."""
    with db.unit_of_work() as session:
        vps, contract = _living(session, vps_id)
        if vps is None or contract is None or _is_held(session, contract, now):
            return False
        warned_at = queries.step_at(session, contract, StepKind.LAST_WARNING)
        if not dunning.may_be_suspended(terms, paid_until=contract.paid_until, warned_at=warned_at, now=now):
            return False
        note = f"not paid since {contract.paid_until:%Y-%m-%d}"
        if not suspensions.impose(session, vps, SuspensionReason.UNPAID, note=note, actor=ACTOR, now=now):
            return False
        _record(session, contract, StepKind.SUSPENDED, now=now)
        return True


def end(db: Database, *, vps_id: uuid.UUID, terms: Terms, now: datetime) -> bool:
    """End a contract that was suspended long enough: its VPS is removed after the grace time, unless it is paid before that.

    False when it is not due (any more).
    """
    with db.unit_of_work() as session:
        vps, contract = _living(session, vps_id)
        if vps is None or contract is None or _is_held(session, contract, now):
            return False
        # Of one that was released by hand and suspended again the time counts from the second suspension.
        since = next((one.since for one in vps.suspensions if one.reason is SuspensionReason.UNPAID), None)
        is_due = dunning.may_be_ended(terms, paid_until=contract.paid_until, suspended_at=since, now=now)
        if not is_due or queries.step_at(session, contract, StepKind.SUSPENDED) is None:
            return False
        _end(session, vps, contract, terms, now=now)
        return True


def hold(db: Database, *, vps_id: uuid.UUID, until: date, reason: str, actor: Actor, now: datetime) -> None:
    """Take no steps about a VPS's contract until a day, which has to be in the future; operators only.

    A suspension that stands is not lifted by it.
    """
    actor.require_operator()
    cleaned = one_line(reason, field="reason", maximum=300)
    if not now.date() < until <= now.date() + MAX_HOLD:
        raise InvalidInput(
            f"A hold ends between {now.date() + timedelta(days=1):%Y-%m-%d} and {now.date() + MAX_HOLD:%Y-%m-%d}.",
            field="until",
        )
    with db.unit_of_work() as session:
        vps, contract = _contract(session, vps_id, actor)
        services.hold(session, contract, until=until, reason=cleaned, actor=actor, now=now)
        _audit(session, vps, "subscription.hold", actor=actor, reason=cleaned, until=until, now=now)


def end_hold(db: Database, *, vps_id: uuid.UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Let steps be taken again from the next run on; operators only. Without a hold nothing changes."""
    actor.require_operator()
    cleaned = one_line(reason, field="reason", maximum=300)
    with db.unit_of_work() as session:
        vps, contract = _contract(session, vps_id, actor)
        if services.end_hold(session, contract):
            _audit(session, vps, "subscription.hold_ended", actor=actor, reason=cleaned, until=None, now=now)


def _living(session: Session, vps_id: uuid.UUID) -> tuple[Vps | None, Subscription | None]:
    """Return a VPS and its contract, both locked, when both go on."""
    vps = vps_queries.lock(session, vps_id, actor=ACTOR)
    contract = services.lock(session, vps)
    if vps.state is not VpsState.ACTIVE or contract is None or contract.ended_on is not None:
        return None, None
    return vps, contract


def _contract(session: Session, vps_id: uuid.UUID, actor: Actor) -> tuple[Vps, Subscription]:
    vps = vps_queries.lock(session, vps_id, actor=actor)
    contract = services.lock(session, vps)
    if contract is None or contract.ended_on is not None:
        raise Conflict(f"{vps} has no contract that goes on.")
    return vps, contract


def _is_held(session: Session, contract: Subscription, now: datetime) -> bool:
    held = queries.hold_of(session, contract.id)
    return held is not None and held.until > now.date()


def _record(session: Session, contract: Subscription, kind: StepKind, *, now: datetime) -> None:
    asked = queries.open_renewal(session, contract.id)
    row = _Row(contract.id, contract.paid_until, None if asked is None else asked.invoice_id)
    services.record_steps(session, [row], kind, 0, now=now)


def _end(session: Session, vps: Vps, contract: Subscription, terms: Terms, *, now: datetime) -> None:
    why = f"not paid since {contract.paid_until:%Y-%m-%d}"
    grace = timedelta(days=terms.grace_days)
    wiped_from = ending.end(session, vps, contract, grace=grace, reason=why, actor=ACTOR, now=now)
    _record(session, contract, StepKind.ENDED, now=now)
    _audit(session, vps, "subscription.ended", actor=ACTOR, reason=why, until=wiped_from.date(), now=now)


def _audit(
    session: Session, vps: Vps, action: str, *, actor: Actor, reason: str, until: date | None, now: datetime
) -> None:
    audit.record(
        session, actor=actor, action=action, object_type="vps", object_id=vps.id, account_id=vps.account_id,
        reason=reason, details={"until": f"{until:%Y-%m-%d}"} if until else None, now=now,
    )  # fmt: skip
