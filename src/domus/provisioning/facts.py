"""What a dom0 saw, turned into facts about its VPSs.

Everything here may come late, twice, or in another order.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing.states import change_order_state
from domus.placement import services as placement
from domus.provisioning import jobs
from domus.provisioning.handover import tell_ready
from domus.provisioning.models import JobKind
from domus.provisioning.reports import InstallJob, PowerSeen, VpsSeen
from domus.vps import services as vps_services
from domus.vps.models import Power, Suspension, Vps, VpsState
from domus.vps.states import ON_DOM0

log = logging.getLogger(__name__)

SHUT_DOWN_FROM_INSIDE = "shut down from inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The dom0 that speaks, and when.

    It is believed about the VPSs placed on it, which is what `vps_of` returns.
    """

    session: Session
    dom0_id: int
    actor: Actor
    now: datetime

    def vps_of(self, ids: set[uuid.UUID]) -> dict[uuid.UUID, Vps]:
        """Return those of the VPSs that stand in this dom0's pillar, locked against other writers."""
        query = (
            sa.select(Vps)
            .where(Vps.dom0_id == self.dom0_id, Vps.state.in_(ON_DOM0))
            .order_by(Vps.id)
            .with_for_update(key_share=True)
        )
        # One dom0's VPSs are few; a list of hundreds of ids would only make the statement long.
        rows = self.session.scalars(query, execution_options={"populate_existing": True}).all()
        own = {row.id: row for row in rows if row.id in ids}
        for stranger in ids - own.keys():
            log.info("%s spoke of VPS %s, which is not on it; ignored", self.actor.name, stranger)
        return own


def apply_report(witness: Witness, seen: dict[uuid.UUID, VpsSeen], *, quarantine: timedelta) -> bool:
    """Bring every VPS of a report up to date; True when one is astray: not as the dom0 knew that it should be.

    What did not change costs no statement of its own.
    """
    own = witness.vps_of(set(seen))
    astray = [_apply_vps(witness, vps, seen[vps_id], quarantine) for vps_id, vps in own.items()]
    for at in {seen[vps_id].power.at for vps_id in own}:
        _note_time(witness, list(own), at)
    return any(astray)


def apply_job(witness: Witness, vps: Vps, job: InstallJob) -> None:
    """Write how far the present attempt of the present installation is, or the removal.

    Word of an older one changes nothing. A removal ends when the dom0 reports that nothing is left.
    """
    if job.kind == "remove":
        if vps.state is VpsState.REMOVING:
            jobs.progress(witness.session, vps.id, job, now=witness.now)
        return
    if job.install_id != vps.install_id or job.attempt != vps.install_attempt:
        log.info("VPS %s: news of another installation (attempt %s); ignored", vps.id, job.attempt)
        return
    if vps.state is not VpsState.PROVISIONING:
        return
    jobs.progress(witness.session, vps.id, job, now=witness.now)
    if job.state == "failed":
        fail_provisioning(witness.session, vps.id, job.error or "no reason given", witness.actor, witness.now)


def apply_power(witness: Witness, vps: Vps, seen: PowerSeen, *, up_to_date: bool) -> bool:
    """Write the power that was seen, unless something newer was; True when nobody wanted it so.

    ``up_to_date`` tells that the dom0 already knew the newest wish when it saw this: only then is a guest
    that shut itself down taken for its owner's wish, and not for the state before a start.
    """
    if vps.observed_at is not None and seen.at < vps.observed_at:
        return False
    if seen.power is not vps.observed_power:
        _write_power(witness, vps, seen)
    if vps.state is not VpsState.ACTIVE or not up_to_date or vps.wanted_power is not Power.RUNNING:
        return False
    if seen.power is Power.RUNNING or _is_suspended(witness.session, vps.id):
        return False
    if seen.power is Power.STOPPED and seen.reason == "guest":
        _let_it_rest(witness, vps)
        return False
    return True


def fail_provisioning(session: Session, vps_id: uuid.UUID, error: str, actor: Actor, now: datetime) -> None:
    """Give an installation up: it can be retried or refunded."""
    if vps_services.transition(session, vps_id, "fail", actor=actor, reason=error, now=now):
        jobs.fail(session, vps_id, JobKind.PROVISION, error=error, now=now)


def bury(
    session: Session, vps: Vps, *, quarantine: timedelta, actor: Actor, reason: str = "", now: datetime
) -> None:
    """End a removal: what the VPS held is given back, its addresses rest, and nothing of it is open any more."""
    placement.give_back(session, vps.id, quarantine=quarantine, now=now)
    vps_services.transition(session, vps.id, "finish_removal", actor=actor, reason=reason, now=now)
    _set(session, vps.id, applied_revision=vps.revision, problem="")
    jobs.finish_removal(session, vps.id, now=now)


def _apply_vps(witness: Witness, vps: Vps, seen: VpsSeen, quarantine: timedelta) -> bool:
    is_old = vps.observed_at is not None and seen.power.at < vps.observed_at
    if seen.install is not None:
        apply_job(witness, vps, seen.install)
    astray = apply_power(witness, vps, seen.power, up_to_date=seen.seen_revision == vps.revision)
    _apply_revision(witness, vps, seen)
    if seen.problem != vps.problem and not is_old:
        _set(witness.session, vps.id, problem=seen.problem)
    if (seen.memory_mib, seen.vcpus) != (vps.observed_memory_mib, vps.observed_vcpus) and not is_old:
        _set(witness.session, vps.id, observed_memory_mib=seen.memory_mib, observed_vcpus=seen.vcpus)
    if _is_handed_over(vps, seen):
        _hand_over(witness, vps)
    if vps.state is VpsState.REMOVING and vps.tombstone_token and seen.removed_token == vps.tombstone_token:
        bury(witness.session, vps, quarantine=quarantine, actor=witness.actor, now=witness.now)
    return astray


def _write_power(witness: Witness, vps: Vps, seen: PowerSeen) -> None:
    old = vps.observed_power
    _set(witness.session, vps.id, observed_power=seen.power, observed_at=seen.at)
    vps_services.record(
        witness.session, vps.id, "observed", old.value, seen.power.value,
        actor=witness.actor, reason=seen.reason, now=witness.now,
    )  # fmt: skip


def _let_it_rest(witness: Witness, vps: Vps) -> None:
    """A guest that shut itself down is not started again: its owner did that."""
    vps_services.want_power(
        witness.session, vps.id, Power.STOPPED,
        actor=witness.actor, reason=SHUT_DOWN_FROM_INSIDE, now=witness.now,
    )  # fmt: skip


def _apply_revision(witness: Witness, vps: Vps, seen: VpsSeen) -> None:
    """Note which revision holds.

    It only grows, and never past what was wanted: a dom0 cannot know the future.
    """
    if seen.revision is None or seen.revision <= vps.applied_revision:
        return
    if seen.revision > vps.revision:
        log.warning(
            "%s claims revision %s of VPS %s, which is at %s",
            witness.actor.name,
            seen.revision,
            vps.id,
            vps.revision,
        )
    applied = min(seen.revision, vps.revision)
    _set(witness.session, vps.id, applied_revision=applied)
    if vps.state is not VpsState.REMOVING:
        jobs.finish_applied(witness.session, vps.id, applied_revision=applied, now=witness.now)
        if applied == vps.revision:
            placement.fit(witness.session, vps.id)


def _is_handed_over(vps: Vps, seen: VpsSeen) -> bool:
    waiting = vps.state in (VpsState.PROVISIONING, VpsState.PROVISION_FAILED)
    return waiting and vps.applied_revision == vps.revision and seen.power.power is Power.RUNNING


def _hand_over(witness: Witness, vps: Vps) -> None:
    session, actor, now = witness.session, witness.actor, witness.now
    vps_services.transition(session, vps.id, "activate", actor=actor, now=now)
    if change_order_state(session, vps.order_id, "fulfil", actor=actor, now=now):
        tell_ready(session, vps, now=now)
    jobs.finish_late(session, vps.id, revision=vps.revision, now=now)


def _is_suspended(session: Session, vps_id: uuid.UUID) -> bool:
    return (
        session.scalar(sa.select(Suspension.reason).where(Suspension.vps_id == vps_id).limit(1)) is not None
    )


def _note_time(witness: Witness, ids: list[uuid.UUID], at: datetime) -> None:
    """Note in one statement when the VPSs were last seen: what is older than that is no news."""
    witness.session.execute(
        sa.update(Vps)
        .where(
            Vps.id.in_(ids),
            sa.or_(Vps.observed_at.is_(None), Vps.observed_at < at),
        )
        .values(observed_at=at),
        execution_options={"synchronize_session": False},
    )


def _set(session: Session, vps_id: uuid.UUID, **values: Any) -> None:
    session.execute(sa.update(Vps).where(Vps.id == vps_id).values(**values))
