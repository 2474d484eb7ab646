"""What was paid for which days of a contract, read from its invoices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.billing.models import Invoice, InvoiceState, Order, Subscription
from domus.contracts.models import ChangeState, ContractChange
from domus.contracts.proration import Span, replaced
from domus.core.money import Money
from domus.coupons.models import Coupon, CouponUse
from domus.renewals.models import Renewal
from domus.tax.models import Company
from domus.tax.rules import Decision


@dataclass(frozen=True, slots=True)
class Pricing:
    """How a seller's catalogue is to be read: with or without tax, and that tax."""

    company: Company
    decision: Decision

    def in_catalogue(self, invoice: Invoice) -> Money:
        """Return what was paid for an invoice, less what was credited of it, as the catalogue's prices are written."""
        net, tax = invoice.net_minor, invoice.tax_minor
        net -= sum(note.net_minor for note in invoice.credit_notes)
        tax -= sum(note.tax_minor for note in invoice.credit_notes)
        return self.as_priced(invoice, net, tax)

    def as_priced(self, invoice: Invoice, net: int, tax: int) -> Money:
        """Return a net amount and its tax (minor units) of an invoice as the catalogue's prices are written."""
        if not self.company.prices_include_tax:
            return Money(net, invoice.currency)
        if invoice.tax_country:
            return Money(net + tax, invoice.currency)
        return Money(net, invoice.currency).times(Fraction(1) + self.decision.home_ratio)


def paid_spans(session: Session, contract: Subscription, pricing: Pricing) -> list[Span]:
    """Return the days of a contract that are paid for with what was paid for each stretch of them, less what was credited.

    Set-up fees are not paid by the day. What an invoice asked for counts, not what its price is by now.
    """
    spans = []
    order = session.get_one(Order, contract.order_id, options=[joinedload(Order.price)])
    first = order.price.period.end(contract.started_on, anchor_day=contract.anchor_day)
    for invoice in _of_order(session, order):
        paid = _lower(pricing.in_catalogue(invoice), _for_days(session, order, invoice, pricing))
        spans.append(Span(starts_on=contract.started_on, ends_on=first, paid=paid))
    steps: list[tuple[datetime, Renewal | ContractChange]] = []
    steps += [(row.settled_at, row) for row in _renewals(session, contract.id) if row.settled_at]
    steps += [(row.done_at, row) for row in changes_done(session, contract.id) if row.done_at]
    for _, row in sorted(steps, key=lambda step: step[0]):
        if isinstance(row, Renewal):
            paid = pricing.in_catalogue(row.invoice)
            spans.append(Span(starts_on=row.starts_on, ends_on=row.ends_on, paid=paid))
        else:
            paid = row.charge if row.invoice is None else row.credit + pricing.in_catalogue(row.invoice)
            paid = Money(max(0, min(paid.minor, row.charge_minor)), row.currency)
            spans = replaced(spans, Span(starts_on=row.effective_on, ends_on=row.until, paid=paid))
    return spans


def invoice_ids(session: Session, contract: Subscription) -> list[int]:
    """Return the invoices that were made out for a contract: its order's, its renewals' and its changes'."""
    of_order = session.scalars(sa.select(Invoice.id).where(Invoice.order_id == contract.order_id)).all()
    renewals = sa.select(Renewal.invoice_id).where(Renewal.subscription_id == contract.id)
    changes = sa.select(ContractChange.invoice_id).where(
        ContractChange.subscription_id == contract.id, ContractChange.invoice_id.is_not(None)
    )
    found = [*of_order, *session.scalars(renewals), *session.scalars(changes)]
    return [key for key in found if key is not None]


def changes_done(session: Session, subscription_id: int) -> list[ContractChange]:
    """Return the changes of a contract that took place, the first one first."""
    query = sa.select(ContractChange).where(
        ContractChange.subscription_id == subscription_id, ContractChange.state == ChangeState.DONE
    )
    with_invoice = query.options(joinedload(ContractChange.invoice).selectinload(Invoice.credit_notes))
    return list(session.scalars(with_invoice.order_by(ContractChange.done_at, ContractChange.id)))


def _of_order(session: Session, order: Order) -> list[Invoice]:
    query = sa.select(Invoice).where(Invoice.order_id == order.id, Invoice.state == InvoiceState.PAID)
    return list(
        session.scalars(query.options(selectinload(Invoice.credit_notes), selectinload(Invoice.lines)))
    )


def _renewals(session: Session, subscription_id: int) -> list[Renewal]:
    query = (
        sa.select(Renewal)
        .where(Renewal.subscription_id == subscription_id, Renewal.settled_at.is_not(None))
        .options(joinedload(Renewal.invoice).selectinload(Invoice.credit_notes))
    )
    return list(session.scalars(query.order_by(Renewal.starts_on)))


def _for_days(session: Session, order: Order, invoice: Invoice, pricing: Pricing) -> Money:
    """Return what an order's invoice asked for its days: all but the set-up fee, less what of the coupon is not off that.

    The lines stand as `open_order_invoice` writes them: the period, the add-ons, the set-up fee, the discount.
    """
    count = 1 + len(order.addons)
    days, others = invoice.lines[:count], invoice.lines[count:]
    set_up = sum(line.net_minor for line in others if line.net_minor > 0)
    off = [line for line in others if line.net_minor < 0]
    share = Fraction(1)
    if off and set_up and _covers_set_up_fee(session, order):
        share = Fraction(days[0].net_minor, days[0].net_minor + set_up)
    net, tax = (
        Money(sum(getattr(line, name) for line in days), invoice.currency)
        + Money(sum(getattr(line, name) for line in off), invoice.currency).times(share)
        for name in ("net_minor", "tax_minor")
    )
    return pricing.as_priced(invoice, net.minor, tax.minor)


def _covers_set_up_fee(session: Session, order: Order) -> bool:
    covers = sa.select(Coupon.covers_setup_fee).join(CouponUse, CouponUse.coupon_id == Coupon.id)
    return bool(session.scalar(covers.where(CouponUse.order_id == order.id)))


def _lower(one: Money, other: Money) -> Money:
    return Money(max(0, min(one.minor, other.minor)), one.currency)
