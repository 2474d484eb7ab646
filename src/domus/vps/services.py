"""Changes of a VPS.

Its state by compare-and-swap, what is wanted of it by revision, each with its history row.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.catalog.models import Product
from domus.core.errors import Conflict, NotFound
from domus.db.rows import changed_rows
from domus.vps.models import Disk, Power, Suspension, SuspensionReason, Vps, VpsState, VpsTransition
from domus.vps.states import GONE, VPS_TRANSITIONS

log = logging.getLogger(__name__)

#: Two writers can overtake each other; more rounds than this mean a fault, not a race.
_ROUNDS = 5

#: So long before its tombstone is due a removal can no longer be called back: clocks differ, and a pillar may be on its way.
REMOVAL_MARGIN = timedelta(minutes=2)

#: How history calls the wish that a VPS be gone.
_ABSENT = "absent"


def transition(
    session: Session, vps_id: uuid.UUID, event: str, *, actor: Actor, reason: str = "", now: datetime
) -> bool:
    """Let *event* happen to the VPS and write its history; return False when it had happened already.

    Raises Conflict when the table forbids the event from the present state, NotFound when there is no such
    VPS.
    """
    for _ in range(_ROUNDS):
        old = session.scalar(sa.select(Vps.state).where(Vps.id == vps_id))
        if old is None:
            raise NotFound("There is no such VPS.")
        if _already(old, event):
            log.info("%s of VPS %s came again while it is %s; nothing to do", event, vps_id, old.value)
            return False
        new = VPS_TRANSITIONS.after(old, event)
        # Of one that is gone nobody needs the password, and people use theirs in more than one place.
        forgotten = {"root_password_hash": None} if new in GONE else {}
        is_as_before = (Vps.id == vps_id, Vps.state == old)
        swap = sa.update(Vps).where(*is_as_before).values(state=new, state_since=now, **forgotten)
        if changed_rows(session, swap):
            record(session, vps_id, "state", old.value, new.value, actor=actor, reason=reason, now=now)
            return True
    raise Conflict("The VPS is being changed by others all the time; try again.")


def _already(state: VpsState, event: str) -> bool:
    """Tell whether *state* is where the event leads, and the event leads on from there no further."""
    targets = {target for (_, name), target in VPS_TRANSITIONS.arrows.items() if name == event}
    return state in targets and (state, event) not in VPS_TRANSITIONS.arrows


def want_power(
    session: Session,
    vps_id: uuid.UUID,
    power: Power,
    *,
    hard: bool = False,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> int:
    """Want the VPS running or stopped (``hard``: without asking the guest); return the new revision."""
    if power is Power.RUNNING:
        refuse_when_suspended(session, vps_id)
    values = {"wanted_power": power, "hard_stop": hard and power is Power.STOPPED}
    return _want(session, vps_id, values, new=power.value, actor=actor, reason=reason, now=now)


def want_reboot(
    session: Session, vps_id: uuid.UUID, *, hard: bool = False, actor: Actor, reason: str = "", now: datetime
) -> int:
    """Want one reboot more than before; return the new revision."""
    refuse_when_suspended(session, vps_id)
    values = {"boot_serial": Vps.boot_serial + 1, "hard_reboot": hard, "wanted_power": Power.RUNNING}
    new = "hard reboot" if hard else "reboot"
    return _want(session, vps_id, values, new=new, actor=actor, reason=reason, now=now)


def want_another_attempt(
    session: Session, vps_id: uuid.UUID, *, actor: Actor, reason: str = "", now: datetime
) -> int:
    """Want a failed installation tried again; return the new revision."""
    values = {"install_attempt": Vps.install_attempt + 1, "wanted_power": Power.RUNNING, "problem": ""}
    return _want(session, vps_id, values, new="another attempt", actor=actor, reason=reason, now=now)


def want_absent(
    session: Session,
    vps_id: uuid.UUID,
    *,
    not_before: datetime,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> int:
    """Want the VPS destroyed from *not_before* on, and stopped until then; return the new revision."""
    values = {
        "tombstone_token": uuid.uuid4(),
        "remove_not_before": not_before,
        "wanted_power": Power.STOPPED,
        "hard_stop": False,
    }
    return _want(session, vps_id, values, new=_ABSENT, actor=actor, reason=reason, now=now)


def want_back(session: Session, vps_id: uuid.UUID, *, actor: Actor, reason: str = "", now: datetime) -> int:
    """Withdraw the tombstone of a VPS, and want the power that was wanted before it; return the new revision.

    Whoever calls this has made sure that the tombstone is not due (`REMOVAL_MARGIN`).
    """
    last = sa.select(VpsTransition.old).where(
        VpsTransition.vps_id == vps_id, VpsTransition.kind == "wanted", VpsTransition.new == _ABSENT
    )
    before = session.scalar(last.order_by(VpsTransition.id.desc()).limit(1))
    power = Power.STOPPED if before == Power.STOPPED.value else Power.RUNNING
    values = {"tombstone_token": None, "remove_not_before": None, "wanted_power": power, "hard_stop": False}
    return _want(session, vps_id, values, new="kept", actor=actor, reason=reason, now=now)


def want_size(
    session: Session,
    vps: Vps,
    product: Product,
    *,
    disk_mib: int,
    restart: bool,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> int:
    """Want a locked VPS to have the size of a product, and a root disk of so much; return the new revision.

    With ``restart`` one reboot more is wanted in the same revision. Swap stays as it was installed. Whoever calls this has
    made sure that no disk shrinks and that there is room.
    """
    old = f"{vps.memory_mib} MiB, {vps.vcpus} vCPU"
    values: dict[str, Any] = {
        "product_id": product.id,
        "memory_mib": product.memory_mib,
        "vcpus": product.vcpus,
        "cpu_weight": product.cpu_weight,
        "cpu_cap_percent": product.cpu_cap_percent,
    }
    if restart:
        values |= {"boot_serial": Vps.boot_serial + 1, "hard_reboot": False}
    root = sa.update(Disk).where(Disk.vps_id == vps.id, Disk.role == "root", Disk.size_mib < disk_mib)
    session.execute(root.values(size_mib=disk_mib))
    revision = _bump(session, vps.id, values)
    new = f"{product.memory_mib} MiB, {product.vcpus} vCPU"
    record(session, vps.id, "size", old, new, actor=actor, reason=reason, now=now)
    return revision


def refuse_when_suspended(session: Session, vps_id: uuid.UUID) -> None:
    """Raise Conflict that names the reasons when the VPS may not run."""
    query = sa.select(Suspension.reason).where(Suspension.vps_id == vps_id).order_by(Suspension.reason)
    reasons = [reason.value for reason in session.scalars(query)]
    if reasons:
        raise Conflict(f"The VPS is suspended ({', '.join(reasons)}); it can be started when that is lifted.")


def add_suspension(
    session: Session, vps_id: uuid.UUID, reason: SuspensionReason, *, note: str, actor: Actor, now: datetime
) -> int | None:
    """Suspend the VPS for one more reason.

    Return the new revision, or None when that reason stood already.
    """
    if session.get(Suspension, (vps_id, reason)) is not None:
        log.info("VPS %s is suspended for %s already; nothing to do", vps_id, reason.value)
        return None
    session.add(Suspension(vps_id=vps_id, reason=reason, note=note, since=now, actor=actor.name))
    record(session, vps_id, "suspension", "", reason.value, actor=actor, reason=note, now=now)
    return _bump(session, vps_id, {"hard_stop": False})


def lift_suspension(
    session: Session, vps_id: uuid.UUID, reason: SuspensionReason, *, note: str, actor: Actor, now: datetime
) -> int | None:
    """Lift one reason, no other; return the new revision, or None when that reason did not stand.

    The power wanted before was never forgotten: once the last reason is gone the pillar speaks of it again.
    """
    lift = sa.delete(Suspension).where(Suspension.vps_id == vps_id, Suspension.reason == reason)
    if not changed_rows(session, lift):
        log.info("VPS %s is not suspended for %s; nothing to do", vps_id, reason.value)
        return None
    record(session, vps_id, "suspension", reason.value, "", actor=actor, reason=note, now=now)
    return _bump(session, vps_id, {})


def record(
    session: Session,
    vps_id: uuid.UUID,
    kind: str,
    old: str,
    new: str,
    *,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> None:
    """Write one row of a VPS's history."""
    session.add(
        VpsTransition(
            vps_id=vps_id, at=now, kind=kind, old=old, new=new, actor=actor.name, reason=reason[:500]
        )
    )


def _want(
    session: Session,
    vps_id: uuid.UUID,
    values: dict[str, Any],
    *,
    new: str,
    actor: Actor,
    reason: str,
    now: datetime,
) -> int:
    old = session.scalar(sa.select(Vps.wanted_power).where(Vps.id == vps_id))
    if old is None:
        raise NotFound("There is no such VPS.")
    revision = _bump(session, vps_id, values)
    record(session, vps_id, "wanted", old.value, new, actor=actor, reason=reason, now=now)
    return revision


def _bump(session: Session, vps_id: uuid.UUID, values: dict[str, Any]) -> int:
    """Set *values* and raise the revision in one statement, so that two wishes never share a revision."""
    # The session may hold the row from before; it is read again rather than guessed at.
    session.execute(
        sa.update(Vps).where(Vps.id == vps_id).values(revision=Vps.revision + 1, **values),
        execution_options={"synchronize_session": False},
    )
    loaded = session.get(Vps, vps_id, populate_existing=True)
    if loaded is None:
        raise NotFound("There is no such VPS.")
    return loaded.revision
