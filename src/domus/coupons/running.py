"""Which contracts have a coupon that goes on, and what it takes off their next payment. Reads, and one kind of row.

Nothing is counted down: of a coupon for N payments those count whose invoices were not cancelled. What is withdrawn comes
back by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import Invoice, InvoiceState, Subscription
from domus.core.money import Money
from domus.coupons.discounts import Discount, discount
from domus.coupons.models import CouponDiscount, CouponUse
from domus.db.bulk import among, insert_rows
from domus.tax.models import percent_text


@dataclass(frozen=True, slots=True)
class Running:
    """A coupon that takes something off the next payment of a contract. ``left`` is None for all payments to come."""

    use_id: int
    code: str
    millipercent: int
    amount: Money
    left: int | None

    @property
    def worth(self) -> str:
        """Return what it takes off each payment."""
        return percent_text(self.millipercent) if self.millipercent else str(self.amount)

    def __str__(self) -> str:
        """Return it in words: ``SPRING, 20 % off each payment``."""
        if self.left is None:
            return f"{self.code}, {self.worth} off each payment"
        times = "the next payment" if self.left == 1 else f"the next {self.left} payments"
        return f"{self.code}, {self.worth} off {times}"

    def off(self, price: Money) -> Discount | None:
        """Return what it takes off a price; None when that is nothing, as for a price in another currency."""
        if not self.millipercent and self.amount.currency != price.currency:
            return None
        found = discount(self.code, price, millipercent=self.millipercent, amount=self.amount)
        return found if found.amount else None


def are_any(session: Session) -> bool:
    """Tell whether any coupon goes on beyond a first payment: without one, runs ask nothing further about coupons."""
    return bool(session.scalar(sa.select(sa.exists().where(*_goes_on()))))


def of_contracts(session: Session, subscription_ids: Sequence[int]) -> dict[int, Running]:
    """Return the coupons that take something off the next payment of these contracts."""
    which = among(session, Subscription.id, subscription_ids)
    return {row.subscription_id: _running(row) for row in session.execute(_question().where(which))}


def of_order(session: Session, order_id: uuid.UUID) -> Running | None:
    """Return the coupon that takes something off the next payment of an order's contract, if any."""
    row = session.execute(_question().where(Subscription.order_id == order_id)).one_or_none()
    return None if row is None else _running(row)


def use_of_order(session: Session, order_id: uuid.UUID) -> CouponUse | None:
    """Return the coupon that an order was placed with, whether or not it goes on."""
    return session.scalar(sa.select(CouponUse).where(CouponUse.order_id == order_id))


def note_many(session: Session, taken_off: Mapping[int, tuple[Running, Discount]]) -> None:
    """Note what coupons took off invoices, named by their ids."""
    insert_rows(
        session,
        CouponDiscount,
        ("invoice_id", "use_id", "currency", "amount_minor"),
        (
            (invoice_id, coupon.use_id, off.amount.currency, off.amount.minor)
            for invoice_id, (coupon, off) in taken_off.items()
        ),
    )


def _goes_on() -> tuple[sa.ColumnElement[bool], ...]:
    more = sa.or_(CouponUse.payments.is_(None), CouponUse.payments > 1)
    return CouponUse.given_back_at.is_(None), more


def _question() -> Any:
    counted = (
        sa.select(sa.func.count())
        .select_from(CouponDiscount)
        .join(Invoice, Invoice.id == CouponDiscount.invoice_id)
        .where(CouponDiscount.use_id == CouponUse.id, Invoice.state != InvoiceState.CANCELLED)
        .correlate(CouponUse)
        .scalar_subquery()
    )
    return (
        sa.select(
            Subscription.id.label("subscription_id"),
            CouponUse.id,
            CouponUse.code,
            CouponUse.millipercent,
            CouponUse.currency,
            CouponUse.amount_minor,
            CouponUse.payments,
            counted.label("counted"),
        )
        .select_from(Subscription)
        .join(CouponUse, CouponUse.order_id == Subscription.order_id)
        .where(*_goes_on(), sa.or_(CouponUse.payments.is_(None), CouponUse.payments > counted))
    )


def _running(row: Any) -> Running:
    left = None if row.payments is None else int(row.payments) - int(row.counted)
    amount = Money(int(row.amount_minor), row.currency)
    return Running(int(row.id), row.code, int(row.millipercent), amount, left)
