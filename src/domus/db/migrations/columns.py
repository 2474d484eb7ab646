"""Column types as migrations write them. Migrations that were released depend on these: add, never change."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

#: SQLite numbers rows by itself only in a column that is exactly INTEGER.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def choice(name: str, *values: str) -> sa.Enum:
    """Return the type of a column that holds one of a few words, checked by the database."""
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def only_where(condition: str) -> dict[str, Any]:
    """Return the options of an index over some rows only."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
