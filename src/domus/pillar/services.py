"""What the external pillar asks for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from domus.core.clock import iso_z
from domus.pillar import queries
from domus.pillar.render import render


def pillar_for(session: Session, minion_id: str, *, now: datetime) -> dict[str, Any] | None:
    """Return the pillar of the dom0 that this minion is, or None when it is no dom0 of ours.

    With it goes our time: a dom0 whose clock runs ahead must not remove a VPS before its grace time is over.
    A fault of the database raises: an empty answer would read as "nothing is wanted here".
    """
    rows = queries.rows_of(session, minion_id)
    return None if rows is None else render(rows) | {"rendered_at": iso_z(now)}
