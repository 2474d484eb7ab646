"""
Domus for operators at the command line of the Salt master: VPSs and dom0s.

A VPS is named by its name or uuid, a dom0 by its minion id. Whoever runs a command stands in the history with the
reason given.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import salt.utils.user

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.core.errors import InvalidInput
from domus.core.refusals import told
from domus.core.settings import address_quarantine
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.inventory.models import Dom0State
from domus.vps.models import SuspensionReason
from domus.workflows import inventory, lookups, removals
from domus.workflows import power as power_workflows

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}
    __salt__: dict[str, Callable[..., Any]] = {}

# See `domus_lists`.
__virtualname__ = "domus"

POWER_ACTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "start": (power_workflows.start, {}),
    "shutdown": (power_workflows.shutdown, {}),
    "power_off": (power_workflows.power_off, {}),
    "reboot": (power_workflows.reboot, {}),
    "hard_reboot": (power_workflows.reboot, {"hard": True}),
}


def __virtual__() -> str:
    return __virtualname__


@told
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


@told
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


@told
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


@told
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


@told
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


@told
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
