"""Which invoices earned a commission, and which commissions are due or to be taken back. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from domus.accounts.models import Account
from domus.billing.models import CreditNote, Invoice, InvoiceState, Order, Payment
from domus.catalog.models import Price
from domus.commissions.models import Commission, CommissionRate, CommissionState, Referral
from domus.contracts.models import ContractChange
from domus.core.money import Money
from domus.gateways.models import Dispute, DisputeState, GatewayRefund, RefundState
from domus.renewals.models import Renewal

Question = Any  # a SELECT


@dataclass(frozen=True, slots=True)
class Totals:
    """What an account has earned in one currency."""

    pending: Money
    """The customer can still have the money back."""
    payable: Money
    """Due, and paid by the next run or by an operator."""
    paid: Money
    """Credited to the balance, or paid out."""
    reversed: Money


def to_earn() -> Question:
    """Ask for paid invoices of accounts that somebody brought and whose product earns something; each once.

    Of one's own company nothing is earned: who has the VAT number of the one that is to be paid is that one.
    """
    referrer = aliased(Account)
    price_id = sa.func.coalesce(Renewal.price_id, ContractChange.to_price_id, Order.price_id)
    goes_on = sa.or_(Renewal.invoice_id.is_not(None), ContractChange.invoice_id.is_not(None))
    own_company = sa.and_(Account.vat_number != "", Account.vat_number == referrer.vat_number)
    return (
        sa.select(
            Invoice.id,
            Invoice.currency,
            Invoice.net_minor,
            Invoice.paid_at,
            Referral.referrer_id,
            Price.product_id,
            CommissionRate.millipercent,
            CommissionRate.fixed_minor,
        )
        .select_from(Referral)
        .join(Account, Account.id == Referral.account_id)
        .join(referrer, referrer.id == Referral.referrer_id)
        .join(Invoice, Invoice.account_id == Referral.account_id)
        .outerjoin(Order, Order.id == Invoice.order_id)
        .outerjoin(Renewal, Renewal.invoice_id == Invoice.id)
        .outerjoin(ContractChange, ContractChange.invoice_id == Invoice.id)
        .join(Price, Price.id == price_id)
        .join(
            CommissionRate,
            sa.and_(
                CommissionRate.product_id == Price.product_id, CommissionRate.currency == Invoice.currency
            ),
        )
        .where(
            Invoice.state == InvoiceState.PAID,
            Invoice.net_minor > 0,
            Invoice.paid_at >= CommissionRate.since,
            Invoice.paid_at >= Referral.at,
            sa.or_(~goes_on, CommissionRate.on_renewals),
            ~own_company,
            ~sa.exists().where(Commission.invoice_id == Invoice.id),
        )
        .order_by(Invoice.id)
    )


def to_settle(now: datetime) -> Question:
    """Ask for commissions that are pending, due, and whose invoice nobody contests at the moment."""
    return (
        sa.select(Commission.id)
        .where(Commission.state == CommissionState.PENDING, Commission.payable_at <= now, ~is_contested())
        .order_by(Commission.id)
    )


def to_reverse() -> Question:
    """Ask for commissions of invoices of which something went back, with how much; whether that is new, the caller sees."""
    taken = taken_back()
    return (
        sa.select(Commission.id, Commission.amount_minor, Commission.reversed_minor, Commission.currency)
        .add_columns(Invoice.gross_minor, taken.label("taken"))
        .join(Invoice, Invoice.id == Commission.invoice_id)
        .where(Commission.reversed_minor < Commission.amount_minor, taken > 0)
        .order_by(Commission.id)
    )


def taken_back() -> sa.ColumnElement[int]:
    """Return how much of a commission's invoice went back: credit notes, refunds made at the gateway, lost disputes."""
    credited = sa.select(sa.func.sum(CreditNote.gross_minor)).where(
        CreditNote.invoice_id == Commission.invoice_id
    )
    returned = (
        sa.select(sa.func.sum(GatewayRefund.amount_minor))
        .join(Payment, Payment.id == GatewayRefund.payment_id)
        .where(
            Payment.invoice_id == Commission.invoice_id,
            GatewayRefund.from_outside,
            GatewayRefund.state == RefundState.DONE,
        )
    )
    lost = (
        sa.select(sa.func.sum(Dispute.amount_minor))
        .join(Payment, Payment.id == Dispute.payment_id)
        .where(Payment.invoice_id == Commission.invoice_id, Dispute.state == DisputeState.LOST)
    )
    parts = [
        sa.func.coalesce(query.correlate(Commission).scalar_subquery(), 0)
        for query in (credited, returned, lost)
    ]
    return parts[0] + parts[1] + parts[2]


def is_contested() -> sa.ColumnElement[bool]:
    """Ask whether a payment of a commission's invoice is in dispute."""
    return (
        sa.exists()
        .where(
            Payment.invoice_id == Commission.invoice_id,
            Dispute.payment_id == Payment.id,
            Dispute.state == DisputeState.OPEN,
        )
        .correlate(Commission)
    )


def brought(session: Session, account_id: int) -> int:
    """Return how many accounts came by the link of an account."""
    count = sa.select(sa.func.count()).select_from(Referral).where(Referral.referrer_id == account_id)
    return session.scalar(count) or 0


def totals_of(session: Session, account_id: int, *, now: datetime) -> list[Totals]:
    """Return what an account has earned, currency by currency."""
    left = Commission.amount_minor - Commission.reversed_minor
    is_pending = Commission.state == CommissionState.PENDING
    is_due = Commission.payable_at <= now
    query = (
        sa.select(
            Commission.currency,
            sa.func.sum(sa.case((sa.and_(is_pending, ~is_due), left), else_=0)),
            sa.func.sum(sa.case((sa.and_(is_pending, is_due), left), else_=0)),
            sa.func.sum(sa.case((is_pending, 0), else_=left)),
            sa.func.sum(Commission.reversed_minor),
        )
        .where(Commission.account_id == account_id)
        .group_by(Commission.currency)
        .order_by(Commission.currency)
    )
    return [
        Totals(*(Money(int(minor), currency) for minor in minors))
        for currency, *minors in session.execute(query)
    ]


def newest_of(session: Session, account_id: int, *, limit: int = 50) -> Sequence[Commission]:
    """Return the newest commissions of an account: nothing of them says who the customer is."""
    query = sa.select(Commission).where(Commission.account_id == account_id)
    return session.scalars(query.order_by(Commission.id.desc()).limit(limit)).all()
