"""Contracts that somebody ends: at the end of what is paid, which can be taken back until then, or at once.

At the end nothing more is asked for, and the VPS goes the way of every contract that ended: it stops, and is wiped when the
grace time of its product is over.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import crediting
from domus.billing.models import Subscription
from domus.catalog.models import Price
from domus.contracts import quotes
from domus.core.errors import Conflict, DomusError
from domus.core.money import Money
from domus.core.texts import one_line
from domus.db.engine import Database
from domus.mail import services as mail
from domus.renewals import queries
from domus.renewals import services as renewals
from domus.vps import queries as vps_queries
from domus.vps.models import Vps, VpsState
from domus.workflows.contracts import changing
from domus.workflows.contracts.ending import end

log = logging.getLogger(__name__)

ACTOR = Actor.system("cancellations")
MAX_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What both ways to end a contract mean, to be shown before."""

    on: date
    """Until when it goes on when it is left to run out."""
    cancelled_on: date | None
    """The day that was chosen already, if any."""
    grace_days: int
    """So long the disk is kept after the end."""
    worth: Money
    """What the days left would be worth, with tax; given back only if the operator does that."""


def look(db: Database, *, vps_id: uuid.UUID, actor: Actor, now: datetime) -> Ending:
    """Return what ending the contract of a VPS means; raise Conflict when it has ended, NotFound for strangers."""
    with db.reading() as session:
        vps = vps_queries.get(session, vps_id, actor=actor)
        contract = session.scalar(sa.select(Subscription).where(Subscription.order_id == vps.order_id))
        _refuse_ended(vps, contract)
        assert contract is not None  # noqa: S101 - refused above
        parts = quotes.unused_worth(session, contract, now=now)
        zero = Money.zero(session.get_one(Price, contract.price_id).currency)
        return Ending(
            on=max(contract.paid_until, now.date()),
            cancelled_on=contract.cancel_on,
            grace_days=queries.terms_of(session, contract).grace_days,
            worth=sum((amount for _, amount in parts), zero),
        )


def cancel_at_end(db: Database, *, vps_id: uuid.UUID, reason: str, actor: Actor, now: datetime) -> date:
    """Let a contract run out: nothing more is asked for, and it ends on the returned day. Again, nothing changes.

    What was asked for and not paid is withdrawn, and so is a change that waits. Raises Conflict when it has ended.
    """
    cleaned = _reason(reason)
    with db.unit_of_work() as session:
        vps, contract = _lock(session, vps_id, actor)
        if contract.cancel_on is not None:
            return contract.cancel_on
        _withdraw_open(session, vps, contract, actor=actor, now=now)
        contract.cancel_on = max(contract.paid_until, now.date())
        contract.cancel_reason = cleaned
        _audit(session, vps, "contract.cancelled", contract.cancel_on, actor=actor, reason=cleaned, now=now)
        _tell(session, vps, contract, contract.cancel_on, now=now)
        return contract.cancel_on


def take_back(db: Database, *, vps_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> None:
    """Let a contract go on that was to end; without a cancellation nothing changes. Raises Conflict when it has ended."""
    with db.unit_of_work() as session:
        vps, contract = _lock(session, vps_id, actor)
        if contract.cancel_on is None:
            return
        until, contract.cancel_on, contract.cancel_reason = contract.cancel_on, None, ""
        _audit(session, vps, "contract.kept", until, actor=actor, reason=reason, now=now)
        mail.enqueue(
            session, "contract_kept", session.get_one(Account, vps.account_id),
            {"vps": vps.name, "hostname": vps.hostname, "paid_until": contract.paid_until, "path": f"/vps/{vps.id}"},
            now=now,
        )  # fmt: skip


def cancel_now(
    db: Database, *, vps_id: uuid.UUID, credit: bool, reason: str, actor: Actor, now: datetime
) -> Money:
    """End a contract at once; return what of the unused days went to the balance: all with ``credit``, else nothing.

    Whether it is given back is the operator's to decide (`Settings.credit_on_cancel`), and was shown before. The disk is
    kept for the grace time. Raises Conflict when the contract has ended, so that nothing is given back twice.
    """
    cleaned = _reason(reason)
    with db.unit_of_work() as session:
        vps, contract = _lock(session, vps_id, actor)
        _withdraw_open(session, vps, contract, actor=actor, now=now)
        given_back = Money.zero(session.get_one(Price, contract.price_id).currency)
        if credit:
            for invoice, amount in quotes.unused_worth(session, contract, now=now):
                locked = crediting.lock(session, invoice.id) or invoice
                why = f"{vps.hostname} cancelled; unused days"
                crediting.credit_to_balance(session, locked, amount, reason=why, actor=actor, now=now)
                given_back = given_back + amount
        contract.cancel_on, contract.cancel_reason = now.date(), cleaned
        _end(session, vps, contract, reason=f"cancelled: {cleaned}", actor=actor, now=now)
        _tell(session, vps, contract, now.date(), now=now)
        return given_back


def end_due(db: Database, *, now: datetime) -> int:
    """End the contracts whose day has come; return how many. Each is a transaction of its own, and looks again."""
    with db.reading() as session:
        question = queries.to_end_as_cancelled(now.date())
        ids = [row.vps_id for row in session.execute(question.order_by(Subscription.id))]
    ended = 0
    for vps_id in ids:
        try:
            with db.unit_of_work() as session:
                vps, contract = _lock(session, vps_id, ACTOR)
                if contract.cancel_on is None or contract.cancel_on > now.date():
                    continue
                _withdraw_open(session, vps, contract, actor=ACTOR, now=now)
                reason = f"cancelled for {contract.cancel_on:%Y-%m-%d}"
                _end(session, vps, contract, reason=reason, actor=ACTOR, now=now)
                ended += 1
        except DomusError as error:
            log.info("the contract of VPS %s was not ended: %s", vps_id, error)
    return ended


def _lock(session: Session, vps_id: uuid.UUID, actor: Actor) -> tuple[Vps, Subscription]:
    # The dom0 first, as everybody who may give room back.
    changing.lock_dom0_of(session, vps_id, actor)
    vps = vps_queries.lock(session, vps_id, actor=actor)
    contract = renewals.lock(session, vps)
    _refuse_ended(vps, contract)
    assert contract is not None  # noqa: S101 - refused above
    return vps, contract


def _refuse_ended(vps: Vps, contract: Subscription | None) -> None:
    if contract is None or contract.ended_on is not None or vps.state is not VpsState.ACTIVE:
        raise Conflict("There is no contract of this VPS that goes on, so none can be cancelled.")


def _withdraw_open(
    session: Session, vps: Vps, contract: Subscription, *, actor: Actor, now: datetime
) -> None:
    renewals.withdraw_open(session, contract, now=now)
    changing.withdraw_of(session, vps, contract, note="the contract was cancelled", actor=actor, now=now)


def _end(
    session: Session, vps: Vps, contract: Subscription, *, reason: str, actor: Actor, now: datetime
) -> None:
    grace = timedelta(days=queries.terms_of(session, contract).grace_days)
    wiped_from = end(session, vps, contract, grace=grace, reason=reason, actor=actor, now=now)
    _audit(session, vps, "contract.ended", wiped_from.date(), actor=actor, reason=reason, now=now)


def _reason(text: str) -> str:
    return one_line(" ".join(text.split()), field="reason", maximum=MAX_REASON)


def _tell(session: Session, vps: Vps, contract: Subscription, on: date, *, now: datetime) -> None:
    mail.enqueue(
        session, "contract_cancelled", session.get_one(Account, vps.account_id),
        {
            "vps": vps.name, "hostname": vps.hostname, "ends_on": on,
            "grace_days": queries.terms_of(session, contract).grace_days, "path": f"/vps/{vps.id}",
        },
        now=now,
    )  # fmt: skip


def _audit(
    session: Session, vps: Vps, action: str, on: date, *, actor: Actor, reason: str, now: datetime
) -> None:
    audit.record(
        session, actor=actor, action=action, object_type="vps", object_id=vps.id, account_id=vps.account_id,
        reason=reason, details={"on": f"{on:%Y-%m-%d}"}, now=now,
    )  # fmt: skip
