"""Books what gateways say. Whatever they repeat, delay or reverse, each fact has its effect once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing import ledger, receiving
from domus.billing.models import Invoice, InvoiceState, OrderState, Payment
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways import attempts
from domus.gateways.interface import Declined, Disputed, Fact, MethodSaved, Paid, Pending, Refunded
from domus.gateways.models import AttemptKind, AttemptState, PaymentAttempt
from domus.workflows import orders
from domus.workflows.contracts import changing
from domus.workflows.payments import givenback
from domus.workflows.payments.givenback import NotYet
from domus.workflows.renewals import paying

__all__ = ["NotYet", "book", "lock_invoice", "pay_invoice_from_balance", "receive"]

FollowUp = Callable[..., object]


def book(db: Database, gateway: str, fact: Fact, *, actor: Actor, now: datetime) -> str:
    """Book one fact; return what came of it in a sentence, or nothing when it concerns nothing of ours.

    Raises NotYet when it follows from something that we have not heard of yet, and Conflict when it contradicts the books.
    """
    match fact:
        case Paid():
            return _paid(db, gateway, fact, actor=actor, now=now)
        case Declined():
            return _declined(db, fact, now=now)
        case MethodSaved():
            return _saved(db, gateway, fact, now=now)
        case Refunded():
            return givenback.refunded(db, gateway, fact, actor=actor, now=now)
        case Disputed():
            return givenback.disputed(db, gateway, fact, actor=actor, now=now)
        case Pending():
            return "" if fact.attempt_id is None else "not decided yet"


def receive(
    session: Session,
    *,
    account_id: int,
    invoice_id: int | None,
    gateway: str,
    reference: str,
    amount: Money,
    actor: Actor,
    now: datetime,
) -> tuple[Payment, str]:
    """Book money for an invoice, and set going what follows when that settles it; return the payment and what came of it."""
    invoice, follow_up = lock_invoice(session, invoice_id, now=now)
    was_open = invoice is not None and invoice.state is InvoiceState.OPEN
    payment = receiving.receive(
        session,
        invoice,
        account_id=account_id,
        gateway=gateway,
        reference=reference,
        amount=amount,
        actor=actor,
        now=now,
    )
    if invoice is None:
        return payment, f"{amount} went to the balance"
    if was_open and invoice.state is InvoiceState.PAID:
        follow_up(actor=actor, now=now)
        return payment, f"{amount} settled invoice {invoice}"
    if payment.invoice_id == invoice.id:
        return payment, f"{amount} settled invoice {invoice} before"
    state = "does not settle" if invoice.state is InvoiceState.OPEN else "is more than was due for"
    return payment, f"{amount} went to the balance: it {state} the {invoice.state.value} invoice {invoice}"


def pay_invoice_from_balance(session: Session, invoice_id: int, *, actor: Actor, now: datetime) -> bool:
    """Settle an open invoice from the balance, and set going what follows; False when the balance does not cover it."""
    invoice, follow_up = lock_invoice(session, invoice_id, now=now)
    if invoice is None or not receiving.settle_from_balance(session, invoice, actor=actor, now=now):
        return False
    follow_up(actor=actor, now=now)
    return True


def lock_invoice(
    session: Session, invoice_id: int | None, *, now: datetime
) -> tuple[Invoice | None, FollowUp]:
    """Return an invoice, locked with all that it is for, and what to call when it was settled."""
    row = None if invoice_id is None else session.get(Invoice, invoice_id)
    if row is None:
        return None, _nothing
    follow_up: FollowUp = _nothing
    if row.order_id is not None:
        order, vps = orders.lock(session, row.order_id, Actor.system("payments"))
        if order.invoice.id == row.id and order.state is OrderState.PLACED:
            follow_up = partial(orders.begin, session, order, vps)
    else:
        # Of one that comes too late the renewal is withdrawn here, and the money goes to the balance.
        renewal = paying.lock_open(session, row.id, now=now)
        if renewal is not None:
            follow_up = partial(paying.begin, session, renewal)
        else:
            change = changing.lock_open(session, row.id, now=now)
            if change is not None:
                follow_up = partial(changing.begin, session, change)
    query = sa.select(Invoice).where(Invoice.id == row.id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one(), follow_up


def _nothing(*, actor: Actor, now: datetime) -> None:
    """Follow up what nothing follows from."""


def _paid(db: Database, gateway: str, fact: Paid, *, actor: Actor, now: datetime) -> str:
    with db.unit_of_work() as session:
        if fact.attempt_id is None:
            return ""
        attempt = _attempt(session, fact.attempt_id, gateway)
        if attempt is None:
            raise Conflict(
                f"{fact.amount} were paid for the attempt {fact.attempt_id}, which is not in our books."
            )
        payment, outcome = receive(
            session,
            account_id=attempt.account_id,
            invoice_id=attempt.invoice_id,
            gateway=gateway,
            reference=fact.reference,
            amount=fact.amount,
            actor=actor,
            now=now,
        )
        if fact.fee is not None:
            _book_fee(session, payment, fact.fee, actor=actor, now=now)
        if fact.method is not None:
            attempts.save_method(
                session, account_id=attempt.account_id, gateway=gateway, method=fact.method, now=now
            )
        if attempts.end(session, attempt.id, AttemptState.DONE, now=now):
            audit.record(
                session, actor=actor, action="payment.received", object_type="payment", object_id=payment.id,
                account_id=attempt.account_id, details={"gateway": gateway, "outcome": outcome}, now=now,
            )  # fmt: skip
    return outcome


def _declined(db: Database, fact: Declined, *, now: datetime) -> str:
    if fact.attempt_id is None:
        return ""
    with db.unit_of_work() as session:
        ended = attempts.end(session, fact.attempt_id, AttemptState.FAILED, problem=fact.reason, now=now)
    return f"not paid: {fact.reason}" if ended else "not paid, as we know already"


def _saved(db: Database, gateway: str, fact: MethodSaved, *, now: datetime) -> str:
    with db.unit_of_work() as session:
        attempt = _attempt(session, fact.attempt_id, gateway)
        if attempt is None or attempt.kind is not AttemptKind.SAVE:
            return ""
        attempts.save_method(
            session, account_id=attempt.account_id, gateway=gateway, method=fact.method, now=now
        )
        attempts.end(session, attempt.id, AttemptState.DONE, now=now)
    return f"{fact.method.label} is saved"


def _attempt(session: Session, attempt_id: object, gateway: str) -> PaymentAttempt | None:
    attempt = None if attempt_id is None else session.get(PaymentAttempt, attempt_id)
    return attempt if attempt is not None and attempt.gateway == gateway else None


def _book_fee(session: Session, payment: Payment, fee: Money, *, actor: Actor, now: datetime) -> None:
    """Book what the gateway kept, once. It becomes known with the payment or later, or never."""
    reference = f"fee:{payment.id}"
    if fee and not ledger.is_booked(session, reference):
        entries = [(ledger.FEES, fee), (ledger.cash(payment.gateway), -fee)]
        ledger.book(session, "fee", reference, entries, actor=actor, now=now)
