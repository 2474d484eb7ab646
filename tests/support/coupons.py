"""Coupons for tests."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.coupons.models import Coupon, CouponUse
from domus.db.engine import Database
from domus.workflows import coupons
from domus.workflows.coupons import CouponFields
from tests.support.builders import NOW


def make_coupon(db: Database, code: str = "SPRING", **fields: Any) -> Coupon:
    """Make a coupon; of 20 % unless it takes off amounts."""
    worth: dict[str, Any] = {} if "amounts" in fields else {"millipercent": 20_000}
    return coupons.save(
        db, coupon_id=None, fields=CouponFields(code=code, **worth | fields), actor=Actor.shell("test"), now=NOW
    )  # fmt: skip


def used(db: Database, code: str = "SPRING") -> int:
    """Return how often a coupon counts as used."""
    with db.reading() as session:
        return session.scalars(sa.select(Coupon.used).where(Coupon.code == code)).one()


def uses(db: Database) -> list[CouponUse]:
    """Return all uses with what they took off, the oldest first."""
    with db.reading() as session:
        rows = session.scalars(sa.select(CouponUse).order_by(CouponUse.id)).all()
        for row in rows:
            _ = row.discounts
        return list(rows)
