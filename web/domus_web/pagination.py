"""Lists in pages, without counting what nobody reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from flask import request
from sqlalchemy.orm import Session

Row = TypeVar("Row")

PAGE_SIZE = 25
#: Beyond it an offset costs more than any page is worth.
LAST_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a list. Whether there is a next one is known by one row more than is shown."""

    items: Sequence[Row]
    number: int
    has_next: bool

    @property
    def has_previous(self) -> bool:
        """Tell whether this is not the first page."""
        return self.number > 1


def page_number() -> int:
    """Return the page that the request asks for; nonsense is the first page."""
    text = request.args.get("page", "1")
    return min(int(text), LAST_PAGE) if text.isdecimal() and len(text) < 9 and int(text) > 0 else 1


def paginate(session: Session, query: sa.Select[Any], *, number: int, size: int = PAGE_SIZE) -> Page[Any]:
    """Return a page of *query*, which must have an order and select one entity."""
    rows = session.scalars(query.limit(size + 1).offset((number - 1) * size)).all()
    return Page(items=rows[:size], number=number, has_next=len(rows) > size)
