"""Money that goes back: refunds that we ask a gateway for, those that were made there, and disputes.

A refund of an order is booked where orders are refunded; the gateway is asked afterwards, from here, as often as it takes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing import ledger, receiving
from domus.billing.models import LedgerTransaction, Payment, PaymentState
from domus.core.errors import Conflict, DomusError, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.db.rows import changed_rows
from domus.gateways import events
from domus.gateways.checks import BANK, SILENT
from domus.gateways.interface import Disputed, GatewayUnavailable, GivesBack, Outcome, Refunded, Verdict
from domus.gateways.models import Dispute, DisputeState, GatewayRefund, RefundState
from domus.gateways.registry import Gateways

log = logging.getLogger(__name__)

#: Stands before a payment's id in the reference of what its refund put into the balance.
_KEPT = "kept:"


class NotYet(DomusError):
    """It follows from something that has not arrived yet; try again later."""

    code = "not_yet"


def send_back(
    db: Database,
    gateways: Gateways,
    *,
    payment_id: int,
    amount: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> GatewayRefund:
    """Send a part of a payment back the way it came, out of the account's balance; operators only.

    A gateway that can is asked afterwards. What came any other way counts as sent: the operator does that. Raises Conflict
    when so much is not left of the payment, or not in the balance.
    """
    actor.require_operator()
    with db.unit_of_work() as session:
        return send_part(session, gateways, payment_id, amount, actor=actor, reason=reason, now=now)


def send_part(
    session: Session,
    gateways: Gateways,
    payment_id: int,
    amount: str,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> GatewayRefund:
    """Do what `send_back` does in the caller's transaction, which has seen that this may be done."""
    payment = _lock_payment(session, payment_id)
    if payment.gateway == ledger.FROM_BALANCE:
        raise Conflict("This payment came out of the balance; choose the one that filled it.")
    money = Money.parse(amount, payment.currency)
    account_id = _account_of(payment)
    left = payment.amount - _given_back(session, payment)
    if not 0 < money.minor <= left.minor:
        raise Conflict(f"Of this payment {left} can be given back; {money} cannot.")
    receiving.lock_account(session, account_id)
    prepaid = ledger.balance_of(session, account_id, money.currency)
    if money.minor > prepaid.minor:
        raise Conflict(f"The balance is {prepaid}; {money} cannot be given back out of it.")
    row = _ask(session, payment, money, now=now)
    if not isinstance(gateways.find(payment.gateway), GivesBack):
        row.state, row.done_at = RefundState.DONE, now
    _book_return(session, row, account_id, kind="return", sign=1, actor=actor, reason=reason, now=now)
    audit.record(
        session, actor=actor, action="payment.given_back", object_type="payment", object_id=payment.id,
        account_id=account_id, reason=reason, details={"amount": str(money)}, now=now,
    )  # fmt: skip
    return row


def ask_for_booked(db: Database, gateways: Gateways, *, now: datetime, limit: int = 200) -> int:
    """Ask gateways for the refunds that are booked and that nobody asked them for yet; return how many.

    What was sent back of a payment before is not sent again: it came out of the balance then, and goes back there.
    """
    names = [gateway.name for gateway in gateways if isinstance(gateway, GivesBack)]
    asked = sa.exists().where(
        GatewayRefund.payment_id == Payment.id,
        GatewayRefund.from_outside.is_(False),
        # What was asked for earlier was a part that an operator sent back.
        GatewayRefund.created_at > Payment.refunded_at,
    )
    kept = sa.exists().where(
        LedgerTransaction.reference == sa.literal(_KEPT) + sa.cast(Payment.id, sa.String)
    )
    query = (
        sa.select(Payment.id)
        .where(Payment.state == PaymentState.REFUNDED, Payment.gateway.in_(names), ~asked, ~kept)
        .order_by(Payment.id)
        .limit(limit)
    )
    with db.reading() as session:
        found = session.scalars(query).all()
    for payment_id in found:
        with db.unit_of_work() as session:
            payment = _lock_payment(session, payment_id)
            if session.scalar(query.where(Payment.id == payment_id)) is not None:
                _ask_for_rest(session, payment, now=now)
    return len(found)


def keep_unsendable(session: Session, payment: Payment, *, now: datetime) -> None:
    """Put what a refund gives back into the balance when nobody would send it: a bank sends nothing by itself.

    Of what an operator hands back, the parts that were handed back before stay in the balance, out of which they came.
    """
    if ledger.is_booked(session, f"{_KEPT}{payment.id}"):
        return
    if payment.gateway == BANK:
        _keep(session, payment, payment.amount, now=now)
    elif payment.gateway in SILENT and (sent := _sent(session, payment)):
        if sent.minor < payment.amount_minor:
            row = _ask(session, payment, payment.amount - sent, now=now)
            row.state, row.done_at = RefundState.DONE, now
        _keep(session, payment, Money(min(sent.minor, payment.amount_minor), sent.currency), now=now)


def due(session: Session, *, now: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return the refunds that a gateway is to be asked for now."""
    query = (
        sa.select(GatewayRefund.id)
        .where(GatewayRefund.state == RefundState.ASKED, GatewayRefund.next_attempt_at <= now)
        .order_by(GatewayRefund.next_attempt_at, GatewayRefund.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def carry_out(db: Database, gateways: Gateways, refund_id: uuid.UUID, *, now: datetime) -> str:
    """Ask the gateway for one refund, under its own key, and book the answer; return what came of it."""
    with db.unit_of_work() as session:
        taken = changed_rows(
            session,
            sa.update(GatewayRefund)
            .where(
                GatewayRefund.id == refund_id,
                GatewayRefund.state == RefundState.ASKED,
                GatewayRefund.next_attempt_at <= now,
            )
            .values(attempts=GatewayRefund.attempts + 1, next_attempt_at=now + events.LEASE),
        )
        row = session.get(GatewayRefund, refund_id, options=[joinedload(GatewayRefund.payment)])
    if not taken or row is None:
        return "somebody else does it"
    try:
        fact = _asked(_giving_back(gateways, row.payment.gateway), row)
    except GatewayUnavailable as error:
        with db.unit_of_work() as session:
            session.execute(
                sa.update(GatewayRefund)
                .where(GatewayRefund.id == refund_id, GatewayRefund.state == RefundState.ASKED)
                .values(next_attempt_at=now + events.pause_after(row.attempts), problem=str(error)[:500])
            )
        return str(error)
    actor = Actor.system(row.payment.gateway)
    outcome = refunded(db, row.payment.gateway, fact, actor=actor, now=now)
    if fact.outcome is Outcome.PENDING:
        with db.unit_of_work() as session:
            session.execute(
                sa.update(GatewayRefund)
                .where(GatewayRefund.id == refund_id, GatewayRefund.state == RefundState.ASKED)
                .values(next_attempt_at=now + events.MAX_PAUSE)
            )
    return outcome


def refunded(db: Database, gateway: str, fact: Refunded, *, actor: Actor, now: datetime) -> str:
    """Book how a refund stands: one of ours is done or failed, one from outside is taken from the balance."""
    with db.unit_of_work() as session:
        payment = _payment(session, gateway, fact.payment_reference)
        row = _find_refund(session, payment, fact)
        if row is None:
            return _from_outside(session, payment, fact, actor=actor, now=now)
        row.reference = fact.reference or row.reference
        if fact.outcome is Outcome.DONE and row.state is RefundState.ASKED:
            row.state, row.done_at, row.problem = RefundState.DONE, now, ""
            return f"{row.amount} is given back"
        if fact.outcome is Outcome.FAILED and row.state is not RefundState.FAILED:
            row.state, row.done_at, row.problem = RefundState.FAILED, now, fact.problem[:500]
            _book_return(
                session, row, _account_of(payment), kind="unreturned", sign=-1, actor=actor,
                reason=fact.problem, now=now,
            )  # fmt: skip
            return f"{row.amount} could not be given back and is in the balance: {fact.problem}"
        return f"{row.amount}: refund is {row.state.value}, as we know"


def disputed(db: Database, gateway: str, fact: Disputed, *, actor: Actor, now: datetime) -> str:
    """Book how a dispute stands: the money is held back, comes back, or is lost and owed by the customer again."""
    with db.unit_of_work() as session:
        payment = _payment(session, gateway, fact.payment_reference)
        account_id = _account_of(payment)
        row = session.scalar(
            sa.select(Dispute).where(Dispute.gateway == gateway, Dispute.reference == fact.reference)
        )
        if row is None:
            row = Dispute(
                payment_id=payment.id,
                account_id=account_id,
                gateway=gateway,
                reference=fact.reference,
                state=DisputeState.OPEN,
                currency=fact.amount.currency,
                amount_minor=fact.amount.minor,
                reason=fact.reason[:100],
                opened_at=now,
            )
            session.add(row)
            session.flush()
            _book_dispute(
                session, row, "dispute", ledger.disputed(account_id), ledger.cash(gateway), actor, now
            )
        elif row.state is not DisputeState.OPEN or fact.verdict is Verdict.OPEN:
            return f"the dispute over {fact.amount} is {row.state.value}, as we know"
        if fact.verdict is not Verdict.OPEN:
            won = fact.verdict is Verdict.WON
            row.state, row.closed_at = (DisputeState.WON if won else DisputeState.LOST), now
            to = ledger.cash(gateway) if won else ledger.balance(account_id)
            _book_dispute(session, row, "verdict", to, ledger.disputed(account_id), actor, now)
        audit.record(
            session, actor=actor, action=f"dispute.{row.state.value}", object_type="payment",
            object_id=payment.id, account_id=account_id, reason=row.reason, now=now,
        )  # fmt: skip
        return f"the dispute over {fact.amount} is {row.state.value}"


def _asked(gateway: GivesBack, row: GatewayRefund) -> Refunded:
    """Have a refund made, or ask after one that the gateway has made already and was not done with."""
    if row.reference:
        return gateway.refund_now(row.reference, row.payment.reference)
    return gateway.refund(row.payment.reference, row.amount, refund_id=row.id)


def _giving_back(gateways: Gateways, name: str) -> GivesBack:
    gateway = gateways.find(name)
    if not isinstance(gateway, GivesBack):
        raise GatewayUnavailable(f"The gateway {name} is switched off here.")
    return gateway


def _ask(session: Session, payment: Payment, amount: Money, *, now: datetime) -> GatewayRefund:
    row = GatewayRefund(
        payment_id=payment.id,
        currency=amount.currency,
        amount_minor=amount.minor,
        state=RefundState.ASKED,
        from_outside=False,
        created_at=now,
        next_attempt_at=now,
    )
    session.add(row)
    session.flush()
    return row


def _ask_for_rest(session: Session, payment: Payment, *, now: datetime) -> None:
    """Ask for what was not sent back before the refund, and keep the rest of what the refund booked in the balance."""
    sent = _sent(session, payment)
    if sent.minor < payment.amount_minor:
        row = _ask(session, payment, payment.amount - sent, now=now)
        row.created_at = max(now, (payment.refunded_at or now) + timedelta(microseconds=1))
    _keep(session, payment, Money(min(sent.minor, payment.amount_minor), sent.currency), now=now)


def _keep(session: Session, payment: Payment, amount: Money, *, now: datetime) -> None:
    """Book to the balance what a refund of a payment counts as paid out, and is not."""
    if amount:
        ledger.book(
            session,
            "kept",
            f"{_KEPT}{payment.id}",
            [(ledger.cash(payment.gateway), amount), (ledger.balance(_account_of(payment)), -amount)],
            actor=Actor.system(payment.gateway),
            now=now,
            details={"payment": payment.id},
        )


def _from_outside(session: Session, payment: Payment, fact: Refunded, *, actor: Actor, now: datetime) -> str:
    if fact.outcome is not Outcome.DONE:
        return f"a refund of {fact.amount} made at the gateway is {fact.outcome.value}"
    row = GatewayRefund(
        payment_id=payment.id,
        currency=fact.amount.currency,
        amount_minor=fact.amount.minor,
        state=RefundState.DONE,
        reference=fact.reference,
        from_outside=True,
        created_at=now,
        next_attempt_at=now,
        done_at=now,
    )
    session.add(row)
    session.flush()
    _book_return(
        session, row, _account_of(payment), kind="return", sign=1, actor=actor,
        reason="refunded at the gateway", now=now,
    )  # fmt: skip
    return f"{fact.amount} was given back at the gateway; it is taken from the balance"


def _book_return(
    session: Session,
    row: GatewayRefund,
    account_id: int,
    *,
    kind: str,
    sign: int,
    actor: Actor,
    reason: str,
    now: datetime,
) -> None:
    amount = Money(row.amount_minor * sign, row.currency)
    payment = session.get_one(Payment, row.payment_id)
    ledger.book(
        session,
        kind,
        f"{kind}:{row.id}",
        [(ledger.balance(account_id), amount), (ledger.cash(payment.gateway), -amount)],
        actor=actor,
        now=now,
        details={"reason": reason[:500], "payment": payment.id},
    )


def _book_dispute(
    session: Session, row: Dispute, kind: str, debit: str, credit: str, actor: Actor, now: datetime
) -> None:
    amount = Money(row.amount_minor, row.currency)
    entries = [(debit, amount), (credit, -amount)]
    details = {"reason": row.reason, "payment": row.payment_id}
    ledger.book(session, kind, f"{kind}:{row.id}", entries, actor=actor, now=now, details=details)


def _payment(session: Session, gateway: str, reference: str) -> Payment:
    query = sa.select(Payment).where(Payment.gateway == gateway, Payment.reference == reference)
    payment = session.scalar(query.with_for_update(key_share=True))
    if payment is None:
        raise NotYet(f"The payment {reference} is not booked.")
    return payment


def _lock_payment(session: Session, payment_id: int) -> Payment:
    query = sa.select(Payment).where(Payment.id == payment_id).with_for_update(key_share=True)
    payment = session.scalar(query.execution_options(populate_existing=True))
    if payment is None:
        raise NotFound("There is no such payment.")
    return payment


def _find_refund(session: Session, payment: Payment, fact: Refunded) -> GatewayRefund | None:
    of_payment = sa.select(GatewayRefund).where(GatewayRefund.payment_id == payment.id)
    if fact.refund_id is not None:
        own = session.scalar(of_payment.where(GatewayRefund.id == fact.refund_id))
        if own is not None:
            return own
    return session.scalar(of_payment.where(GatewayRefund.reference == fact.reference))


def _given_back(session: Session, payment: Payment) -> Money:
    """Return how much of a payment cannot be sent back any more."""
    if payment.state is PaymentState.REFUNDED and not ledger.is_booked(session, f"{_KEPT}{payment.id}"):
        return payment.amount
    return _sent(session, payment)


def _sent(session: Session, payment: Payment) -> Money:
    """Return what was sent back of a payment, or is to be."""
    total = sa.select(sa.func.sum(GatewayRefund.amount_minor)).where(
        GatewayRefund.payment_id == payment.id, GatewayRefund.state != RefundState.FAILED
    )
    return Money(int(session.scalar(total) or 0), payment.currency)


def _account_of(payment: Payment) -> int:
    if payment.account_id is not None:
        return payment.account_id
    if payment.invoice is None:
        raise Conflict(f"Payment {payment.id} belongs to nobody.")
    return payment.invoice.account_id
