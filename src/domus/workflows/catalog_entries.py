"""The entries of a catalogue file, each written into its row through the checks that the operator's editor uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.catalog import services as catalog
from domus.catalog.addons import AddonFields, AddonPriceFields
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.catalog.services import PriceFields, ProductFields, TemplateFields
from domus.core.errors import Conflict, InvalidInput
from domus.core.money import Money
from domus.core.periods import Period
from domus.coupons.discounts import parse_code
from domus.coupons.editing import CouponFields, check_coupon
from domus.coupons.models import Coupon
from domus.db.base import Base
from domus.inventory import ranges
from domus.inventory import services as inventory
from domus.inventory.models import IpPool, Location
from domus.inventory.services import LocationFields, PoolFields
from domus.mail import services as mail
from domus.mail.models import MailTemplate
from domus.mail.services import TemplateFields as MailFields
from domus.renewals.models import RenewalTerms
from domus.workflows import addons, editing
from domus.workflows.catalog_coupons import coupon_columns
from domus.workflows.catalog_export import MIB
from domus.workflows.catalog_file import entries, fields_of, mapping, named, read
from domus.workflows.renewals import terms

Row = TypeVar("Row", bound=Base)
Check = Callable[..., Any]

#: A longer value is cut where a change is told.
_TELL = 60


@dataclass
class Entries:
    """Writes one entry at a time, and keeps what it changed, in words."""

    session: Session
    actor: Actor
    now: datetime
    changes: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def sections(self) -> Mapping[str, Callable[[dict[str, Any]], None]]:
        """Return what writes an entry of each section, in the order in which they depend on one another."""
        return {
            "locations": self._location,
            "templates": self._template,
            "products": self._product,
            "coupons": self._coupon,
            "mail_texts": self._mail,
        }

    def not_named(self, document: Mapping[str, Any]) -> Iterator[str]:
        """Yield what stays as it is because the sections of the file do not name it."""
        named_by: Sequence[tuple[str, str, Any]] = (
            ("locations", "location", Location), ("locations", "pool", IpPool), ("templates", "template", OsTemplate),
            ("products", "product", Product), ("coupons", "coupon", Coupon), ("mail_texts", "mail text", MailTemplate),
        )  # fmt: skip
        for section, what, model in named_by:
            if section not in document:
                continue
            for row in self.session.scalars(sa.select(model).order_by(model.id)):
                if (what, name := _name_of(row)) not in self._seen:
                    yield f"{what.capitalize()} {name} is not in the file and stays as it is."

    def _location(self, entry: dict[str, Any]) -> None:
        pools = list(entries(entry.pop("pools", None), "pools"))
        name = self._name(entry, "name", "location")
        row = self._find(Location, Location.name == name)
        location = self._write(Location, LocationFields, row, entry, inventory.check_location, "location")
        for pool, place in pools:
            with named(place):
                self._pool(pool, location)

    def _pool(self, entry: dict[str, Any], location: Location) -> None:
        spans = list(entries(entry.pop("addresses", None), "addresses"))
        network = self._name(entry, "network", "pool")
        row = self._find(IpPool, IpPool.network == network)
        entry["location_id"] = location.id
        pool = self._write(IpPool, PoolFields, row, entry, inventory.check_pool, "pool")
        if not spans:
            return
        wanted: dict[int, bool] = {}
        for span, place in spans:
            with named(place):
                ends = read(ranges.AddressRange, span)
                wanted |= dict.fromkeys(ranges.positions(pool, ends), ends.withheld)
        done = ranges.merge(self.session, pool, wanted)
        for count, words in (
            (done.added, "to be added"), (done.withheld, "to be kept out of sale"), (done.freed, "to be put on sale"),
        ):  # fmt: skip
            if count:
                self.changes.append(f"Pool {network}: {count} {_addresses(count)} {words}.")
        if done.not_named:
            self.kept.append(
                f"Pool {network}: {done.not_named} {_addresses(done.not_named)} not in the file, which stay."
            )

    def _template(self, entry: dict[str, Any]) -> None:
        name = self._name(entry, "name", "template")
        row = self._find(OsTemplate, OsTemplate.name == name)
        self._write(OsTemplate, TemplateFields, row, entry, catalog.check_template, "template")

    def _product(self, entry: dict[str, Any]) -> None:
        prices = list(entries(entry.pop("prices", None), "prices"))
        pieces = list(entries(entry.pop("addons", None), "addons"))
        days = entry.pop("renewal_days", None)
        if "traffic_mib" in entry:
            entry["traffic_bytes"] = _whole(entry.pop("traffic_mib"), "traffic_mib") * MIB
        name = self._name(entry, "name", "product")
        row = self._find(Product, Product.name == name)
        created = {"created_at": self.now}
        product = self._write(
            Product, ProductFields, row, entry, catalog.check_product, "product", created=created
        )
        if days is not None:
            with named("renewal_days"):
                self._days(mapping(days, "renewal_days"), product)
        self._prices(prices, product, renewed=None)
        for addon, place in pieces:
            with named(place):
                self._addon(addon, product)
        for other in self.session.scalars(sa.select(Addon).where(Addon.product_id == product.id)):
            if ("add-on", f"{product}: {other}") not in self._seen:
                self.kept.append(
                    f"Add-on {other} of product {product} is not in the file and stays as it is."
                )

    def _addon(self, entry: dict[str, Any], product: Product) -> None:
        prices = None if "prices" not in entry else list(entries(entry.pop("prices"), "prices"))
        name = entry.get("name")
        self._once("add-on", f"{product}: {name}")
        row = self._find(Addon, Addon.product_id == product.id, Addon.name == name)
        wanted = read(
            AddonFields,
            entry | {"product_id": product.id},
            base=None if row is None else fields_of(AddonFields, row),
        )
        amounts = [] if row is None else [fields_of(AddonPriceFields, price) for price in row.prices]
        if prices is not None:
            amounts = [_addon_price(price, place) for price, place in prices]
        try:
            made, changed = addons.write(self.session, row, wanted, amounts, actor=self.actor, now=self.now)
        except Conflict as error:
            raise InvalidInput(str(error)) from error
        self._tell(f"add-on {made} of product {product}", changed, is_new=row is None)

    def _days(self, entry: dict[str, Any], product: Product) -> None:
        for name in ("remind_before", "remind_after"):
            if name in entry:
                entry[name] = tuple(_whole(day, name) for day in _list(entry[name], name))
        row = self.session.get(RenewalTerms, product.id, with_for_update=True)
        base = terms.Terms() if row is None else fields_of(terms.Terms, row)
        wanted = read(terms.Terms, entry, base=base)
        row, is_new = row or RenewalTerms(product_id=product.id), row is None
        changed = terms.write(self.session, row, product, wanted, actor=self.actor, now=self.now)
        self._tell(f"renewal days of product {product}", changed, is_new=is_new)

    def _prices(
        self, prices: list[tuple[dict[str, Any], str]], product: Product, *, renewed: Price | None
    ) -> None:
        """Write the prices of a product, or the renewals of a price.

        What is taken off sale comes first: of one period and currency one price at a time can be on sale.
        """
        parsed = []
        for entry, place in prices:
            with named(place):
                renewals = list(entries(entry.pop("renewals", None), "renewals"))
                if renewals and renewed is not None:
                    raise InvalidInput("A renewal has no renewals of its own.")
                parsed.append((_price_columns(entry, renewed), renewals, place))
        rows = self._matched([columns for columns, _, _ in parsed], product, renewed)
        pairs = sorted(zip(parsed, rows, strict=True), key=lambda pair: bool(pair[0][0].get("active", True)))
        for (columns, renewals, place), row in pairs:
            with named(place):
                columns |= {
                    "product_id": product.id,
                    "renewal_of_id": None if renewed is None else renewed.id,
                }
                price = self._write(
                    Price,
                    PriceFields,
                    row,
                    columns,
                    catalog.check_price,
                    "price",
                    title=_price_title(product, columns),
                )
                self._prices(renewals, product, renewed=price)
        self._tell_other_prices(product, renewed, [row for row in rows if row is not None])

    def _matched(
        self, prices: Sequence[dict[str, Any]], product: Product, renewed: Price | None
    ) -> list[Price | None]:
        """Return the row that each entry speaks of: of several of one period and currency the one most like it."""
        left = self._prices_of(product, renewed)
        found: list[Price | None] = [None] * len(prices)
        for is_same in (_is_exactly, _costs_the_same, _is_on_sale_alike, _is_for_the_same):
            for index, columns in enumerate(prices):
                row = next((row for row in left if found[index] is None and is_same(row, columns)), None)
                if row is not None:
                    found[index] = row
                    left.remove(row)
        return found

    def _prices_of(self, product: Product, renewed: Price | None) -> list[Price]:
        query = sa.select(Price).where(
            Price.product_id == product.id,
            Price.renewal_of_id.is_not_distinct_from(None if renewed is None else renewed.id),
        )
        return list(self.session.scalars(query.order_by(Price.id)))

    def _tell_other_prices(self, product: Product, renewed: Price | None, known: Sequence[Price]) -> None:
        before = {row.id for row in known}
        for row in self._prices_of(product, renewed):
            if row.id not in before and ("price", str(row.id)) not in self._seen:
                self.kept.append(f"Price {row.id} ({row}) is not in the file and stays as it is.")

    def _coupon(self, entry: dict[str, Any]) -> None:
        code = parse_code(str(entry.get("code", "")), field="code")
        self._once("coupon", code)
        row = self._find(Coupon, Coupon.code == code)
        created = {"created_at": self.now, "used": 0}
        columns = coupon_columns(self.session, entry)
        self._write(Coupon, CouponFields, row, columns, check_coupon, "coupon", created=created)

    def _mail(self, entry: dict[str, Any]) -> None:
        event, language = str(entry.get("event", "")), str(entry.get("language", ""))
        self._once("mail text", f"{event} ({language})")
        row = self._find(MailTemplate, MailTemplate.event == event, MailTemplate.language == language)
        created = {"changed_at": self.now}
        self._write(MailTemplate, MailFields, row, entry, mail.check_template, "words", created=created)

    def _write(
        self, model: type[Row], kind: type[Any], row: Any, entry: dict[str, Any], check: Check, what: str,
        *, title: str = "", created: Mapping[str, Any] | None = None,
    ) -> Row:  # fmt: skip
        """Write an entry into its row, or into a new one, and keep what changed in words."""
        wanted = read(kind, entry, base=None if row is None else fields_of(kind, row))
        checked = check(self.session, wanted, own_id=None if row is None else row.id)
        is_new = row is None
        row = model(**(created or {})) if row is None else row
        changed = editing.write(
            self.session, row, checked, what=what, is_new=is_new, actor=self.actor, now=self.now
        )
        if what == "price":
            self._seen.add(("price", str(row.id)))
        self._tell(f"{what} {title or row}", changed, is_new=is_new)
        return cast("Row", row)

    def _tell(self, what: str, changed: Mapping[str, tuple[Any, Any]], *, is_new: bool) -> None:
        if is_new:
            self.changes.append(f"Add {what}.")
        elif changed:
            said = "; ".join(
                f"{name} from {_told(old)} to {_told(new)}" for name, (old, new) in changed.items()
            )
            self.changes.append(f"Change {what}: {said}.")

    def _find(self, model: type[Row], *conditions: sa.ColumnElement[bool]) -> Row | None:
        return self.session.scalar(sa.select(model).where(*conditions))

    def _name(self, entry: Mapping[str, Any], key: str, what: str) -> str:
        name = entry.get(key)
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput(f"{key!r} is missing: a text by which it is known.")
        self._once(what, name.strip())
        return name.strip()

    def _once(self, what: str, name: str) -> None:
        if (what, name) in self._seen:
            raise InvalidInput(f"The {what} {name} stands in the file twice.")
        self._seen.add((what, name))


def _price_columns(entry: dict[str, Any], renewed: Price | None) -> dict[str, Any]:
    """Return an entry as columns of a price: amounts stand in the file as people write them."""
    columns = dict(entry)
    columns["currency"] = currency = str(columns.get("currency", renewed.currency if renewed else ""))
    columns["period_text"] = str(Period.parse(str(columns.pop("period", "")), field="period"))
    for name in ("amount", "setup_fee"):
        if name in columns:
            columns[f"{name}_minor"] = Money.parse(str(columns.pop(name)), currency, field=name).minor
    return columns


def _addon_price(entry: dict[str, Any], place: str) -> AddonPriceFields:
    with named(place):
        columns = _price_columns(entry, None)
        return read(AddonPriceFields, columns)


def _price_title(product: Product, columns: Mapping[str, Any]) -> str:
    kind = "" if columns["renewal_of_id"] is None else ", renewal"
    return f"of product {product} ({columns['period_text']}, {columns['currency']}{kind})"


def _is_for_the_same(row: Price, columns: Mapping[str, Any]) -> bool:
    return (row.period_text, row.currency) == (columns["period_text"], columns["currency"])


def _is_on_sale_alike(row: Price, columns: Mapping[str, Any]) -> bool:
    return _is_for_the_same(row, columns) and row.active is columns.get("active", True)


def _costs_the_same(row: Price, columns: Mapping[str, Any]) -> bool:
    """Tell whether a row is an entry's but for being on sale: contracts keep the price that they were ordered at."""
    return _is_exactly(row, {name: value for name, value in columns.items() if name != "active"})


def _is_exactly(row: Price, columns: Mapping[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in columns.items() if hasattr(row, name))


def _name_of(row: Any) -> str:
    return str(row.network) if isinstance(row, IpPool) else str(getattr(row, "name", row))


def _addresses(count: int) -> str:
    return "address" if count == 1 else "addresses"


def _told(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _TELL else f"{text[:_TELL]}…"


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(f"{value!r} is no list.", field=name)
    return value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{value!r} is no whole number.", field=name)
    return value
