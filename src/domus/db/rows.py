"""Rows as editors need them: read one or say that it is not there, write checked fields into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.core.errors import InvalidInput, NotFound
from domus.db.base import Base

Row = TypeVar("Row", bound=Base)


def get_row(session: Session, model: type[Row], row_id: int, *, what: str, field: str | None = None) -> Row:
    """Return the row; raise NotFound, or InvalidInput when the id came from a form's field."""
    row = session.get(model, row_id)
    if row is None and field is not None:
        raise InvalidInput(f"There is no such {what}.", field=field)
    if row is None:
        raise NotFound(f"There is no such {what}.")
    return row


def write_row(row: Row, columns: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Write the columns into the row; return those that changed, as (old, new)."""
    before = {name: getattr(row, name) for name in columns}
    for name, value in columns.items():
        setattr(row, name, value)
    return {name: (before[name], value) for name, value in columns.items() if before[name] != value}


def refuse_taken(session: Session, column: Any, value: str, *, own_id: int | None, field: str) -> None:
    """Raise InvalidInput when another row has the value already."""
    query = sa.select(column.class_.id).where(column == value)
    if own_id is not None:
        query = query.where(column.class_.id != own_id)
    if session.scalar(query) is not None:
        raise InvalidInput(f"{value!r} is taken already.", field=field)


def changed_rows(session: Session, statement: sa.Update | sa.Delete) -> int:
    """Run an UPDATE or DELETE and return how many rows it found: the "swap" of a compare-and-swap."""
    result = session.execute(statement)
    assert isinstance(result, sa.CursorResult)  # noqa: S101 - what both statements always give
    return result.rowcount
