"""What beginning a payment and charging a card share: the bill that a gateway gets, and what its answer leads to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy.orm import Session, joinedload

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing.models import Invoice, Order
from domus.core.errors import DomusError, NotFound
from domus.db.engine import Database
from domus.gateways import attempts, events
from domus.gateways.interface import Bill, Paid
from domus.gateways.models import AttemptState, PaymentAttempt
from domus.workflows.payments import booking

Answer = TypeVar("Answer")

#: Where the gateway sends the customer afterwards, for an attempt: (done, given up).
Urls = Callable[[uuid.UUID], tuple[str, str]]


def book_answer(db: Database, gateway: str, paid: Paid, *, actor: Actor, now: datetime) -> None:
    """Note and book what a gateway answered at once."""
    with db.unit_of_work() as session:
        events.note_answer(session, gateway, paid.reference, kind="answered", now=now)
    booking.book(db, gateway, paid, actor=actor, now=now)


def ask(db: Database, row: PaymentAttempt, question: Callable[[], Answer], *, now: datetime) -> Answer:
    """Ask a gateway; an attempt that it will not have is ended."""
    try:
        return question()
    except DomusError as error:
        with db.unit_of_work() as session:
            attempts.end(session, row.id, AttemptState.FAILED, problem=str(error), now=now)
        raise


def make_bill(
    session: Session, row: PaymentAttempt, invoice: Invoice | None, *, urls: Urls, keep_method: bool = False
) -> Bill:
    """Return what a gateway is asked to have paid; without an invoice it only saves a method."""
    account = session.get_one(Account, row.account_id)
    done, given_up = urls(row.id)
    return Bill(
        attempt_id=row.id,
        invoice_id=0 if invoice is None else invoice.id,
        account_id=row.account_id,
        amount=row.amount,
        text=_text(invoice),
        email=account.email,
        return_url=done,
        cancel_url=given_up,
        customer=attempts.customer_of(session, row.account_id, row.gateway),
        keep_method=keep_method,
    )


def _text(invoice: Invoice | None) -> str:
    if invoice is None:
        return ""
    first = invoice.lines[0].text if invoice.lines else f"Invoice {invoice}"
    return first if len(invoice.lines) < 2 else f"{first} …"


def load_invoice(session: Session, invoice_id: int, actor: Actor) -> Invoice:
    """Return an invoice with its lines; strangers get NotFound."""
    invoice = session.get(
        Invoice, invoice_id, options=[joinedload(Invoice.order).selectinload(Order.invoices)]
    )
    if invoice is None:
        raise NotFound("There is no such invoice.")
    actor.require_account(invoice.account_id, what="invoice")
    _ = invoice.lines
    return invoice
