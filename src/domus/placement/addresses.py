"""The way of an address: free > reserved > assigned > quarantined > free.

Only this file walks it for a VPS.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.core.errors import NoCapacity
from domus.db.rows import changed_rows
from domus.inventory.models import AddressHistory, AddressState, IpAddress, IpPool, Location

#: A free address can be taken by another buyer between the look and the grip; SKIP LOCKED makes that rare.
_GRIPS = 20


def reserve(session: Session, *, location_id: int, vps_id: uuid.UUID, ipv4: int = 1) -> None:
    """Hold IPv4 addresses for the VPS, and one IPv6 address where the location has any.

    Raise NoCapacity without as many IPv4 addresses as are wanted.
    """
    for taken in range(ipv4):
        if _take_one(session, location_id=location_id, vps_id=vps_id, version=4):
            continue
        place = session.get_one(Location, location_id).name
        lacking = f"only {taken} of {ipv4} IPv4 addresses" if taken else "no free IPv4 address"
        raise NoCapacity(f"{place} has {lacking} at the moment. Please choose another location.")
    _take_one(session, location_id=location_id, vps_id=vps_id, version=6)


def assign(session: Session, *, vps_id: uuid.UUID, account_id: int, now: datetime) -> None:
    """Give the VPS for good what it holds, and open the history of each address."""
    reserved = (IpAddress.vps_id == vps_id, IpAddress.state == AddressState.RESERVED)
    for address in session.scalars(sa.select(IpAddress.address).where(*reserved)).all():
        session.add(AddressHistory(address=address, vps_id=vps_id, account_id=account_id, from_at=now))
    session.execute(sa.update(IpAddress).where(*reserved).values(state=AddressState.ASSIGNED))


def hand_over(session: Session, *, vps_id: uuid.UUID, account_id: int, now: datetime) -> None:
    """Have the history of what a VPS holds go on under another account."""
    held = (AddressHistory.vps_id == vps_id, AddressHistory.until_at.is_(None))
    found = session.scalars(sa.select(AddressHistory.address).where(*held)).all()
    session.execute(sa.update(AddressHistory).where(*held).values(until_at=now))
    for address in found:
        session.add(AddressHistory(address=address, vps_id=vps_id, account_id=account_id, from_at=now))


def release(session: Session, *, vps_id: uuid.UUID, quarantine: timedelta, now: datetime) -> None:
    """Take back all that the VPS holds.

    What it used rests for *quarantine*, what was only reserved is free at once.
    """
    held = IpAddress.vps_id == vps_id
    session.execute(
        sa.update(IpAddress)
        .where(held, IpAddress.state == AddressState.RESERVED)
        .values(state=AddressState.FREE, vps_id=None)
    )
    session.execute(
        sa.update(IpAddress)
        .where(held, IpAddress.state == AddressState.ASSIGNED)
        .values(state=AddressState.QUARANTINED, vps_id=None, free_again_at=now + quarantine)
    )
    session.execute(
        sa.update(AddressHistory)
        .where(AddressHistory.vps_id == vps_id, AddressHistory.until_at.is_(None))
        .values(until_at=now)
    )


def end_quarantine(session: Session, *, now: datetime) -> int:
    """Free the addresses that have rested long enough; return how many."""
    return changed_rows(
        session,
        sa.update(IpAddress)
        .where(IpAddress.state == AddressState.QUARANTINED, IpAddress.free_again_at <= now)
        .values(state=AddressState.FREE, free_again_at=None),
    )


def free_count(session: Session, *, version: int) -> dict[int, int]:
    """Return how many addresses of a family are free, by location."""
    query = (
        sa.select(IpPool.location_id, sa.func.count())
        .join(IpAddress, IpAddress.pool_id == IpPool.id)
        .where(IpPool.active, _of_version(version), IpAddress.state == AddressState.FREE)
        .group_by(IpPool.location_id)
    )
    return {location_id: free for location_id, free in session.execute(query)}  # noqa: C416 - rows, not pairs


def _take_one(session: Session, *, location_id: int, vps_id: uuid.UUID, version: int) -> bool:
    first_free = (
        sa.select(IpAddress.id)
        .join(IpPool, IpPool.id == IpAddress.pool_id)
        .where(
            IpPool.location_id == location_id,
            IpPool.active,
            _of_version(version),
            IpAddress.state == AddressState.FREE,
        )
        .order_by(IpPool.id, IpAddress.position)
        .limit(1)
        .with_for_update(skip_locked=True, of=IpAddress)
    )
    for _ in range(_GRIPS):
        address_id = session.scalar(first_free)
        if address_id is None:
            return False
        taken = changed_rows(
            session,
            sa.update(IpAddress)
            .where(IpAddress.id == address_id, IpAddress.state == AddressState.FREE)
            .values(state=AddressState.RESERVED, vps_id=vps_id),
        )
        if taken:
            return True
    raise NoCapacity("Addresses are being sold faster than they can be taken; please try again in a moment.")


def _of_version(version: int) -> sa.ColumnElement[bool]:
    has_colon = IpPool.network.contains(":")
    return has_colon if version == 6 else sa.not_(has_colon)
