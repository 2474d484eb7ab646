"""The add-ons of contracts: what they cost with each renewal. Where no product has any, no run asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.line_texts import addon_line
from domus.billing.models import Subscription, SubscriptionAddon
from domus.catalog.models import Addon, AddonPrice, Price
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.core.periods import Period
from domus.db.bulk import among


@dataclass(frozen=True, slots=True)
class Known:
    """An add-on with what one piece costs, by period and currency."""

    name: str
    minor: Mapping[tuple[str, str], int]


#: Pieces of a contract: (add-on, count).
Pieces = Sequence[tuple[int, int]]


def known_addons(session: Session) -> dict[int, Known]:
    """Return every add-on, also those that are no longer on sale: contracts go on with them."""
    prices: dict[int, dict[tuple[str, str], int]] = {}
    for row in session.execute(
        sa.select(AddonPrice.addon_id, AddonPrice.period_text, AddonPrice.currency, AddonPrice.amount_minor)
    ):
        prices.setdefault(row.addon_id, {})[row.period_text, row.currency] = row.amount_minor
    rows = session.execute(sa.select(Addon.id, Addon.name))
    return {row.id: Known(row.name, prices.get(row.id, {})) for row in rows}


def pieces_of(session: Session, subscription_ids: Iterable[int]) -> dict[int, Pieces]:
    """Return the pieces of those contracts that have any, in one statement."""
    query = sa.select(
        SubscriptionAddon.subscription_id, SubscriptionAddon.addon_id, SubscriptionAddon.count
    ).where(among(session, SubscriptionAddon.subscription_id, list(subscription_ids)))
    found: dict[int, list[tuple[int, int]]] = {}
    for subscription_id, addon_id, count in session.execute(query.order_by(SubscriptionAddon.addon_id)):
        found.setdefault(subscription_id, []).append((addon_id, count))
    return dict(found)


def has_addons(session: Session, subscription_id: int) -> bool:
    """Tell whether a contract has anything beside its product."""
    has = sa.exists().where(SubscriptionAddon.subscription_id == subscription_id)
    return bool(session.scalar(sa.select(has)))


def addon_lines(
    pieces: Pieces,
    known: Mapping[int, Known],
    *,
    product: str,
    period: Period,
    currency: str,
    language: str,
) -> list[tuple[str, Money]]:
    """Return (text, amount) of each add-on for a period; raise Conflict when one has no price for it."""
    lines = []
    for addon_id, count in pieces:
        addon = known[addon_id]
        minor = addon.minor.get((str(period), currency))
        if minor is None:
            raise Conflict(
                f"The add-on {addon.name} of {product} has no price for {period.describe()} in {currency}; add one."
            )
        lines.append(
            (addon_line(product, addon.name, count, period, language), Money(minor * count, currency))
        )
    return lines


def lines_of(
    session: Session, contract: Subscription, price: Price, language: str
) -> list[tuple[str, Money]]:
    """Return (text, amount) of each add-on of a contract renewed at a price; raise Conflict when one has no price for it."""
    pieces = pieces_of(session, [contract.id]).get(contract.id, ())
    if not pieces:
        return []
    return addon_lines(
        pieces, known_addons(session), product=price.product.name, period=price.period, currency=price.currency,
        language=language,
    )  # fmt: skip


def cost_of(session: Session, contract: Subscription, price: Price) -> Money:
    """Return what a contract costs for the period of a price, with its add-ons and before tax is added.

    Raises Conflict when an add-on of it has no price for that period and currency.
    """
    lines = lines_of(session, contract, price, "en")
    return sum((amount for _, amount in lines), price.amount)


def costs_of(session: Session, contract: Subscription, prices: Iterable[Price]) -> list[tuple[Price, Money]]:
    """Return those of the prices that a contract can be renewed at, each with what it costs with the add-ons."""
    found = []
    for price in prices:
        try:
            found.append((price, cost_of(session, contract, price)))
        except Conflict:
            continue  # Nobody can be asked for it; the run tells the operator which price is missing.
    return found
