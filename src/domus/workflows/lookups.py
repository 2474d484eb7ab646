"""From what people type to ids: a VPS by its name, an order by its number, a dom0 by its minion id."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from domus.billing.models import Order
from domus.core.errors import NotFound
from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.vps.models import Vps


def vps_id(db: Database, text: str) -> uuid.UUID:
    """Return the id of the VPS that is called by its name or its id; raise NotFound when there is none."""
    typed = _uuid(text)
    # People leave out what every name begins with.
    which = Vps.name.in_((text, f"vps-{text}")) if typed is None else Vps.id == typed
    with db.reading() as session:
        found = session.scalar(sa.select(Vps.id).where(which))
    if found is None:
        raise NotFound(f"There is no VPS {text!r}; give its name, such as vps-6f1b2c3d, or its id.")
    return found


def order_id(db: Database, text: str) -> uuid.UUID:
    """Return the id of the order that is called by its number or its id; raise NotFound when there is none."""
    typed, number = _uuid(text), text.removeprefix("#")
    if typed is not None:
        which = Order.id == typed
    elif number.isdecimal() and len(number) < 18:
        which = Order.number == int(number)
    else:
        raise NotFound(f"{text!r} names no order; give its number, such as 17, or its id.")
    with db.reading() as session:
        found = session.scalar(sa.select(Order.id).where(which))
    if found is None:
        raise NotFound(f"There is no order {text}.")
    return found


def dom0_id(db: Database, minion_id: str) -> int:
    """Return the id of a dom0; raise NotFound that names those that there are."""
    with db.reading() as session:
        known = {row.minion_id: row.id for row in session.execute(sa.select(Dom0.minion_id, Dom0.id))}
    if minion_id not in known:
        names = ", ".join(sorted(known)) or "none yet"
        raise NotFound(f"There is no dom0 {minion_id!r}; there are: {names}.")
    return int(known[minion_id])


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
