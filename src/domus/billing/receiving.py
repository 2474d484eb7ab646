"""Money that arrives for an invoice, whatever it is worth: settled when it fits, else kept in the account's balance.

Each function works in the caller's transaction. Locks are taken in one order everywhere: the VPS and order that an invoice
is for, the invoice, the account.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import ledger, services
from domus.billing.models import Invoice, InvoiceState, Payment, PaymentState
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.core.texts import one_line


def receive(
    session: Session,
    invoice: Invoice | None,
    *,
    account_id: int,
    gateway: str,
    reference: str,
    amount: Money,
    actor: Actor,
    now: datetime,
) -> Payment:
    """Book money that has arrived, once for each reference, and settle the invoice if that can be done now.

    The invoice, locked by the caller, may be open, paid or cancelled. What does not fit it exactly goes to the account's
    balance, and if that then covers the open invoice, it is settled out of it. Raises Conflict, and books nothing, for a
    reference that was booked with another amount or for somebody else.
    """
    reference = one_line(reference, field="reference", maximum=128)
    lock_account(session, account_id)
    booked = session.scalar(
        sa.select(Payment).where(Payment.gateway == gateway, Payment.reference == reference)
    )
    if booked is not None:
        if booked.amount != amount or booked.account_id not in (None, account_id):
            raise Conflict(
                f"{gateway} {reference!r} is booked already over {booked.amount}; now it is said to be {amount}."
            )
        return booked
    if invoice is not None and invoice.state is InvoiceState.OPEN and invoice.gross == amount:
        return services.settle(
            session, invoice, gateway=gateway, reference=reference, amount=amount, actor=actor, now=now
        )
    payment = _deposit(
        session, account_id, gateway=gateway, reference=reference, amount=amount, actor=actor, now=now
    )
    if invoice is not None:
        settle_from_balance(session, invoice, actor=actor, now=now)
    return payment


def settle_from_balance(session: Session, invoice: Invoice, *, actor: Actor, now: datetime) -> bool:
    """Settle an open invoice, locked by the caller, from the account's balance; False when that does not cover it."""
    if invoice.state is not InvoiceState.OPEN:
        return False
    lock_account(session, invoice.account_id)
    prepaid = ledger.balance_of(session, invoice.account_id, invoice.currency)
    if (prepaid - invoice.gross).minor < 0:
        return False
    services.settle(
        session,
        invoice,
        gateway=ledger.FROM_BALANCE,
        reference=f"invoice:{invoice.id}",
        amount=invoice.gross,
        actor=actor,
        now=now,
    )
    return True


def to_pay(session: Session, invoice: Invoice) -> Money:
    """Return what an invoice still asks for, after what the account has prepaid."""
    if invoice.state is not InvoiceState.OPEN:
        return Money.zero(invoice.currency)
    prepaid = ledger.balance_of(session, invoice.account_id, invoice.currency)
    used = min(max(prepaid.minor, 0), invoice.gross_minor)
    return Money(invoice.gross_minor - used, invoice.currency)


def lock_account(session: Session, account_id: int) -> None:
    """Let nobody else spend or fill the account's balance until this transaction ends."""
    session.execute(sa.select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


def _deposit(
    session: Session,
    account_id: int,
    *,
    gateway: str,
    reference: str,
    amount: Money,
    actor: Actor,
    now: datetime,
) -> Payment:
    payment = Payment(
        account_id=account_id,
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
        raise Conflict(f"{gateway} {reference!r} is being booked for something else.") from error
    ledger.book(
        session,
        "payment",
        f"payment:{payment.id}",
        [(ledger.cash(gateway), amount), (ledger.balance(account_id), -amount)],
        actor=actor,
        now=now,
        details={"gateway": gateway, "reference": reference},
    )
    return payment
