"""Paying an invoice: which ways there are, beginning one, and coming back from it.

Nothing here waits for a gateway inside a transaction. What is asked of one is written down first, under a key of its own, so
that whoever dies in between leaves something that can be asked again.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import joinedload

from domus.accounts.actor import Actor
from domus.billing import ledger, receiving
from domus.billing.models import Invoice, InvoiceState
from domus.core.errors import Conflict, DomusError, InvalidInput, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways import attempts
from domus.gateways.interface import (
    Charges,
    Gateway,
    GatewayUnavailable,
    Instructions,
    Paid,
    Redirect,
    UseBalance,
)
from domus.gateways.models import AttemptKind, AttemptState, PaymentAttempt, SavedMethod
from domus.gateways.registry import Gateways
from domus.workflows.payments import booking, events
from domus.workflows.payments.asking import Urls, ask, book_answer, load_invoice, make_bill

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to pay an invoice."""

    gateway: Gateway
    obstacle: str
    """Why it cannot be taken for this amount; empty when it can."""
    can_save: bool


@dataclass(frozen=True, slots=True)
class PayPage:
    """What the customer chooses from."""

    invoice: Invoice
    prepaid: Money
    to_pay: Money
    """What is left after the balance; nothing when the balance covers it."""
    ways: Sequence[Way]
    methods: Sequence[SavedMethod]


@dataclass(frozen=True, slots=True)
class Settled:
    """The invoice is paid; there is nowhere to go."""


def page(db: Database, gateways: Gateways, *, invoice_id: int, actor: Actor) -> PayPage:
    """Return how an invoice can be paid; strangers get NotFound."""
    with db.reading() as session:
        invoice = load_invoice(session, invoice_id, actor)
        prepaid = ledger.balance_of(session, invoice.account_id, invoice.currency)
        to_pay = receiving.to_pay(session, invoice)
        saved = attempts.methods_of(session, invoice.account_id)
    ways = [
        Way(gateway, gateway.obstacle(to_pay), isinstance(gateway, Charges))
        for gateway in gateways
        if (gateway.name == ledger.FROM_BALANCE) is not bool(to_pay)
    ]
    usable = [method for method in saved if to_pay and method.gateway in gateways]
    return PayPage(invoice, prepaid, to_pay, ways, usable)


def begin(
    db: Database,
    gateways: Gateways,
    *,
    invoice_id: int,
    gateway: str,
    actor: Actor,
    now: datetime,
    urls: Urls,
    keep_method: bool = False,
) -> Redirect | Instructions | Settled:
    """Begin to pay an invoice through a gateway: whatever the balance does not cover.

    Raises Conflict for an invoice that is cancelled or asks for nothing this way, InvalidInput when the gateway cannot take
    the amount, GatewayUnavailable when it does not answer, TooManyAttempts for who tries without end.
    """
    chosen = gateways.get(gateway)
    with db.unit_of_work() as session:
        invoice = load_invoice(session, invoice_id, actor)
        if invoice.state is InvoiceState.PAID:
            return Settled()
        if invoice.state is InvoiceState.CANCELLED:
            raise Conflict("This invoice was cancelled; nothing is to be paid for it.")
        amount = receiving.to_pay(session, invoice)
        if chosen.name == ledger.FROM_BALANCE or not amount:
            if not booking.pay_invoice_from_balance(session, invoice_id, actor=actor, now=now):
                raise Conflict(f"The balance does not cover the invoice: {amount} are missing.")
            return Settled()
        obstacle = chosen.obstacle(amount)
        if obstacle:
            raise InvalidInput(obstacle, field="gateway")
        attempts.refuse_too_many(session, invoice.account_id, now=now)
        row = attempts.open_attempt(
            session, account_id=invoice.account_id, invoice_id=invoice_id, gateway=gateway,
            kind=AttemptKind.PAY, amount=amount, now=now,
        )  # fmt: skip
        bill = make_bill(session, row, invoice, urls=urls, keep_method=keep_method)
    answer = ask(db, row, lambda: chosen.begin(bill), now=now)
    if isinstance(answer, Paid):
        book_answer(db, gateway, answer, actor=actor, now=now)
        return Settled()
    if isinstance(answer, UseBalance):
        raise GatewayUnavailable(f"The gateway {gateway} answered what only the balance may.")
    with db.unit_of_work() as session:
        stored = session.get_one(PaymentAttempt, row.id)
        if isinstance(answer, Instructions):
            # Nobody can ask how this attempt stands: what arrives names the invoice itself.
            session.delete(stored)
        else:
            stored.reference = answer.reference
    return answer


def attempt(db: Database, *, attempt_id: uuid.UUID, actor: Actor) -> PaymentAttempt:
    """Return an attempt with its invoice; strangers get NotFound."""
    with db.reading() as session:
        row = session.get(PaymentAttempt, attempt_id, options=[joinedload(PaymentAttempt.invoice)])
    if row is None:
        raise NotFound("There is no such payment.")
    actor.require_account(row.account_id, what="payment")
    return row


def come_back(
    db: Database, gateways: Gateways, *, attempt_id: uuid.UUID, actor: Actor, now: datetime
) -> PaymentAttempt:
    """Return how an attempt stands, for a customer who comes back; the gateway is asked, should no event have come."""
    row = attempt(db, attempt_id=attempt_id, actor=actor)
    if row.state is AttemptState.OPEN:
        try:
            events.look_at(db, gateways, attempt_id, now=now)
        except DomusError as error:
            log.warning("how the attempt %s stands is not known yet: %s", attempt_id, error)
    return attempt(db, attempt_id=attempt_id, actor=actor)


def pay_from_balance(db: Database, *, invoice_id: int, actor: Actor, now: datetime) -> bool:
    """Settle an open invoice from the balance; False, and nothing is changed, when that does not cover it."""
    with db.unit_of_work() as session:
        load_invoice(session, invoice_id, actor)
        return booking.pay_invoice_from_balance(session, invoice_id, actor=actor, now=now)


def balances(db: Database, *, account_id: int, actor: Actor) -> list[Money]:
    """Return what an account has prepaid; a negative amount is owed to us."""
    actor.require_account(account_id, what="account")
    with db.reading() as session:
        return ledger.balances_of(session, account_id)
