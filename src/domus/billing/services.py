"""Invoices and payments of orders. Each function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import crediting, invoicing, ledger
from domus.billing.line_texts import addon_line, period_line, set_up_line
from domus.billing.models import (
    Invoice,
    InvoiceState,
    Order,
    Payment,
    PaymentState,
    Subscription,
    SubscriptionAddon,
)
from domus.billing.numbers import next_number
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.core.texts import one_line

__all__ = [
    "cancel_invoice",
    "next_number",
    "open_order_invoice",
    "refund",
    "settle",
    "settle_free",
    "start_subscription",
]


def open_order_invoice(
    session: Session, order: Order, *, discounts: Sequence[tuple[str, Money]] = (), now: datetime
) -> Invoice:
    """Ask for the first period, the add-ons and the set-up fee of an order.

    It gets its number when it is paid. ``discounts`` are further lines, whose amounts are negative.
    """
    price = order.price
    account = session.get_one(Account, order.account_id)
    lines = [(period_line(price, account.language), price.amount)]
    for addon in order.addons:
        text = addon_line(price.product.name, addon.name, addon.count, price.period, account.language)
        lines.append((text, Money(addon.amount_minor * addon.count, price.currency)))
    if price.setup_fee:
        lines.append((set_up_line(price, account.language), price.setup_fee))
    return invoicing.draft(session, account, [*lines, *discounts], order=order, now=now)


def settle(
    session: Session,
    invoice: Invoice,
    *,
    gateway: str,
    reference: str,
    amount: Money,
    actor: Actor,
    now: datetime,
) -> Payment:
    """Book a payment, number the invoice and mark it paid.

    A gateway may say the same thing as often as it likes: the payment that its reference is booked as is returned again.
    Raises Conflict, and books nothing, for another amount or currency, for an invoice that is paid or cancelled, and for a
    reference that paid something else.
    """
    reference = one_line(reference, field="reference", maximum=128)
    locked = _lock(session, invoice)
    booked = session.scalar(
        sa.select(Payment).where(Payment.gateway == gateway, Payment.reference == reference)
    )
    if booked is not None:
        if (booked.invoice_id, booked.amount) != (locked.id, amount):
            raise Conflict(f"The reference {reference!r} is booked already, for something else.")
        return booked
    _refuse_unpayable(locked, amount)
    payment = Payment(
        invoice=locked,
        account_id=locked.account_id,
        gateway=gateway,
        reference=reference,
        state=PaymentState.CONFIRMED,
        currency=amount.currency,
        amount_minor=amount.minor,
        received_at=now,
    )
    session.add(payment)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"The reference {reference!r} is being booked for something else.") from error
    _book_payment(session, locked, payment, actor=actor, now=now)
    invoicing.finalise(session, locked, now=now)
    return payment


def settle_free(session: Session, invoice: Invoice, *, now: datetime) -> bool:
    """Number an invoice over nothing and mark it paid; False when that was done already.

    No money moves, so there is neither a payment nor a booking. Raises Conflict for one that asks for something, or that was
    cancelled.
    """
    locked = _lock(session, invoice)
    if locked.state is InvoiceState.PAID and not locked.gross:
        return False
    if locked.state is not InvoiceState.OPEN or locked.gross:
        raise Conflict(f"Invoice {locked} is {locked.state.value} over {locked.gross}; it is not free.")
    invoicing.finalise(session, locked, now=now)
    return True


def refund(session: Session, invoice: Invoice, *, actor: Actor, reason: str, now: datetime) -> Payment | None:
    """Give the money of a paid invoice back: both bookings are reversed, and the contract ends when it began with it.

    The invoice stays paid and numbered, and a credit note takes it back; a payment that was given back already is returned
    as it is. Of an invoice over nothing nothing is given back, and only the contract ends: None.
    """
    locked = _lock(session, invoice)
    if locked.state is InvoiceState.PAID and not locked.gross:
        _end_contract_begun_with(session, locked, now=now)
        return None
    payment = session.scalar(
        sa.select(Payment).where(Payment.invoice_id == locked.id).execution_options(populate_existing=True)
    )
    if locked.state is not InvoiceState.PAID or payment is None:
        raise Conflict("This invoice is not paid, so there is nothing to give back.")
    if payment.state is PaymentState.REFUNDED:
        return payment
    payment.state = PaymentState.REFUNDED
    payment.refunded_at = now
    owed, details = ledger.receivable(locked.account_id), {"reason": reason}
    ledger.book(
        session,
        "refund",
        f"refund:{payment.id}",
        [(owed, payment.amount), (ledger.source(payment.gateway, locked.account_id), -payment.amount)],
        actor=actor,
        now=now,
        details=details,
    )
    ledger.book(
        session,
        "credit",
        f"credit:{locked.id}",
        [(account, -amount) for account, amount in _sale(locked)],
        actor=actor,
        now=now,
        details=details,
    )
    # Parts that were credited before went to the balance; the whole goes back now.
    crediting.take_back(session, locked, actor=actor, now=now)
    if invoicing.credit_left(session, locked):
        invoicing.credit(session, locked, reason=reason, now=now)
    _end_contract_begun_with(session, locked, now=now)
    return payment


def cancel_invoice(session: Session, invoice: Invoice) -> None:
    """Withdraw an invoice that nobody has to pay any more; raise Conflict when it was paid meanwhile."""
    locked = _lock(session, invoice)
    if locked.state is InvoiceState.PAID:
        raise Conflict(f"Invoice {locked} is paid; it can be refunded, not cancelled.")
    locked.state = InvoiceState.CANCELLED
    session.flush()


def start_subscription(session: Session, order: Order, *, now: datetime) -> Subscription:
    """Begin the contract of a paid order: it is paid for one period from today (UTC) on."""
    today = now.date()
    subscription = Subscription(
        account_id=order.account_id,
        order_id=order.id,
        price_id=order.price_id,
        started_on=today,
        anchor_day=today.day,
        paid_until=order.price.period.end(today, anchor_day=today.day),
        addons=[SubscriptionAddon(addon_id=one.addon_id, count=one.count) for one in order.addons],
    )
    session.add(subscription)
    session.flush()
    return subscription


def _lock(session: Session, invoice: Invoice) -> Invoice:
    """Return the invoice as it is now, and keep others from changing it until the transaction ends."""
    query = sa.select(Invoice).where(Invoice.id == invoice.id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def _refuse_unpayable(invoice: Invoice, amount: Money) -> None:
    if invoice.state is InvoiceState.CANCELLED:
        raise Conflict("This invoice was cancelled; nothing is to be paid for it.")
    if invoice.state is InvoiceState.PAID:
        raise Conflict(f"Invoice {invoice} is paid already.")
    if amount != invoice.gross:
        raise Conflict(f"The invoice is over {invoice.gross}; a payment of {amount} does not settle it.")


def _sale(invoice: Invoice) -> list[tuple[str, Money]]:
    """Return the entries of having sold what the invoice says."""
    return [
        (ledger.receivable(invoice.account_id), invoice.gross),
        (ledger.REVENUE, Money(-invoice.net_minor, invoice.currency)),
        (ledger.TAX, Money(-invoice.tax_minor, invoice.currency)),
    ]


def _book_payment(
    session: Session, invoice: Invoice, payment: Payment, *, actor: Actor, now: datetime
) -> None:
    ledger.book(session, "invoice", f"invoice:{invoice.id}", _sale(invoice), actor=actor, now=now)
    ledger.book(
        session,
        "payment",
        f"payment:{payment.id}",
        [
            (ledger.source(payment.gateway, invoice.account_id), payment.amount),
            (ledger.receivable(invoice.account_id), -payment.amount),
        ],
        actor=actor,
        now=now,
        details={"gateway": payment.gateway, "reference": payment.reference},
    )


def _end_contract_begun_with(session: Session, invoice: Invoice, *, now: datetime) -> None:
    if invoice.order is None or invoice.order.invoice.id != invoice.id:
        return
    session.execute(
        sa.update(Subscription)
        .where(Subscription.order_id == invoice.order_id, Subscription.ended_on.is_(None))
        .values(ended_on=now.date())
    )
