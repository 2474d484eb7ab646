"""
Domus for operators at the command line of the Salt master: the lists.

Lists are tables for people; with ``--out=json`` they are data, with every column.
"""

import os
from typing import TYPE_CHECKING, Any

from domus.core.refusals import told
from domus.core.tables import plain_table
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.workflows import listings

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}

# With `domus_orders` and `domus_machines` one runner: Salt puts modules of one virtual name together.
__virtualname__ = "domus"
__func_alias__ = {"vps_": "vps"}

# What people see of a list; machines get everything.
COLUMNS = {
    "orders": ("number", "state", "account", "product", "amount", "vps", "vps_state", "placed_at"),
    "vps": ("name", "shown", "dom0", "addresses", "hostname", "account", "product", "problem"),
    "jobs": ("created_at", "vps", "dom0", "kind", "state", "percent", "step", "note", "error"),
    "dom0s": (
        "dom0",
        "location",
        "state",
        "hypervisor",
        "memory_reserved_mib",
        "memory_capacity_mib",
        "seen_at",
        "problem",
    ),
    "capacity": ("location", "ipv4_free", "ipv6_free", "places"),
}


def __virtual__() -> str:
    return __virtualname__


@told
def orders(state: str | None = None, limit: int = 50) -> Any:
    """
    Return the newest orders.

    state
        placed, paid, fulfilled, cancelled or refunded. Defaults to all.

    limit
        How many at most. Defaults to 50.

    CLI Example:

    .. code-block:: bash

        salt-run domus.orders
        salt-run domus.orders state=paid --out=json
    """
    return _shown("orders", listings.orders(_database(), state=state, limit=int(limit)))


@told
def vps_(state: str | None = None, dom0: str | None = None, limit: int = 100) -> Any:
    """
    Return the newest VPSs: where they are, and how.

    state
        provisioning, active and so on. Defaults to all.

    dom0
        Only those on this dom0. Defaults to all.

    limit
        How many at most. Defaults to 100.

    CLI Example:

    .. code-block:: bash

        salt-run domus.vps dom0=dom0-a
    """
    return _shown("vps", listings.vps(_database(), state=state, dom0=dom0, limit=int(limit)))


@told
def jobs(state: str | None = None, limit: int = 50) -> Any:
    """
    Return the newest jobs, how far they are and what they wait for.

    state
        queued, running, done, failed or superseded. Defaults to all.

    limit
        How many at most. Defaults to 50.

    CLI Example:

    .. code-block:: bash

        salt-run domus.jobs state=failed
    """
    return _shown("jobs", listings.jobs(_database(), state=state, limit=int(limit)))


@told
def dom0s() -> Any:
    """
    Return the dom0s with what is reserved on them and how they are.

    CLI Example:

    .. code-block:: bash

        salt-run domus.dom0s
    """
    return _shown("dom0s", listings.dom0s(_database()))


@told
def capacity() -> Any:
    """
    Return how many VPSs of each product can still be sold in each location.

    CLI Example:

    .. code-block:: bash

        salt-run domus.capacity
    """
    return _shown("capacity", listings.capacity(_database()))


def _database() -> Database:
    return shared_database(__opts__.get("domus"), os.environ)


def _shown(name: str, rows: list[dict[str, Any]]) -> Any:
    """Return a table where a person looks, and the rows where ``--out`` or Python asked for data."""
    asked_by_person = __opts__.get("fun") == f"domus.{name}" and not __opts__.get("output")
    if not asked_by_person:
        return rows
    return {"outputter": "text", "data": plain_table(rows, COLUMNS[name])}
