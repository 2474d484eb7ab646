"""Load a catalogue from a file: places with their pools and dom0s, operating systems, products with their prices.

What has the same name already is left as it is, so that loading a file twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from typing import Any

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.catalog.models import OsTemplate, Price, Product
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.db.engine import Database
from domus.inventory.models import Dom0, IpAddress, IpPool, Location
from domus.workflows import catalog, inventory
from domus.workflows.catalog_file import entries, mapping, named, parse, read

_MIB = 2**20


def sample() -> str:
    """Return the text of the catalogue that Domus is shipped with."""
    return resources.files("domus.catalog").joinpath("sample.yaml").read_text(encoding="utf-8")


def seed(db: Database, *, text: str | None = None, actor: Actor, now: datetime) -> Counter[str]:
    """Add what the YAML text describes and is not there yet; return how many of each kind were added.

    Without a text, the sample. Raises InvalidInput that names the place in the file; what stands before that is added then,
    and loading the corrected file goes on from there.
    """
    actor.require_operator()
    document = parse(sample() if text is None else text)
    seeder = _Seeder(db, actor, now)
    sections = {"locations": seeder.location, "templates": seeder.template, "products": seeder.product}
    unknown = sorted(set(document) - set(sections))
    if unknown:
        raise InvalidInput(
            f"{unknown[0]!r} is not a part of a catalogue; its parts are {', '.join(sections)}."
        )
    for section, add in sections.items():
        for entry, where in entries(document.get(section), section):
            with named(where):
                add(entry)
    return seeder.added


@dataclass
class _Seeder:
    """Adds one entry at a time, each through the workflow that the operator's editor uses."""

    db: Database
    actor: Actor
    now: datetime
    added: Counter[str] = field(default_factory=Counter)

    def location(self, entry: dict[str, Any]) -> None:
        pools = list(entries(entry.pop("pools", None), "pools"))
        dom0s = list(entries(entry.pop("dom0s", None), "dom0s"))
        wanted = read(inventory.LocationFields, entry)
        location_id = self._id(Location, Location.name == wanted.name)
        if location_id is None:
            row = inventory.save_location(
                self.db, location_id=None, fields=wanted, actor=self.actor, now=self.now
            )
            location_id = row.id
            self.added["location"] += 1
        for add, children in ((self._pool, pools), (self._dom0, dom0s)):
            for child, place in children:
                with named(place):
                    add(child | {"location_id": location_id})

    def template(self, entry: dict[str, Any]) -> None:
        wanted = read(catalog.TemplateFields, entry)
        if self._id(OsTemplate, OsTemplate.name == wanted.name) is None:
            catalog.save_template(self.db, template_id=None, fields=wanted, actor=self.actor, now=self.now)
            self.added["template"] += 1

    def product(self, entry: dict[str, Any]) -> None:
        prices = list(entries(entry.pop("prices", None), "prices"))
        traffic_mib = entry.pop("traffic_mib", 0)
        if not isinstance(traffic_mib, int):
            raise InvalidInput(f"{traffic_mib!r} is no whole number.", field="traffic_mib")
        entry["traffic_bytes"] = traffic_mib * _MIB
        wanted = read(catalog.ProductFields, entry)
        product_id = self._id(Product, Product.name == wanted.name)
        if product_id is None:
            row = catalog.save_product(
                self.db, product_id=None, fields=wanted, actor=self.actor, now=self.now
            )
            product_id = row.id
            self.added["product"] += 1
        for price, place in prices:
            with named(place):
                self._price(price, product_id, renewal_of=None)

    def _pool(self, entry: dict[str, Any]) -> None:
        addresses = entry.pop("addresses", None)
        wanted = read(inventory.PoolFields, entry)
        pool_id = self._id(IpPool, IpPool.network == wanted.network)
        if pool_id is None:
            row = inventory.save_pool(self.db, pool_id=None, fields=wanted, actor=self.actor, now=self.now)
            pool_id = row.id
            self.added["pool"] += 1
        if addresses is None or self._id(IpAddress, IpAddress.pool_id == pool_id) is not None:
            return
        ends = mapping(addresses, "addresses")
        self.added["address"] += inventory.add_addresses(
            self.db,
            pool_id=pool_id,
            first=str(ends.get("first", "")),
            last=str(ends.get("last", "")),
            actor=self.actor,
            now=self.now,
        )

    def _dom0(self, entry: dict[str, Any]) -> None:
        wanted = read(inventory.Dom0Fields, entry)
        if self._id(Dom0, Dom0.minion_id == wanted.minion_id) is None:
            inventory.save_dom0(self.db, dom0_id=None, fields=wanted, actor=self.actor, now=self.now)
            self.added["dom0"] += 1

    def _price(self, entry: dict[str, Any], product_id: int, *, renewal_of: Price | None) -> None:
        renewals = list(entries(entry.pop("renewals", None), "renewals"))
        wanted = _price_fields(entry, product_id, renewal_of)
        same = (
            Price.product_id == product_id,
            Price.period_text == wanted.period_text,
            Price.currency == wanted.currency,
            Price.renewal_of_id.is_not_distinct_from(wanted.renewal_of_id),
        )
        price_id = self._id(Price, *same)
        if price_id is None:
            row = catalog.save_price(self.db, price_id=None, fields=wanted, actor=self.actor, now=self.now)
            price_id = row.id
            self.added["price"] += 1
        with self.db.reading() as session:
            price = session.get_one(Price, price_id)
        for renewal, place in renewals:
            with named(place):
                self._price({"currency": price.currency} | renewal, product_id, renewal_of=price)

    def _id(self, model: type[Any], *conditions: sa.ColumnElement[bool]) -> int | None:
        """Return the id of a row that meets the conditions."""
        with self.db.reading() as session:
            found: int | None = session.scalar(sa.select(model.id).where(*conditions).limit(1))
        return found


def _price_fields(entry: dict[str, Any], product_id: int, renewal_of: Price | None) -> catalog.PriceFields:
    """Return the fields of a price, whose amounts stand in the file as people write them."""
    currency = str(entry.get("currency", ""))
    amounts = {
        f"{name}_minor": Money.parse(str(entry.pop(name)), currency, field=name).minor
        for name in ("amount", "setup_fee")
        if name in entry
    }
    columns = entry | amounts | {"product_id": product_id, "period_text": entry.pop("period", None)}
    columns.pop("period", None)
    wanted = read(catalog.PriceFields, columns)
    return replace(wanted, renewal_of_id=None if renewal_of is None else renewal_of.id)
