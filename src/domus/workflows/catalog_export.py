"""The catalogue as the text of a file: what is sold, from which addresses, and an operator's own words for mails.

Everything is named as people name it, never by a number of the database; `catalog_import` reads the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from domus.accounts.actor import Actor
from domus.catalog.addons import AddonFields
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.catalog.services import ProductFields, TemplateFields
from domus.core.money import Money
from domus.coupons.models import Coupon
from domus.db.engine import Database
from domus.inventory.models import AddressState, IpAddress, IpPool, Location
from domus.inventory.networks import MAX_RANGE
from domus.inventory.services import LocationFields, PoolFields
from domus.mail.models import MailTemplate
from domus.mail.services import TemplateFields as MailFields
from domus.renewals.dunning import Terms
from domus.renewals.models import RenewalTerms
from domus.workflows.catalog_coupons import coupon_entry
from domus.workflows.catalog_file import entry_of, write

MIB = 2**20


def export(db: Database, *, actor: Actor) -> str:
    """Return the whole catalogue as YAML. The same catalogue gives the same text, and reading it again changes nothing."""
    actor.require_operator()
    with db.reading() as session:
        return text_of(session)


def text_of(session: Session) -> str:
    """Return the catalogue as this session sees it."""
    days = {row.product_id: row for row in session.scalars(sa.select(RenewalTerms))}
    pools: dict[int, list[dict[str, Any]]] = {}
    for pool in session.scalars(sa.select(IpPool).order_by(IpPool.id)):
        pools.setdefault(pool.location_id, []).append(_pool(session, pool))
    products = (
        sa.select(Product)
        .order_by(Product.id)
        .options(selectinload(Product.prices), selectinload(Product.addons).selectinload(Addon.prices))
    )
    coupons = sa.select(Coupon).order_by(Coupon.id)
    return write(
        {
            "locations": [
                entry_of(LocationFields, row) | _if_any("pools", pools.get(row.id, []))
                for row in session.scalars(sa.select(Location).order_by(Location.id))
            ],
            "templates": [
                entry_of(TemplateFields, row)
                for row in session.scalars(sa.select(OsTemplate).order_by(OsTemplate.id))
            ],
            "products": [_product(row, days.get(row.id)) for row in session.scalars(products)],
            "coupons": [coupon_entry(row) for row in session.scalars(coupons)],
            "mail_texts": [
                entry_of(MailFields, row)
                for row in session.scalars(sa.select(MailTemplate).order_by(MailTemplate.id))
            ],
        }
    )


def traffic(traffic_bytes: int) -> dict[str, int]:
    """Return the traffic of a month in MiB, as DTC has it, or in bytes where that would lose some."""
    whole, rest = divmod(traffic_bytes, MIB)
    return {"traffic_bytes": traffic_bytes} if rest else {"traffic_mib": whole}


def number(amount: Money) -> str:
    """Return an amount as it is typed, without its currency."""
    return str(amount).partition(" ")[0]


def _product(product: Product, days: RenewalTerms | None) -> dict[str, Any]:
    entry = entry_of(ProductFields, product, "traffic_bytes") | traffic(product.traffic_bytes)
    if days is not None:
        entry["renewal_days"] = entry_of(Terms, days)
    to_order = [price for price in product.prices if price.renewal_of_id is None]
    return (
        entry
        | _if_any("prices", [_price(price, product.prices) for price in to_order])
        | _if_any("addons", [_addon(addon) for addon in product.addons])
    )


def _addon(addon: Addon) -> dict[str, Any]:
    prices = [
        {"period": price.period_text, "currency": price.currency, "amount": number(price.amount)}
        for price in addon.prices
    ]
    return entry_of(AddonFields, addon, "product_id") | {"prices": prices}


def _price(price: Price, prices: Sequence[Price]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "period": price.period_text,
        "currency": price.currency,
        "amount": number(price.amount),
    }
    if price.renewal_of_id is None:
        entry["setup_fee"] = number(price.setup_fee)
    entry["active"] = price.active
    renewals = [other for other in prices if other.renewal_of_id == price.id]
    return entry | _if_any("renewals", [_price(renewal, prices) for renewal in renewals])


def _pool(session: Session, pool: IpPool) -> dict[str, Any]:
    known = (
        sa.select(IpAddress.position, IpAddress.address, IpAddress.state)
        .where(IpAddress.pool_id == pool.id)
        .order_by(IpAddress.position)
    )
    addresses = [
        (row.position, row.address, row.state is AddressState.WITHHELD) for row in session.execute(known)
    ]
    return entry_of(PoolFields, pool, "location_id") | _if_any("addresses", list(_ranges(addresses)))


def _ranges(addresses: Sequence[tuple[int, str, bool]]) -> Iterable[dict[str, Any]]:
    """Yield the ranges of addresses that follow one another and are on sale, or are not."""
    first = 0
    breaks = [
        index
        for index, (one, other) in enumerate(pairwise(addresses), start=1)
        if other[0] != one[0] + 1 or other[2] is not one[2]
    ]
    for end in [*breaks, len(addresses)]:
        for start in range(first, end, MAX_RANGE):
            last = min(start + MAX_RANGE, end) - 1
            entry: dict[str, Any] = {"first": addresses[start][1], "last": addresses[last][1]}
            yield entry | ({"withheld": True} if addresses[start][2] else {})
        first = end


def _if_any(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: entries} if entries else {}
