"""Pages of lists that are too long to count: each begins where the one before ended.

An offset makes the database walk over every row before it, so page ten thousand of a million rows takes a second.
Here a page is found through an index by the last row of the page before, and the first page costs as much as any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session


@dataclass(frozen=True, slots=True)
class Ordering:
    """What a list is sorted by: a column that is unique, or one that has an index together with the primary key.

    It never holds NULL. A unique column needs no key beside it, and with one no index would give the order.
    """

    column: InstrumentedAttribute[Any]
    key: InstrumentedAttribute[Any]
    descending: bool = False

    @property
    def columns(self) -> list[InstrumentedAttribute[Any]]:
        """Return the columns that make the order total."""
        return [self.column] if self.is_unique else [self.column, self.key]

    @property
    def is_unique(self) -> bool:
        """Tell whether no two rows have the same value."""
        (column,) = self.column.property.columns
        return bool(column.primary_key or column.unique)


@dataclass(frozen=True, slots=True)
class Cursor:
    """From where a page begins, and in which direction: after a row, or before one."""

    key: Any
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in order, and the keys from which the neighbouring pages are reached."""

    rows: Sequence[Any]
    before: Any = None
    after: Any = None


def page_of(
    session: Session, query: sa.Select[Any], ordering: Ordering, *, cursor: Cursor | None, size: int
) -> Page:
    """Return one page of *query*. A cursor whose row is gone gives the first page."""
    start = _position(session, ordering, cursor)
    backwards = start is not None and cursor is not None and cursor.backwards
    descending = ordering.descending != backwards
    if start is not None:
        position = sa.tuple_(*ordering.columns)
        query = query.where(position < start if descending else position > start)
    query = query.order_by(*(c.desc() if descending else c.asc() for c in ordering.columns))
    rows = list(session.scalars(query.limit(size + 1)).unique())
    more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    has_before = more if backwards else start is not None
    has_after = True if backwards else more
    keys = [getattr(row, ordering.key.key) for row in rows]
    return Page(
        rows=rows,
        before=keys[0] if keys and has_before else None,
        after=keys[-1] if keys and has_after else None,
    )


def _position(session: Session, ordering: Ordering, cursor: Cursor | None) -> sa.Tuple | None:
    if cursor is None:
        return None
    row = session.execute(sa.select(*ordering.columns).where(ordering.key == cursor.key)).first()
    return None if row is None else sa.tuple_(*row, types=[c.type for c in ordering.columns])
