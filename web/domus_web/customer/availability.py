"""What is free where, for pages. The word that counts is the database's, when an order is placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from domus.catalog.models import Product
from domus.inventory.models import AddressState, Dom0, Dom0State, IpAddress, IpPool, Location

#: More free places than this are shown as "available", so there is no need to count on.
ENOUGH = 100
#: So few are worth a word.
FEW = 5


class least(sa.sql.functions.GenericFunction[int]):  # noqa: N801 - SQLAlchemy names a function by its class
    """The smallest of its arguments, under the name that each database has for it."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(least, "sqlite")
def _least_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"min({compiler.process(element.clauses, **options)})"


@dataclass(frozen=True, slots=True)
class Free:
    """How many VPSs of one size a location still takes."""

    location: Location
    places: int

    @property
    def label(self) -> str:
        """Return it in words."""
        if self.places <= 0:
            return "Full"
        return f"{self.places} left" if self.places <= FEW else "Available"

    @property
    def tone(self) -> str:
        """Return the colour of it."""
        return "off" if self.places <= 0 else "warning" if self.places <= FEW else "ok"


def free_places(session: Session, products: Sequence[Product]) -> Mapping[int, Sequence[Free]]:
    """Return by product id what every location has free, in three statements however many there are."""
    locations = session.scalars(sa.select(Location).order_by(Location.name)).all()
    rooms = _rooms(session, [product.id for product in products])
    addresses = _free_addresses(session)
    return {
        product.id: [
            Free(place, min(rooms.get((product.id, place.id), 0), addresses.get(place.id, 0), ENOUGH))
            for place in locations
        ]
        for product in products
    }


def _rooms(session: Session, product_ids: Sequence[int]) -> Mapping[tuple[int, int], int]:
    """Return how often each product fits on the active dom0s of each location."""
    fits = least(
        (Dom0.memory_capacity_mib - Dom0.memory_reserved_mib) // Product.memory_mib,
        (Dom0.disk_capacity_mib - Dom0.disk_reserved_mib) // (Product.disk_mib + Product.swap_mib),
        (Dom0.vcpus_capacity - Dom0.vcpus_reserved) // Product.vcpus,
    )
    query = (
        sa.select(Product.id, Dom0.location_id, sa.func.sum(fits))
        .join(Dom0, Dom0.state == Dom0State.ACTIVE)
        .where(Product.id.in_(product_ids))
        .group_by(Product.id, Dom0.location_id)
    )
    return {(product, location): int(number) for product, location, number in session.execute(query)}


def _free_addresses(session: Session) -> Mapping[int, int]:
    """Return how many IPv4 addresses each location has free, counting no pool further than ENOUGH."""
    some = (
        sa.select(IpAddress.id)
        .where(IpAddress.pool_id == IpPool.id, IpAddress.state == AddressState.FREE)
        .limit(ENOUGH)
        .correlate(IpPool)
        .subquery()
    )
    number = sa.select(sa.func.count()).select_from(some).scalar_subquery()
    query = sa.select(IpPool.location_id, number).where(IpPool.active, IpPool.network.not_like("%:%"))
    totals: dict[int, int] = {}
    for location_id, free in session.execute(query):
        totals[location_id] = totals.get(location_id, 0) + free
    return totals
