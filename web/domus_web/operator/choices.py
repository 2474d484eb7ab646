"""Filters of a list: a value of one column, chosen from its few states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from domus_web.operator.searching import parse_key


@dataclass(frozen=True, slots=True)
class Choice:
    """One filter in the address: ``?name=value``. Values that are none of its options are passed over."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    condition: Callable[[str], sa.ColumnElement[bool]]

    def narrow(self, query: sa.Select[Any], value: str) -> sa.Select[Any]:
        """Restrict *query* to *value*, if it is one of the options."""
        return query.where(self.condition(value)) if value in dict(self.options) else query


@dataclass(frozen=True, slots=True)
class Of:
    """A filter by what a row belongs to: ``?name=id``. Links set it; it is offered in no menu, which could not hold all."""

    name: str
    label: str
    column: Any
    options: tuple[tuple[str, str], ...] = ()

    def narrow(self, query: sa.Select[Any], value: str) -> sa.Select[Any]:
        """Restrict *query* to the rows of *value*; a value that cannot be a key has no rows."""
        if not value:
            return query
        key = parse_key(self.column, value)
        return query.where(sa.false() if key is None else self.column == key)


def by_state(column: Any, states: type[StrEnum], *, name: str = "state", label: str = "State") -> Choice:
    """Return a filter by a column that holds a StrEnum."""
    options = tuple((member.value, member.value.replace("_", " ")) for member in states)
    return Choice(name, label, options, lambda value: column == states(value))


def yes_or_no(column: Any, *, name: str, label: str, yes: str, no: str) -> Choice:
    """Return a filter by a column that is true or false."""
    return Choice(name, label, (("yes", yes), ("no", no)), lambda value: column.is_(value == "yes"))
