"""Add-ons: what an operator may define, what a customer may choose, and what the chosen ones add to a VPS."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from domus.catalog.models import Addon, AddonKind, AddonPrice, Price, Product
from domus.catalog.services import PRODUCT_BOUNDS, check_amount
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.core.periods import Period
from domus.core.texts import one_line, whole_number
from domus.db.rows import get_row

#: With the one that every VPS has, no more addresses than a dom0 takes for a network card.
MAX_ADDRESSES = 64
MAX_PRICES = 100

#: Which size of a VPS a kind adds to, as the product's bounds call it.
_SIZES = {AddonKind.DISK: "disk_mib", AddonKind.MEMORY: "memory_mib", AddonKind.VCPU: "vcpus"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a VPS has beyond its product."""

    memory_mib: int = 0
    disk_mib: int = 0
    vcpus: int = 0
    ipv4: int = 0


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some pieces of an add-on, and what one of them costs for the period that is ordered."""

    addon: Addon
    count: int
    each: Money

    @property
    def total(self) -> Money:
        """Return what they cost together."""
        return self.each.times(self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonFields:
    """What an operator decides about an add-on, but for its prices."""

    product_id: int
    name: str
    kind: AddonKind
    unit: int = 1
    minimum: int = 0
    maximum: int = 1
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonPriceFields:
    """What one piece costs for a period."""

    period_text: str
    currency: str
    amount_minor: int


def check_addon(session: Session, fields: AddonFields, *, own_id: int | None) -> AddonFields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    product = get_row(session, Product, fields.product_id, what="product", field="product_id")
    name = one_line(fields.name, field="name", maximum=120)
    whole_number(fields.unit, field="unit", minimum=1, maximum=2**30)
    whole_number(fields.maximum, field="maximum", minimum=1, maximum=1000)
    whole_number(fields.minimum, field="minimum", minimum=0, maximum=fields.maximum)
    _check_size(product, {fields.kind: fields.unit * fields.maximum}, field="maximum")
    same = sa.select(Addon.id).where(
        Addon.product_id == product.id, Addon.name == name, Addon.id != (own_id or 0)
    )
    if session.scalar(same) is not None:
        raise InvalidInput(f"{product} has an add-on {name!r} already.", field="name")
    return dataclasses.replace(fields, name=name)


def check_prices(prices: Iterable[AddonPriceFields]) -> list[AddonPriceFields]:
    """Return the prices of an add-on as they are to be stored, in their order; raise InvalidInput for a wrong one."""
    found: dict[tuple[str, str], AddonPriceFields] = {}
    for price in prices:
        period = str(Period.parse(price.period_text, field="prices"))
        check_amount(price.amount_minor, price.currency, field="prices")
        if (period, price.currency) in found:
            raise InvalidInput(f"There are two prices for {period} in {price.currency}.", field="prices")
        found[period, price.currency] = dataclasses.replace(price, period_text=period)
    if len(found) > MAX_PRICES:
        raise InvalidInput(f"At most {MAX_PRICES} prices; these are {len(found)}.", field="prices")
    return [found[key] for key in sorted(found)]


def set_prices(
    session: Session, addon: Addon, prices: Sequence[AddonPriceFields]
) -> dict[str, tuple[str, str]]:
    """Make these the prices of an add-on; return what changed, in words, as (old, new)."""
    before = ", ".join(_words(price.period_text, price.amount) for price in addon.prices)
    known = {(price.period_text, price.currency): price for price in addon.prices}
    wanted = {(price.period_text, price.currency): price.amount_minor for price in prices}
    for key, row in known.items():
        if key not in wanted:
            addon.prices.remove(row)
    for key, minor in wanted.items():
        if key in known:
            known[key].amount_minor = minor
        else:
            addon.prices.append(AddonPrice(period_text=key[0], currency=key[1], amount_minor=minor))
    session.flush()
    after = ", ".join(
        _words(price.period_text, Money(price.amount_minor, price.currency)) for price in prices
    )
    return {} if before == after else {"prices": (before, after)}


def choose(session: Session, price: Price, counts: Mapping[int, int]) -> tuple[Chosen, ...]:
    """Return the add-ons that an order at this price has; raise InvalidInput with the field ``addon_ID`` of a wrong one.

    An add-on that the counts do not name is ordered as often as it has to be at least.
    """
    query = sa.select(Addon).where(Addon.product_id == price.product_id, Addon.active).order_by(Addon.id)
    offered = session.scalars(query.options(selectinload(Addon.prices))).all()
    for unknown in sorted(set(counts) - {addon.id for addon in offered}):
        if counts[unknown]:
            raise InvalidInput(f"This is not offered with {price.product}.", field=f"addon_{unknown}")
    chosen = []
    for addon in offered:
        field = f"addon_{addon.id}"
        each = addon.price_for(price.period_text, price.currency)
        count = counts.get(addon.id, addon.minimum)
        if each is None:
            if count:
                raise InvalidInput(
                    f"{addon} is not sold for {price.period.describe()} in {price.currency}.", field=field
                )
            continue
        whole_number(count, field=field, minimum=addon.minimum, maximum=addon.maximum)
        if count:
            chosen.append(Chosen(addon, count, each))
    sizes: dict[AddonKind, int] = {}
    for one in chosen:
        sizes[one.addon.kind] = sizes.get(one.addon.kind, 0) + one.addon.unit * one.count
    _check_size(price.product, sizes, field=f"addon_{chosen[-1].addon.id}" if chosen else "price_id")
    return tuple(chosen)


def extras_of(pieces: Iterable[tuple[AddonKind, int, int]]) -> Extras:
    """Return what some pieces (kind, unit, count) add to a VPS together."""
    sums = dict.fromkeys(AddonKind, 0)
    for kind, unit, count in pieces:
        sums[kind] += unit * count
    return Extras(
        memory_mib=sums[AddonKind.MEMORY],
        disk_mib=sums[AddonKind.DISK],
        vcpus=sums[AddonKind.VCPU],
        ipv4=sums[AddonKind.IPV4],
    )


def _check_size(product: Product, sizes: Mapping[AddonKind, int], *, field: str) -> None:
    """Refuse what would make a VPS larger than any may be."""
    for kind, size in sizes.items():
        if kind is AddonKind.IPV4:
            total, maximum, what = size + 1, MAX_ADDRESSES, "IPv4 addresses"
        else:
            what = _SIZES[kind]
            total, maximum = getattr(product, what) + size, PRODUCT_BOUNDS[what][1]
        if total > maximum:
            raise InvalidInput(
                f"With that a VPS could have {total} {what}; at most {maximum} go.", field=field
            )


def _words(period_text: str, amount: Money) -> str:
    return f"{period_text} {amount}"
