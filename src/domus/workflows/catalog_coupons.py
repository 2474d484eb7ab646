"""Coupons as entries of a catalogue file: percentages and amounts as people write them, products by their names.

How often a coupon was used is no part of it: that is history, not catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.catalog.models import Product
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.coupons.editing import CouponFields
from domus.coupons.models import Coupon
from domus.tax.services import parse_percent
from domus.workflows.catalog_file import entry_of

_DAYS = ("valid_from", "valid_until")


def coupon_entry(coupon: Coupon) -> dict[str, Any]:
    """Return a coupon as an entry that `coupon_columns` makes the same fields of."""
    entry = entry_of(CouponFields, coupon, "millipercent", "amounts", "product_ids")
    if coupon.millipercent:
        worth: dict[str, Any] = {"percent": coupon.worth.removesuffix(" %")}
    else:
        amounts = sorted(coupon.amounts.items())
        worth = {"amounts": {code: str(Money(minor, code)).partition(" ")[0] for code, minor in amounts}}
    return {
        "code": entry.pop("code"),
        **worth,
        **entry,
        "products": [one.product.name for one in coupon.links],
    }


def coupon_columns(session: Session, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as columns of a coupon; raise InvalidInput for what cannot be read."""
    columns = dict(entry)
    if "percent" in columns:
        columns["millipercent"] = parse_percent(str(columns.pop("percent")), field="percent")
        columns.setdefault("amounts", {})
    if "amounts" in columns:
        columns["amounts"] = _amounts(columns["amounts"])
        columns.setdefault("millipercent", 0)
    if "products" in columns:
        columns["product_ids"] = _product_ids(session, columns.pop("products"))
    for name in _DAYS:
        day = columns.get(name)
        if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
            raise InvalidInput(f"{day!r} is no day; write it as 2027-01-31, without quotes.", field=name)
    return columns


def _amounts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{value!r} is no map of currencies to amounts.", field="amounts")
    return {
        str(code): Money.parse(str(amount), str(code), field="amounts").minor
        for code, amount in value.items()
    }


def _product_ids(session: Session, names: Any) -> Sequence[int]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"{names!r} is no list of names of products.", field="products")
    query = sa.select(Product.name, Product.id).where(Product.name.in_(names))
    found = {row.name: row.id for row in session.execute(query)}
    missing = next((name for name in names if name not in found), None)
    if missing is not None:
        raise InvalidInput(f"There is no product {missing!r}.", field="products")
    return sorted(found.values())
