"""Refunds of a paid invoice, in part or of all that is left: by a credit note, to the balance or back where it came from.

A refund is about money; the contract goes on. One thing follows by itself: who gets back the whole of a renewal that has not
begun loses those days with it, since nobody has paid for them any more. Days that have begun stay: they were served.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing import crediting, invoicing, ledger
from domus.billing.models import CreditNote, Invoice, InvoiceState, Payment, Subscription
from domus.contracts.models import ChangeState, ContractChange
from domus.core.errors import Conflict, InvalidInput, NotFound
from domus.core.money import Money
from domus.core.texts import one_line
from domus.db.engine import Database
from domus.gateways.interface import GivesBack
from domus.gateways.registry import Gateways
from domus.renewals import services as renewals
from domus.renewals.models import Renewal
from domus.workflows.payments import givenback
from domus.workflows.renewals import paying

MAX_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Refundable:
    """What can be given back of an invoice, and what follows from it; to be shown before."""

    left: Money
    """With tax; less what was credited before."""
    gateway: str
    """How it was paid."""
    is_sent: bool
    """Whether the gateway sends money back by itself; else the operator does, or it stays in the balance."""
    paid_until: tuple[date, date] | None
    """From which day to which the contract's paid time goes back, should all that is left be given back; None when not."""


def look(db: Database, gateways: Gateways, *, invoice_id: int, actor: Actor, now: datetime) -> Refundable:
    """Return what can be given back of an invoice; operators only. Raises Conflict when it is not paid."""
    actor.require_operator()
    with db.reading() as session:
        invoice = session.get(Invoice, invoice_id)
        if invoice is None:
            raise NotFound("There is no such invoice.")
        _refuse_unpaid(invoice)
        renewal = session.get(Renewal, invoice_id)
        contract = None if renewal is None else session.get(Subscription, renewal.subscription_id)
        payment = _payment(session, invoice)
        gateway = "" if payment is None else payment.gateway
        return Refundable(
            left=invoicing.credit_left(session, invoice),
            gateway=gateway,
            is_sent=isinstance(gateways.find(gateway), GivesBack),
            paid_until=_days_back(session, renewal, contract, now=now),
        )


def refund(
    db: Database,
    gateways: Gateways,
    *,
    invoice_id: int,
    amount: str,
    send: bool,
    reason: str,
    actor: Actor,
    now: datetime,
) -> CreditNote:
    """Give an amount of a paid invoice back, tax included; operators only. ``amount`` is as people type it.

    The credit note puts it into the balance of whom the invoice was made out to. With ``send`` it goes on from there the way
    it came: the gateway is asked where it can do that, otherwise sending it is the operator's. Raises Conflict when the
    invoice is not paid, so much is not left of it, or it was paid from the balance and is to be sent.
    """
    actor.require_operator()
    cleaned = one_line(" ".join(reason.split()), field="reason", maximum=MAX_REASON)
    with db.unit_of_work() as session:
        renewal, contract = _lock_contract(session, invoice_id)
        invoice = crediting.lock(session, invoice_id)
        if invoice is None:
            raise NotFound("There is no such invoice.")
        _refuse_unpaid(invoice)
        money = Money.parse(amount, invoice.currency)
        if money.minor <= 0:
            raise InvalidInput("Enter an amount above nothing.", field="amount")
        note = crediting.credit_to_balance(session, invoice, money, reason=cleaned, actor=actor, now=now)
        if send:
            _send(session, gateways, invoice, money, reason=cleaned, actor=actor, now=now)
        days = None
        if not invoicing.credit_left(session, invoice):
            days = _take_days_back(session, renewal, contract, now=now)
        audit.record(
            session, actor=actor, action="invoice.refunded", object_type="invoice", object_id=invoice.id,
            account_id=invoice.account_id, reason=cleaned, now=now,
            details={
                "amount": str(money), "credit_note": note.number, "sent": send,
                **({"paid_until": f"{days[1]:%Y-%m-%d}"} if days else {}),
            },
        )  # fmt: skip
    return note


def _lock_contract(session: Session, invoice_id: int) -> tuple[Renewal | None, Subscription | None]:
    """Lock VPS and contract of a renewal, before its invoice as everybody does."""
    if session.get(Renewal, invoice_id) is None:
        return None, None
    locked = paying.lock(session, invoice_id, Actor.system("refunds"))
    return locked.renewal, locked.contract


def _refuse_unpaid(invoice: Invoice) -> None:
    if invoice.state is not InvoiceState.PAID:
        raise Conflict("This invoice is not paid, so there is nothing to give back.")


def _payment(session: Session, invoice: Invoice) -> Payment | None:
    return session.scalar(sa.select(Payment).where(Payment.invoice_id == invoice.id))


def _send(
    session: Session,
    gateways: Gateways,
    invoice: Invoice,
    amount: Money,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> None:
    payment = _payment(session, invoice)
    if payment is None or payment.gateway == ledger.FROM_BALANCE:
        raise Conflict("This invoice was paid from the balance; what is given back of it stays there.")
    givenback.send_part(
        session, gateways, payment.id, str(amount).partition(" ")[0], actor=actor, reason=reason, now=now
    )


def _days_back(
    session: Session, renewal: Renewal | None, contract: Subscription | None, *, now: datetime
) -> tuple[date, date] | None:
    """Return until when a contract is paid and until when it was before a renewal, if giving that back takes its days."""
    if renewal is None or contract is None or renewal.settled_at is None or contract.ended_on is not None:
        return None
    is_last, has_begun = contract.paid_until == renewal.ends_on, renewal.starts_on < now.date()
    # A change since then was paid for these days too.
    changed = sa.select(ContractChange.id).where(
        ContractChange.subscription_id == contract.id,
        ContractChange.state == ChangeState.DONE,
        ContractChange.until > renewal.starts_on,
    )
    if not is_last or has_begun or session.scalar(changed.limit(1)) is not None:
        return None
    return contract.paid_until, renewal.starts_on


def _take_days_back(
    session: Session, renewal: Renewal | None, contract: Subscription | None, *, now: datetime
) -> tuple[date, date] | None:
    days = _days_back(session, renewal, contract, now=now)
    if days is None or renewal is None or contract is None:
        return None
    renewals.withdraw_open(session, contract, now=now)
    renewal.settled_at, renewal.withdrawn_at = None, now
    contract.paid_until = days[1]
    if contract.cancel_on is not None:
        contract.cancel_on = max(days[1], now.date())
    session.flush()
    return days
