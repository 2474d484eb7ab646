"""Dom0s, pools, addresses and who had them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.inventory.models import AddressHistory, AddressState, Dom0, IpAddress, Location


def locations(session: Session) -> Sequence[Location]:
    """Return every place, by name."""
    return session.scalars(sa.select(Location).order_by(Location.name)).all()


def address_counts(session: Session) -> dict[int, dict[AddressState, int]]:
    """Return for each pool's id how many of its addresses are in which state; DTC's pool report in one statement."""
    query = sa.select(IpAddress.pool_id, IpAddress.state, sa.func.count()).group_by(
        IpAddress.pool_id, IpAddress.state
    )
    found: dict[int, dict[AddressState, int]] = {}
    for pool_id, state, count in session.execute(query):
        found.setdefault(pool_id, dict.fromkeys(AddressState, 0))[state] = count
    return found


def holder_at(session: Session, address: str, moment: datetime) -> AddressHistory | None:
    """Return who held an address at a moment, for the abuse report that comes months later."""
    return session.scalar(
        sa.select(AddressHistory).where(
            AddressHistory.address == address,
            AddressHistory.from_at <= moment,
            sa.or_(AddressHistory.until_at.is_(None), AddressHistory.until_at > moment),
        )
    )


def lock_dom0(session: Session, *, dom0_id: int | None = None, minion_id: str | None = None) -> Dom0 | None:
    """Return a dom0 by one of its two ids, locked: all that is told of it is written in order."""
    which = Dom0.id == dom0_id if minion_id is None else Dom0.minion_id == minion_id
    query = sa.select(Dom0).where(which).with_for_update(key_share=True)
    return session.scalar(query, execution_options={"populate_existing": True})
