"""Removals that nobody can carry out any more, because the machine is gone."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.core.errors import Conflict, InvalidInput
from domus.db.engine import Database
from domus.inventory.models import Dom0State
from domus.inventory.queries import lock_dom0
from domus.provisioning import facts
from domus.vps import queries
from domus.vps.models import VpsState


def forget(
    db: Database, *, vps_id: uuid.UUID, quarantine: timedelta, actor: Actor, reason: str, now: datetime
) -> None:
    """End the removal of a VPS whose dom0 is lost: its place is given back, its addresses rest. For operators.

    Should the dom0 come back, it reports what is left of the VPS as unknown, and touches nothing of it. Raises
    Conflict when the VPS is not being removed, or its dom0 is not lost; forgotten already, nothing changes.
    """
    actor.require_operator()
    if not reason.strip():
        raise InvalidInput("Say why: history keeps it.", field="reason")
    with db.unit_of_work() as session:
        # The dom0 is locked before its VPSs, as by a report of it.
        dom0 = lock_dom0(session, dom0_id=queries.get(session, vps_id, actor=actor).dom0_id)
        vps = queries.lock(session, vps_id, actor=actor)
        if vps.state is VpsState.REMOVED:
            return
        if vps.state is not VpsState.REMOVING:
            raise Conflict(f"{vps} is {vps.state.value}; only what is being removed can be forgotten.")
        if dom0 is None or dom0.state is not Dom0State.LOST:
            raise Conflict(f"{dom0} is not lost; it removes {vps} itself.")
        facts.bury(session, vps, quarantine=quarantine, actor=actor, reason=reason, now=now)
        audit.record(
            session, actor=actor, action="vps.forgotten", object_type="vps", object_id=vps_id,
            account_id=vps.account_id, reason=reason, details={"dom0": dom0.minion_id}, now=now,
        )  # fmt: skip
