"""
Domus for operators at the command line of the Salt master: orders and their money.

An order is named by its number or uuid, a VPS by its name or uuid. Whoever runs a command stands in the history
with the reason given.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import salt.utils.user

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.core.refusals import told
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.workflows import lookups
from domus.workflows import orders as order_workflows

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}

# See `domus_lists`.
__virtualname__ = "domus"


def __virtual__() -> str:
    return __virtualname__


@told
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


@told
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


@told
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


@told
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


def _with_order(act: Callable[..., Any], order: str, reason: str) -> dict[str, Any]:
    db = _database()
    changed = act(
        db, order_id=lookups.order_id(db, str(order)), actor=_actor(), reason=str(reason), now=utc_now()
    )
    return {"order": str(order), "state": changed.state.value}


def _actor() -> Actor:
    # sudo_alice for Alice as root.
    return Actor.shell(salt.utils.user.get_specific_user())


def _database() -> Database:
    return shared_database(__opts__.get("domus"), os.environ)
