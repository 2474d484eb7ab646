"""Rows for tests, with defaults that hold together; every keyword replaces one column.

Each takes a Database, writes in a unit of work of its own and returns the row, loaded and detached.
"""

from __future__ import annotations

import ipaddress
import itertools
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from domus.catalog.models import InstallMethod, OsTemplate, Price, Product
from domus.db.engine import Database
from domus.inventory.models import Dom0, Hypervisor, IpAddress, IpPool, Location, StorageBackend

#: The moment at which tests happen unless they say otherwise.
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

_numbers = itertools.count(1)

Row = TypeVar("Row")


def make_location(db: Database, **columns: Any) -> Location:
    """Make a place."""
    row = Location(**{"name": f"Place {next(_numbers)}", "country": "DE"} | columns)
    return _save(db, row)


def make_dom0(db: Database, location: Location, **columns: Any) -> Dom0:
    """Make a simulated dom0 with 8 GiB of memory, 200 GiB of disk and 16 vCPUs for guests."""
    defaults = {
        "minion_id": f"dom0-{next(_numbers)}",
        "location_id": location.id,
        "hypervisor": Hypervisor.SIMULATED,
        "storage_backend": StorageBackend.SIMULATED,
        "memory_capacity_mib": 8192,
        "disk_capacity_mib": 204_800,
        "vcpus_capacity": 16,
    }
    row = _save(db, Dom0(**defaults | columns))
    row.location = location
    return row


def make_pool(db: Database, location: Location, network: str = "192.0.2.0/24", **columns: Any) -> IpPool:
    """Make a pool without addresses; its gateway is the first address."""
    parsed = ipaddress.ip_network(network)
    defaults = {
        "location_id": location.id,
        "network": network,
        "gateway": str(parsed[1]),
        "dns": [str(parsed[1])],
    }
    return _save(db, IpPool(**defaults | columns))


def make_pool_with_addresses(
    db: Database, location: Location, network: str = "192.0.2.0/24", *, count: int = 10, **columns: Any
) -> IpPool:
    """Make a pool with ``count`` free addresses, from the network's tenth on."""
    pool = make_pool(db, location, network, **columns)
    parsed = ipaddress.ip_network(network)
    with db.unit_of_work() as session:
        for position in range(10, 10 + count):
            session.add(IpAddress(pool_id=pool.id, address=str(parsed[position]), position=position))
    with db.reading() as session:
        query = select(IpPool).where(IpPool.id == pool.id)
        return session.scalars(
            query.options(selectinload(IpPool.addresses), selectinload(IpPool.location))
        ).one()


def make_product(db: Database, **columns: Any) -> Product:
    """Make a product of 512 MiB, 10 GiB and one vCPU, without a price."""
    defaults = {
        "name": f"Product {next(_numbers)}",
        "memory_mib": 512,
        "disk_mib": 10_240,
        "swap_mib": 512,
        "vcpus": 1,
        "traffic_bytes": 100 * 2**30,
        "created_at": NOW,
    }
    return _save(db, Product(**defaults | columns))


def make_price(db: Database, product: Product, **columns: Any) -> Price:
    """Make a price of 10.00 USD a month."""
    defaults = {
        "product_id": product.id,
        "period_text": "0000-01-00",
        "currency": "USD",
        "amount_minor": 1000,
    }
    price = _save(db, Price(**defaults | columns))
    price.product = product
    return price


def make_product_with_price(db: Database, *, price: dict[str, Any] | None = None, **columns: Any) -> Price:
    """Make a product and its price, and return the price; ``.product`` is loaded."""
    return make_price(db, make_product(db, **columns), **(price or {}))


def make_template(db: Database, **columns: Any) -> OsTemplate:
    """Make an operating system that fits every product."""
    defaults = {
        "name": f"debian-12-{next(_numbers)}",
        "title": "Debian 12",
        "method": InstallMethod.BOOTSTRAP,
        "distribution": "debian",
        "release": "bookworm",
    }
    return _save(db, OsTemplate(**defaults | columns))


def _save(db: Database, row: Row) -> Row:
    with db.unit_of_work() as session:
        session.add(row)
    return row
