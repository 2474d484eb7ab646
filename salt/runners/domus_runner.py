"""
Domus for operators at the command line of the Salt master.

Lists are tables for people; with ``--out=json`` they are data, with every column. A VPS is named by its name or
uuid, an order by its number or uuid. Whoever runs a command stands in the history with the reason given.
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import salt.utils.user
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.core.errors import DomusError, InvalidInput
from domus.core.settings import address_quarantine
from domus.core.tables import plain_table
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.inventory.models import Dom0State
from domus.vps.models import SuspensionReason
from domus.workflows import inventory, listings, lookups, removals
from domus.workflows import orders as order_workflows
from domus.workflows import power as power_workflows

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}
    __salt__: dict[str, Callable[..., Any]] = {}

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

POWER_ACTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "start": (power_workflows.start, {}),
    "shutdown": (power_workflows.shutdown, {}),
    "power_off": (power_workflows.power_off, {}),
    "reboot": (power_workflows.reboot, {}),
    "hard_reboot": (power_workflows.reboot, {"hard": True}),
}


def __virtual__() -> str:
    return __virtualname__


def _door(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what Domus refuses into a sentence and an exit code."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except DomusError as error:
            return {"error": str(error), "code": error.code, "retcode": 1}
        except sa.exc.OperationalError as error:
            return {"error": f"The database does not answer: {error.orig}", "code": "database", "retcode": 1}

    return call


@_door
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


@_door
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


@_door
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


@_door
def dom0s() -> Any:
    """
    Return the dom0s with what is reserved on them and how they are.

    CLI Example:

    .. code-block:: bash

        salt-run domus.dom0s
    """
    return _shown("dom0s", listings.dom0s(_database()))


@_door
def capacity() -> Any:
    """
    Return how many VPSs of each product can still be sold in each location.

    CLI Example:

    .. code-block:: bash

        salt-run domus.capacity
    """
    return _shown("capacity", listings.capacity(_database()))


@_door
def retry(vps: str, reason: str = "") -> dict[str, Any]:
    """
    Try a failed installation again.

    vps
        Its name or uuid.

    reason
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.retry vps-6f1b2c3d reason='disk replaced'
    """
    db = _database()
    order_workflows.retry(
        db, vps_id=lookups.vps_id(db, str(vps)), actor=_actor(), reason=str(reason), now=utc_now()
    )
    return {"vps": vps, "done": "it is tried again"}


@_door
def power(vps: str, action: str, reason: str = "") -> dict[str, Any]:
    """
    Start, stop or reboot a VPS.

    vps
        Its name or uuid.

    action
        start, shutdown (asks the guest), power_off (pulls the plug), reboot or hard_reboot.

    reason
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.power vps-6f1b2c3d shutdown reason='asked for by phone'
    """
    if action not in POWER_ACTIONS:
        raise InvalidInput(f"action is {action!r}; allowed are {', '.join(POWER_ACTIONS)}.", field="action")
    act, options = POWER_ACTIONS[action]
    db = _database()
    job = act(
        db, vps_id=lookups.vps_id(db, str(vps)), actor=_actor(), reason=str(reason), now=utc_now(), **options
    )
    return {"vps": vps, "job": str(job.id), "done": "its dom0 is told"}


@_door
def suspend(vps: str, suspension: str, note: str = "") -> dict[str, Any]:
    """
    Stop a VPS until it is released again.

    vps
        Its name or uuid.

    suspension
        Why: unpaid, traffic, abuse, operator or security.

    note
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.suspend vps-6f1b2c3d abuse note='ticket 17'
    """
    db, why = _database(), _member(SuspensionReason, suspension, "suspension")
    power_workflows.suspend(
        db, vps_id=lookups.vps_id(db, str(vps)), suspension=why, note=str(note), actor=_actor(), now=utc_now()
    )
    return {"vps": vps, "done": f"suspended ({why.value})"}


@_door
def release(vps: str, suspension: str, note: str = "") -> dict[str, Any]:
    """
    Lift one reason for which a VPS was suspended.

    vps
        Its name or uuid.

    suspension
        Which: unpaid, traffic, abuse, operator or security.

    note
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.release vps-6f1b2c3d abuse
    """
    db, why = _database(), _member(SuspensionReason, suspension, "suspension")
    power_workflows.release(
        db, vps_id=lookups.vps_id(db, str(vps)), suspension=why, note=str(note), actor=_actor(), now=utc_now()
    )
    return {"vps": vps, "done": f"released ({why.value})"}


@_door
def mark_paid(order: str, reason: str = "") -> dict[str, Any]:
    """
    Book an order as paid by hand; its VPS is then made.

    order
        Its number or uuid.

    reason
        What the history says, such as the bank's reference. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.mark_paid 17 reason='transfer of 20 November'
    """
    return _with_order(order_workflows.mark_paid, order, reason)


@_door
def cancel(order: str, reason: str = "") -> dict[str, Any]:
    """
    Give up an order that is not paid.

    order
        Its number or uuid.

    reason
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.cancel 17
    """
    return _with_order(order_workflows.cancel, order, reason)


@_door
def refund(order: str, reason: str = "") -> dict[str, Any]:
    """
    Give the money of an order back and remove its VPS.

    What was handed over is stopped now and removed after the grace time.

    order
        Its number or uuid.

    reason
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.refund 17 reason='could not be installed'
    """
    return _with_order(order_workflows.refund, order, reason)


@_door
def forget(vps: str, reason: str) -> dict[str, Any]:
    """
    End the removal of a VPS whose dom0 is lost for good: what it held is given back, its addresses rest.

    vps
        Its name or uuid.

    reason
        What the history says.

    CLI Example:

    .. code-block:: bash

        salt-run domus.forget vps-6f1b2c3d reason='dom0-a burnt down'
    """
    db = _database()
    removals.forget(
        db,
        vps_id=lookups.vps_id(db, str(vps)),
        quarantine=address_quarantine(__opts__.get("domus"), os.environ),
        actor=_actor(),
        reason=str(reason),
        now=utc_now(),
    )
    return {"vps": vps, "done": "removed, as far as Domus knows"}


@_door
def set_dom0_state(dom0: str, state: str, reason: str = "") -> dict[str, Any]:
    """
    Let a dom0 take new VPSs, or not, or leave it alone.

    dom0
        Its minion id.

    state
        active, draining (takes nothing new), maintenance (is left alone) or lost (gone for good).

    reason
        What the history says. Defaults to nothing.

    CLI Example:

    .. code-block:: bash

        salt-run domus.set_dom0_state dom0-a maintenance reason='new disks'
    """
    db, wanted = _database(), _member(Dom0State, state, "state")
    inventory.set_dom0_state(
        db,
        dom0_id=lookups.dom0_id(db, str(dom0)),
        state=wanted,
        actor=_actor(),
        reason=str(reason),
        now=utc_now(),
    )
    return {"dom0": dom0, "state": wanted.value}


@_door
def run(dom0: str) -> dict[str, Any]:
    """
    Start a state run on a dom0 although nothing is due there.

    dom0
        Its minion id.

    CLI Example:

    .. code-block:: bash

        salt-run domus.run dom0-a
    """
    lookups.dom0_id(_database(), dom0)
    return {"dom0": dom0, "done": __salt__["domus_work.run_now"](dom0)}


def _with_order(act: Callable[..., Any], order: str, reason: str) -> dict[str, Any]:
    db = _database()
    changed = act(
        db, order_id=lookups.order_id(db, str(order)), actor=_actor(), reason=str(reason), now=utc_now()
    )
    return {"order": str(order), "state": changed.state.value}


def _member(kind: type[Any], text: str, field: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidInput(f"{field} is {text!r}; allowed are {allowed}.", field=field) from None


def _actor() -> Actor:
    # sudo_alice for Alice as root.
    return Actor.shell(salt.utils.user.get_specific_user())


def _database() -> Database:
    return shared_database(__opts__.get("domus"), os.environ)


def _shown(name: str, rows: list[dict[str, Any]]) -> Any:
    """Return a table where a person looks, and the rows where ``--out`` or Python asked for data."""
    asked_by_person = __opts__.get("fun") == f"domus.{name}" and not __opts__.get("output")
    if not asked_by_person:
        return rows
    return {"outputter": "text", "data": plain_table(rows, COLUMNS[name])}
