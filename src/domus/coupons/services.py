"""Coupons being used and given back. Each works in the caller's transaction.

The coupon's row is locked after everything else that an order locks, by those who use it and those who give it back.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import Invoice, InvoiceState, Order, OrderState
from domus.catalog.models import Price
from domus.core.errors import InvalidInput
from domus.coupons.discounts import (
    FIELD,
    Discount,
    first_discount,
    parse_code,
    refuse_unless_for,
    refuse_unless_valid,
    used_up,
)
from domus.coupons.models import Coupon, CouponDiscount, CouponUse
from domus.db.locks import lock_name
from domus.db.rows import changed_rows


def find(session: Session, code: str) -> Coupon:
    """Return the coupon of a code as somebody typed it; raise InvalidInput when there is none."""
    known = parse_code(code)
    coupon = session.scalar(sa.select(Coupon).where(Coupon.code == known))
    if coupon is None:
        raise InvalidInput(f"There is no coupon {known}.", field=FIELD)
    return coupon


def check(session: Session, coupon: Coupon, price: Price, *, account_id: int, now: datetime) -> Discount:
    """Return what a coupon would take off an account's order at a price; raise InvalidInput that says why it would not.

    Nothing is held by this: `use` decides.
    """
    if coupon.max_uses is not None and coupon.used >= coupon.max_uses:
        raise used_up(coupon)
    refuse_unless_valid(coupon, today=now.date())
    refuse_unless_for(coupon, price)
    _refuse_account(session, coupon, account_id, None)
    return first_discount(coupon, price)


def use(session: Session, coupon: Coupon, order: Order, *, now: datetime) -> tuple[CouponUse, Discount]:
    """Use a coupon for an order that was just made; raise InvalidInput when it is refused, and the caller rolls back.

    Whoever uses it at the same instant waits here until this transaction ends, and is then counted.
    """
    if coupon.first_order_only:
        # Two orders at once, each with another coupon for first orders: one of them is not the first.
        lock_name(session, f"first-order:{order.account_id}")
    another = sa.or_(Coupon.max_uses.is_(None), Coupon.used < Coupon.max_uses)
    counted = sa.update(Coupon).where(Coupon.id == coupon.id, another).values(used=Coupon.used + 1)
    if not changed_rows(session, counted.execution_options(synchronize_session=False)):
        raise used_up(coupon)
    # An operator may have changed it a moment ago; from here on nobody does.
    session.refresh(coupon)
    refuse_unless_valid(coupon, today=now.date())
    refuse_unless_for(coupon, order.price)
    _refuse_account(session, coupon, order.account_id, order.id)
    taken_off = first_discount(coupon, order.price)
    currency = order.price.currency
    row = CouponUse(
        coupon_id=coupon.id,
        account_id=order.account_id,
        order_id=order.id,
        place=_free_place(session, coupon.id, order.account_id),
        code=coupon.code,
        millipercent=coupon.millipercent,
        currency=currency,
        amount_minor=0 if coupon.millipercent else int(coupon.amounts[currency]),
        payments=coupon.payments,
        used_at=now,
    )
    session.add(row)
    session.flush()
    return row, taken_off


def note(session: Session, used: CouponUse, invoice: Invoice, taken_off: Discount) -> None:
    """Note what a coupon took off an invoice."""
    session.add(
        CouponDiscount(
            invoice_id=invoice.id,
            use_id=used.id,
            currency=taken_off.amount.currency,
            amount_minor=taken_off.amount.minor,
        )
    )
    session.flush()


def give_back(session: Session, order_id: uuid.UUID, *, now: datetime) -> bool:
    """Let the coupon of an order that was given up be used again; False when there was none, or it was given back."""
    query = sa.select(CouponUse.id, CouponUse.coupon_id).where(CouponUse.order_id == order_id)
    found = session.execute(query).one_or_none()
    if found is None:
        return False
    open_one = (CouponUse.id == found.id, CouponUse.given_back_at.is_(None))
    if not changed_rows(session, sa.update(CouponUse).where(*open_one).values(given_back_at=now)):
        return False
    session.execute(sa.update(Coupon).where(Coupon.id == found.coupon_id).values(used=Coupon.used - 1))
    return True


def end_unless_for(session: Session, order_id: uuid.UUID, price: Price) -> bool:
    """Let the coupon of an order take nothing off any further payment, unless it is for what the contract is changed to.

    Otherwise a coupon for the smallest product would pay for the largest one. Returns whether it was ended.
    """
    used = session.scalar(
        sa.select(CouponUse).where(CouponUse.order_id == order_id, CouponUse.given_back_at.is_(None))
    )
    if used is None:
        return False
    try:
        refuse_unless_for(used.coupon, price)
    except InvalidInput:
        counted = (
            sa.select(sa.func.count())
            .select_from(CouponDiscount)
            .join(Invoice, Invoice.id == CouponDiscount.invoice_id)
            .where(CouponDiscount.use_id == used.id, Invoice.state != InvoiceState.CANCELLED)
        )
        used.payments = max(1, session.scalar(counted) or 0)
        session.flush()
        return True
    return False


def _refuse_account(session: Session, coupon: Coupon, account_id: int, order_id: uuid.UUID | None) -> None:
    """Raise InvalidInput when this account cannot use the coupon (again); *order_id* is the order that it is for."""
    if coupon.max_uses_per_account is not None:
        mine = sa.select(sa.func.count()).where(
            CouponUse.coupon_id == coupon.id,
            CouponUse.account_id == account_id,
            CouponUse.given_back_at.is_(None),
        )
        if (session.scalar(mine) or 0) >= coupon.max_uses_per_account:
            times = "once" if coupon.max_uses_per_account == 1 else f"{coupon.max_uses_per_account} times"
            raise InvalidInput(
                f"The coupon {coupon} can be used {times} by an account, which was done.", field=FIELD
            )
    if coupon.first_order_only:
        others = sa.exists().where(Order.account_id == account_id, Order.state != OrderState.CANCELLED)
        if order_id is not None:
            others = others.where(Order.id != order_id)
        if session.scalar(sa.select(others)):
            raise InvalidInput(f"The coupon {coupon} is for an account's first order.", field=FIELD)


def _free_place(session: Session, coupon_id: int, account_id: int) -> int:
    """Return the lowest place that no use of the account stands at."""
    taken = set(
        session.scalars(
            sa.select(CouponUse.place).where(
                CouponUse.coupon_id == coupon_id,
                CouponUse.account_id == account_id,
                CouponUse.given_back_at.is_(None),
            )
        )
    )
    return next(place for place in range(1, len(taken) + 2) if place not in taken)
