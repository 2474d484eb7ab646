"""Why something cannot be sold at present, for the operator who wonders: what is missing, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.catalog.models import Price, Product
from domus.catalog.queries import templates_for
from domus.inventory.models import Location
from domus.placement import addresses, queries
from domus.placement.choose import Candidate, Need
from domus.placement.services import need_of


@dataclass(frozen=True, slots=True)
class Place:
    """How many VPSs of a product a location takes, and what there is too little of when it takes none."""

    location: Location
    places: int
    lacks: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether customers can order a product now: what is in the way of it anywhere, and how each location stands."""

    obstacles: Sequence[str]
    places: Sequence[Place]

    @property
    def is_sold(self) -> bool:
        """Tell whether a customer could order it at this moment."""
        return not self.obstacles and any(place.places > 0 for place in self.places)


def standing(session: Session, product: Product) -> Standing:
    """Return how a product stands. What counts in the end is what the database says when an order is placed."""
    return Standing(tuple(_obstacles(session, product)), tuple(_places(session, need_of(product))))


def _obstacles(session: Session, product: Product) -> list[str]:
    to_order = (Price.product_id == product.id, Price.renewal_of_id.is_(None), Price.active)
    found = []
    if not product.active:
        found.append("It is not on sale.")
    if product.private:
        found.append("It is private: only operators sell it.")
    if not session.scalar(sa.select(sa.exists().where(*to_order))):
        found.append("It has no price on sale to order it at.")
    if not templates_for(session, product):
        found.append("No operating system on offer fits into its memory and disk.")
    return found


def _places(session: Session, need: Need) -> list[Place]:
    free = addresses.free_count(session, version=4)
    dom0s = queries.candidates(session)
    return [
        _place(location, dom0s.get(location.id, ()), need, free.get(location.id, 0))
        for location in session.scalars(sa.select(Location).order_by(Location.name))
    ]


def _place(location: Location, dom0s: Sequence[Candidate], need: Need, free_addresses: int) -> Place:
    places = min(sum(dom0.places(need) for dom0 in dom0s), free_addresses)
    if places:
        return Place(location, places, "")
    missing = []
    if not dom0s:
        missing.append("no dom0 takes new VPSs")
    elif not any(dom0.fits(need) for dom0 in dom0s):
        short = dict.fromkeys(name for dom0 in dom0s for name in dom0.lacks(need))
        missing.append(f"no dom0 has enough left ({', '.join(short)})")
    if not free_addresses:
        missing.append("no IPv4 address is free")
    return Place(location, 0, "; ".join(missing))
