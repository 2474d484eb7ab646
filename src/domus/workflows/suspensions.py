"""Suspension as a set of reasons: one more stops a VPS; with the last one lifted it returns to the power that was wanted.

Both work in the caller's transaction, on a VPS that it has locked.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.provisioning import outbox
from domus.provisioning import services as provisioning
from domus.provisioning.models import JobKind
from domus.vps import services
from domus.vps.models import Power, SuspensionReason, Vps, VpsState


def impose(
    session: Session, vps: Vps, reason: SuspensionReason, *, note: str, actor: Actor, now: datetime
) -> bool:
    """Suspend an active VPS for one more reason; False, and nothing happens, when that reason stands already."""
    revision = services.add_suspension(session, vps.id, reason, note=note, actor=actor, now=now)
    if revision is None:
        return False
    why = f"suspended: {reason.value}"
    provisioning.ask_dom0(
        session, vps.id, JobKind.SHUTDOWN, revision=revision, actor=actor, reason=why, now=now,
        tag=outbox.SUBSCRIPTION_SUSPENDED,
    )  # fmt: skip
    _audit(session, vps, "vps.suspend", reason, note=note, actor=actor, now=now)
    return True


def lift(
    session: Session,
    vps: Vps,
    reason: SuspensionReason,
    *,
    note: str,
    actor: Actor,
    now: datetime,
    tag: str = outbox.SUBSCRIPTION_RELEASED,
) -> bool:
    """Lift one reason and no other; False, and nothing happens, when that reason did not stand."""
    revision = services.lift_suspension(session, vps.id, reason, note=note, actor=actor, now=now)
    if revision is None:
        return False
    session.refresh(vps, ["suspensions"])
    if vps.state is VpsState.ACTIVE and vps.wanted_power is Power.RUNNING and not vps.suspensions:
        why = f"no longer suspended: {reason.value}"
        provisioning.ask_dom0(
            session, vps.id, JobKind.START, revision=revision, actor=actor, reason=why, now=now, tag=tag
        )
    else:
        provisioning.tell_vps_changed(session, vps.id, now=now, tag=tag)
    _audit(session, vps, "vps.release", reason, note=note, actor=actor, now=now)
    return True


def _audit(
    session: Session,
    vps: Vps,
    action: str,
    suspension: SuspensionReason,
    *,
    note: str,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session, actor=actor, action=action, object_type="vps", object_id=vps.id, account_id=vps.account_id,
        reason=note, details={"suspension": suspension.value}, now=now,
    )  # fmt: skip
