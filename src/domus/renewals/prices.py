"""What contracts are renewed at, and on which days: read once for a whole run, however many contracts there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.catalog.models import Price
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.core.periods import Period
from domus.renewals.addons import Known, known_addons
from domus.renewals.dunning import Terms
from domus.renewals.models import RenewalTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a contract that was ordered at some price is renewed at."""

    price_id: int
    product: str
    amount: Money
    period: Period

    def line(self) -> str:
        """Return what stands on the invoice before the period's days."""
        return f"{self.product}, {self.period.describe()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Contracts that share their days: those ordered at one of these prices."""

    terms: Terms
    price_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """The offer of each price that contracts were ordered at, the groups of prices, and what is wrong with some.

    ``usual`` are the prices that renew another for the period which its contracts are renewed for unless somebody chooses;
    those that are no longer offered are among them, since something may still be open at them.
    """

    offers: Mapping[int, Offer]
    groups: Sequence[Group]
    usual: frozenset[int]
    faults: Mapping[int, str]
    addons: Mapping[int, Known] = field(default_factory=dict)
    """All that there are; where there are none, no contract has any."""


def price_list(session: Session) -> PriceList:
    """Read the catalogue as far as renewals go. A price that cannot be read is a fault of its own and stops no other."""
    prices = session.scalars(sa.select(Price).order_by(Price.id).options(joinedload(Price.product))).all()
    renewals: dict[int, list[Price]] = {}
    for price in prices:
        if price.renewal_of_id is not None and price.active:
            renewals.setdefault(price.renewal_of_id, []).append(price)
    days = terms_of_products(session)
    offers: dict[int, Offer] = {}
    groups: dict[Terms, list[int]] = {}
    faults: dict[int, str] = {}
    for price in prices:
        try:
            offer = offer_of(_renewal_of(price, renewals.get(price.id, ())))
            terms = days.get(price.product_id, Terms()).fitted(offer.period)
        except InvalidInput as error:
            faults[price.id] = f"Price {price.id} of {price.product}: {error}"
            continue
        offers[price.id] = offer
        groups.setdefault(terms, []).append(price.id)
    return PriceList(
        offers=offers,
        groups=[Group(terms=terms, price_ids=tuple(ids)) for terms, ids in groups.items()],
        usual=frozenset(_usual(prices, offers)),
        faults=faults,
        addons=known_addons(session),
    )


def offer_of(price: Price) -> Offer:
    """Return a price as an offer; raise InvalidInput when its period or currency is none."""
    return Offer(price_id=price.id, product=price.product.name, amount=price.amount, period=price.period)


def terms_of_products(session: Session) -> dict[int, Terms]:
    """Return the days of the products that have days of their own."""
    return {row.product_id: as_terms(row) for row in session.scalars(sa.select(RenewalTerms))}


def as_terms(row: RenewalTerms) -> Terms:
    """Return a row as what `dunning` calculates with."""
    return Terms(
        invoice_days=row.invoice_days,
        remind_before=tuple(row.remind_before),
        remind_after=tuple(row.remind_after),
        last_warning_days=row.last_warning_days,
        suspend_days=row.suspend_days,
        end_days=row.end_days,
        grace_days=row.grace_days,
    )


def _usual(prices: Sequence[Price], offers: Mapping[int, Offer]) -> Iterator[int]:
    """Yield the prices that renew another for the period of what it offers now, or for its own."""
    by_id = {price.id: price for price in prices}
    for price in prices:
        renewed = by_id.get(price.renewal_of_id) if price.renewal_of_id is not None else None
        if renewed is None or renewed.id not in offers:
            continue
        offered = by_id[offers[renewed.id].price_id]
        if price.period_text in (renewed.period_text, offered.period_text):
            yield price.id


def _renewal_of(price: Price, renewals: Sequence[Price]) -> Price:
    """Return what renews a price: a renewal of the same period, else the first one, else the price itself."""
    same = [renewal for renewal in renewals if renewal.period_text == price.period_text]
    return next(iter(same or renewals), price)
