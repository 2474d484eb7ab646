"""Editing places, dom0s and address pools. For operators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.db.rows import changed_rows, get_row
from domus.inventory import services
from domus.inventory.models import AddressState, Dom0, Dom0State, IpAddress, IpPool, Location
from domus.inventory.services import Dom0Fields, LocationFields, PoolFields
from domus.workflows import editing

__all__ = [
    "Dom0Fields",
    "LocationFields",
    "PoolFields",
    "add_addresses",
    "delete_dom0",
    "delete_location",
    "delete_pool",
    "remove_address",
    "save_dom0",
    "save_location",
    "save_pool",
    "set_address_withheld",
    "set_dom0_state",
]


def save_location(
    db: Database, *, location_id: int | None, fields: LocationFields, actor: Actor, now: datetime
) -> Location:
    """Add a place, or change one."""

    def check(session: Session) -> LocationFields:
        return services.check_location(session, fields, own_id=location_id)

    return editing.save(db, Location, location_id, check, what="location", actor=actor, now=now)


def save_dom0(db: Database, *, dom0_id: int | None, fields: Dom0Fields, actor: Actor, now: datetime) -> Dom0:
    """Add a dom0, or change one; what VPSs on it depend on stays as it is while there are any."""

    def check(session: Session) -> Dom0Fields:
        return services.check_dom0(session, fields, own_id=dom0_id)

    return editing.save(
        db, Dom0, dom0_id, check, what="dom0", load=lambda dom0: dom0.location, actor=actor, now=now
    )


def save_pool(
    db: Database, *, pool_id: int | None, fields: PoolFields, actor: Actor, now: datetime
) -> IpPool:
    """Add an address pool without addresses, or change one."""

    def check(session: Session) -> PoolFields:
        return services.check_pool(session, fields, own_id=pool_id)

    return editing.save(
        db, IpPool, pool_id, check, what="pool", load=lambda pool: pool.location, actor=actor, now=now
    )


def set_dom0_state(
    db: Database, *, dom0_id: int, state: Dom0State, actor: Actor, reason: str, now: datetime
) -> Dom0:
    """Let a dom0 take new VPSs, or not, or be left alone, or count as gone."""
    actor.require_operator()
    with db.unit_of_work() as session:
        dom0 = get_row(session, Dom0, dom0_id, what="dom0")
        _ = dom0.location
        if dom0.state is not state:
            details = {"state": [dom0.state.value, state.value]}
            dom0.state = state
            _record(session, "dom0.state_changed", dom0, actor=actor, reason=reason, details=details, now=now)
    return dom0


def add_addresses(db: Database, *, pool_id: int, first: str, last: str, actor: Actor, now: datetime) -> int:
    """Add a range of addresses to a pool, all or none; return how many."""
    actor.require_operator()
    try:
        with db.unit_of_work() as session:
            pool = get_row(session, IpPool, pool_id, what="pool")
            count = services.add_addresses(session, pool, first, last)
            details = {"first": first.strip(), "last": last.strip(), "count": count}
            _record(session, "pool.addresses_added", pool, actor=actor, details=details, now=now)
    except IntegrityError as error:
        raise Conflict("Somebody added some of these addresses at the same moment; look again.") from error
    return count


def set_address_withheld(
    db: Database, *, address_id: int, withheld: bool, actor: Actor, now: datetime
) -> IpAddress:
    """Keep an address that nobody holds out of sale, or put it on sale again."""
    source = (AddressState.FREE, AddressState.QUARANTINED) if withheld else (AddressState.WITHHELD,)
    target = AddressState.WITHHELD if withheld else AddressState.FREE
    actor.require_operator()
    with db.unit_of_work() as session:
        swap = sa.update(IpAddress).where(IpAddress.id == address_id, IpAddress.state.in_(source))
        changed = changed_rows(session, swap.values(state=target, free_again_at=None))
        address = get_row(session, IpAddress, address_id, what="address")
        if changed:
            action = "address.withheld" if withheld else "address.released"
            _record(session, action, address, actor=actor, details={"address": address.address}, now=now)
        elif address.state is not target:
            raise Conflict(
                f"{address} is {address.state.value}; a VPS holds it."
                if withheld
                else f"{address} is not withheld."
            )
        _ = address.pool
    return address


def remove_address(db: Database, *, address_id: int, actor: Actor, now: datetime) -> None:
    """Take a free address out of its pool."""
    actor.require_operator()
    with db.unit_of_work() as session:
        address = get_row(session, IpAddress, address_id, what="address")
        _record(
            session, "address.removed", address, actor=actor, details={"address": address.address}, now=now
        )
        free = sa.delete(IpAddress).where(IpAddress.id == address_id, IpAddress.state == AddressState.FREE)
        if not changed_rows(session, free):
            raise Conflict(f"{address} is {address.state.value}; only a free address can be removed.")


def delete_location(db: Database, *, location_id: int, actor: Actor, now: datetime) -> None:
    """Delete a place without dom0s and pools."""
    editing.delete(
        db,
        Location,
        location_id,
        what="location",
        instead="move its dom0s and pools away first",
        actor=actor,
        now=now,
    )


def delete_dom0(db: Database, *, dom0_id: int, actor: Actor, now: datetime) -> None:
    """Delete a dom0 that never had a VPS."""
    editing.delete(db, Dom0, dom0_id, what="dom0", instead="mark it as lost instead", actor=actor, now=now)


def delete_pool(db: Database, *, pool_id: int, actor: Actor, now: datetime) -> None:
    """Delete a pool of which every address is free or withheld."""

    def delete_unused(session: Session, pool: IpPool) -> None:
        unused = IpAddress.state.in_((AddressState.FREE, AddressState.WITHHELD))
        session.execute(sa.delete(IpAddress).where(IpAddress.pool_id == pool.id, unused))

    editing.delete(
        db,
        IpPool,
        pool_id,
        what="pool",
        instead="deactivate it instead",
        first=delete_unused,
        actor=actor,
        now=now,
    )


def _record(
    session: Session,
    action: str,
    row: Dom0 | IpPool | IpAddress,
    *,
    actor: Actor,
    reason: str = "",
    details: Mapping[str, Any],
    now: datetime,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        object_type=action.partition(".")[0],
        object_id=row.id,
        reason=reason,
        details=details,
        now=now,
    )
