"""Locks by name, held until the transaction ends."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session


def lock_name(session: Session, name: str) -> None:
    """Wait until no other transaction holds the name, then hold it.

    For rules that no constraint can say, such as "at most five rows like this in a quarter of an hour". On SQLite there is
    nothing to do: its writers queue anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))
