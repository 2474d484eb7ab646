"""What customers and operators do with the power of a VPS, and what may keep it from running.

Who asks again for what is under way already gets the job that is: a button pressed often is pressed once.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.core.errors import Conflict, NotAllowed
from domus.core.texts import paragraphs
from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State
from domus.provisioning import jobs
from domus.provisioning import services as provisioning
from domus.provisioning.models import Job, JobKind
from domus.vps import queries, services
from domus.vps.models import Power, SuspensionReason, Vps, VpsState
from domus.workflows import suspensions


def start(db: Database, *, vps_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Job:
    """Start it.

    Raises NotFound for strangers, Conflict when it is suspended, not active, or its dom0 is lost.
    """
    with db.unit_of_work() as session:
        vps = _active(session, vps_id, actor)
        under_way = _under_way(session, vps, JobKind.START, Power.RUNNING)
        if under_way is not None:
            return under_way
        revision = services.want_power(session, vps_id, Power.RUNNING, actor=actor, reason=reason, now=now)
        return _ask(session, vps_id, JobKind.START, revision, actor=actor, reason=reason, now=now)


def shutdown(db: Database, *, vps_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Job:
    """Ask the guest to shut down; when it does not in time, it is switched off."""
    with db.unit_of_work() as session:
        vps = _active(session, vps_id, actor)
        under_way = _under_way(session, vps, JobKind.SHUTDOWN, Power.STOPPED)
        if under_way is not None:
            return under_way
        revision = services.want_power(session, vps_id, Power.STOPPED, actor=actor, reason=reason, now=now)
        return _ask(session, vps_id, JobKind.SHUTDOWN, revision, actor=actor, reason=reason, now=now)


def power_off(db: Database, *, vps_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Job:
    """Switch it off at once, as if the plug were pulled."""
    with db.unit_of_work() as session:
        vps = _active(session, vps_id, actor)
        under_way = _under_way(session, vps, JobKind.POWER_OFF, Power.STOPPED)
        if under_way is not None:
            return under_way
        revision = services.want_power(
            session, vps_id, Power.STOPPED, hard=True, actor=actor, reason=reason, now=now
        )
        return _ask(session, vps_id, JobKind.POWER_OFF, revision, actor=actor, reason=reason, now=now)


def reboot(
    db: Database, *, vps_id: uuid.UUID, actor: Actor, reason: str = "", hard: bool = False, now: datetime
) -> Job:
    """Restart it; ``hard`` does not ask the guest, and so does more than the other that may be under way."""
    with db.unit_of_work() as session:
        vps = _active(session, vps_id, actor)
        under_way = _under_way(session, vps, JobKind.REBOOT, Power.RUNNING)
        if under_way is not None and (vps.hard_reboot or not hard):
            return under_way
        revision = services.want_reboot(session, vps_id, hard=hard, actor=actor, reason=reason, now=now)
        return _ask(session, vps_id, JobKind.REBOOT, revision, actor=actor, reason=reason, now=now)


def suspend(
    db: Database,
    *,
    vps_id: uuid.UUID,
    suspension: SuspensionReason,
    note: str = "",
    actor: Actor,
    now: datetime,
) -> None:
    """Keep a VPS from running for one more reason; operators only. The same reason again changes nothing."""
    _require_operator(actor)
    with db.unit_of_work() as session:
        vps = _active(session, vps_id, actor)
        suspensions.impose(session, vps, suspension, note=_note(note), actor=actor, now=now)


def release(
    db: Database,
    *,
    vps_id: uuid.UUID,
    suspension: SuspensionReason,
    note: str = "",
    actor: Actor,
    now: datetime,
) -> None:
    """Lift one reason; with the last one gone the VPS returns to the power it was wanted to have.

    Operators only.
    """
    _require_operator(actor)
    with db.unit_of_work() as session:
        vps = queries.lock(session, vps_id, actor=actor)
        suspensions.lift(session, vps, suspension, note=_note(note), actor=actor, now=now)


def _active(session: Session, vps_id: uuid.UUID, actor: Actor) -> Vps:
    """Return the VPS, locked; raise Conflict unless it was handed over and its dom0 is still there."""
    vps = queries.lock(session, vps_id, actor=actor)
    if vps.state is not VpsState.ACTIVE:
        raise Conflict(
            f"The VPS is {vps.state.value.replace('_', ' ')}; this is possible only while it is active."
        )
    if session.get_one(Dom0, vps.dom0_id).state is Dom0State.LOST:
        raise Conflict("The machine that the VPS was on is lost; it cannot be reached.")
    return vps


def _under_way(session: Session, vps: Vps, kind: JobKind, power: Power) -> Job | None:
    """Return the open job of that kind, unless something else was wanted since: by its guest, or while suspended."""
    return jobs.find_open(session, vps.id, kind) if vps.wanted_power is power else None


def _note(text: str) -> str:
    return paragraphs(text, field="note", maximum=500)


def _require_operator(actor: Actor) -> None:
    if not actor.is_operator:
        raise NotAllowed("Only an operator can suspend a VPS or lift its suspension.")


def _ask(
    session: Session,
    vps_id: uuid.UUID,
    kind: JobKind,
    revision: int,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Job:
    job = provisioning.ask_dom0(session, vps_id, kind, revision=revision, actor=actor, reason=reason, now=now)
    vps = session.get_one(Vps, vps_id)
    audit.record(
        session, actor=actor, action=f"vps.{kind.value}", object_type="vps", object_id=vps.id,
        account_id=vps.account_id, reason=reason, now=now,
    )  # fmt: skip
    return job
