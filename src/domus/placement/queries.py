"""Capacity as it stands: a snapshot for the choice of a dom0, and what the order page may offer."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.inventory.models import Dom0, Dom0State
from domus.placement import addresses
from domus.placement.choose import Candidate, Need
from domus.vps.models import Reservation


def candidates(session: Session, *, location_id: int | None = None) -> dict[int, list[Candidate]]:
    """Return the dom0s that take new VPSs, by location (all locations, or the one given)."""
    held = (
        sa.select(Reservation.dom0_id, sa.func.count().label("count"))
        .group_by(Reservation.dom0_id)
        .subquery()
    )
    query = (
        sa.select(Dom0, sa.func.coalesce(held.c.count, 0))
        .outerjoin(held, held.c.dom0_id == Dom0.id)
        .where(Dom0.state == Dom0State.ACTIVE)
        .order_by(Dom0.id)
    )
    if location_id is not None:
        query = query.where(Dom0.location_id == location_id)
    found: dict[int, list[Candidate]] = {}
    # The sums are kept by triggers behind the session's back: what it holds of them may be old.
    for dom0, count in session.execute(query, execution_options={"populate_existing": True}):
        found.setdefault(dom0.location_id, []).append(_candidate(dom0, count))
    return found


def free_places(session: Session, need: Need) -> dict[int, int]:
    """Return how many VPSs of this size can still be sold, by location.

    A full location counts zero or is missing.
    """
    ipv4 = addresses.free_count(session, version=4)
    return {
        location_id: min(sum(dom0.places(need) for dom0 in dom0s), ipv4.get(location_id, 0))
        for location_id, dom0s in candidates(session).items()
    }


def _candidate(dom0: Dom0, vps_count: int) -> Candidate:
    return Candidate(
        dom0_id=dom0.id,
        memory_capacity_mib=dom0.memory_capacity_mib,
        memory_free_mib=dom0.memory_capacity_mib - dom0.memory_reserved_mib,
        disk_free_mib=dom0.disk_capacity_mib - dom0.disk_reserved_mib,
        vcpus_free=dom0.vcpus_capacity - dom0.vcpus_reserved,
        vps_count=vps_count,
    )
