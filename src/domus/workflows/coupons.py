"""Coupons: edited by operators, and looked at by customers before they order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import throttle
from domus.accounts.actor import Actor
from domus.catalog.models import Price
from domus.core.errors import InvalidInput
from domus.coupons import services
from domus.coupons.discounts import Discount
from domus.coupons.editing import CouponFields, check_coupon, parse_amounts
from domus.coupons.models import Coupon, CouponProduct
from domus.db.engine import Database
from domus.workflows import editing

__all__ = ["CouponFields", "CouponQuote", "all_coupons", "delete", "parse_amounts", "quote", "save"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponQuote:
    """What a coupon would take off each of some prices, by their ids, or why it would take nothing off."""

    code: str
    payments: int | None
    off: Mapping[int, Discount]
    refused: Mapping[int, str]


def save(db: Database, *, coupon_id: int | None, fields: CouponFields, actor: Actor, now: datetime) -> Coupon:
    """Add a coupon, or change one: orders that it was used for keep what it was worth then."""

    def check(session: Session) -> CouponFields:
        if coupon_id is not None:
            # Whoever uses it at this moment is counted first, so that no limit is set below that.
            session.execute(sa.select(Coupon.id).where(Coupon.id == coupon_id).with_for_update())
        return check_coupon(session, fields, own_id=coupon_id)

    return editing.save(
        db, Coupon, coupon_id, check, what="coupon", created={"created_at": now, "used": 0},
        load=lambda coupon: coupon.product_ids, actor=actor, now=now,
    )  # fmt: skip


def all_coupons(db: Database, *, actor: Actor) -> Sequence[Coupon]:
    """Return all coupons by their codes; for operators."""
    actor.require_operator()
    with db.reading() as session:
        return session.scalars(sa.select(Coupon).order_by(Coupon.code)).all()


def delete(db: Database, *, coupon_id: int, actor: Actor, now: datetime) -> None:
    """Delete a coupon that was never used."""

    def delete_links(session: Session, coupon: Coupon) -> None:
        session.execute(sa.delete(CouponProduct).where(CouponProduct.coupon_id == coupon.id))

    editing.delete(
        db, Coupon, coupon_id, what="coupon", instead="switch it off instead", first=delete_links, actor=actor, now=now
    )  # fmt: skip


def quote(
    db: Database, code: str, prices: Sequence[Price], *, account_id: int, actor: Actor, now: datetime
) -> CouponQuote:
    """Return what a coupon would take off an order at each price, before anything is ordered.

    Raises InvalidInput when there is no such coupon, and TooManyAttempts when an account tries one code after the other.
    """
    actor.require_account(account_id, what="account")
    limit = throttle.coupons_per_account(account_id)
    with db.unit_of_work() as session:
        throttle.count_attempt(session, limit, now=now)
    with db.unit_of_work() as session:
        coupon = services.find(session, code)
        throttle.forgive(session, address=limit, now=now)
        off: dict[int, Discount] = {}
        refused: dict[int, str] = {}
        for price in prices:
            try:
                off[price.id] = services.check(session, coupon, price, account_id=account_id, now=now)
            except InvalidInput as error:
                refused[price.id] = str(error)
        return CouponQuote(code=coupon.code, payments=coupon.payments, off=off, refused=refused)
