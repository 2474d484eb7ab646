"""Many rows in one go, for work that would take an hour row by row. What it writes is what the models would.

Python-side defaults of columns do not apply here: every column that the database cannot leave out has to be named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from domus.db.base import Base, UtcDateTime


def take_ids(session: Session, model: type[Base], count: int) -> Sequence[int]:
    """Return so many primary keys that nobody else gets, in order."""
    table = _table(model)
    (key,) = table.primary_key.columns
    if session.get_bind().dialect.name == "postgresql":
        # As a query of its own, so that the name is looked up once and not for each key.
        sequence = sa.select(sa.func.pg_get_serial_sequence(table.name, key.name)).scalar_subquery()
        numbers = sa.func.generate_series(1, count).table_valued("number")
        return session.scalars(sa.select(sa.func.nextval(sequence)).select_from(numbers)).all()
    # A writer is alone on SQLite, and the next key there is the largest one and one more.
    first = int(session.scalar(sa.select(sa.func.coalesce(sa.func.max(key), 0))) or 0) + 1
    return range(first, first + count)


def insert_rows(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows of these attributes of a model: by COPY on PostgreSQL, by one prepared statement on SQLite."""
    found, prepare = _columns(session, model, columns)
    names = ", ".join(f'"{column.name}"' for column in found)
    prepared = map(prepare, rows)
    table = _table(model).name
    with _cursor(session) as cursor:
        if session.get_bind().dialect.name == "postgresql":
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in prepared:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(found))
            cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', prepared)  # noqa: S608


def insert_new_rows(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """Insert rows except those that a unique index has already, also by somebody else's hand; return how many were new."""
    found, prepare = _columns(session, model, columns)
    names = ", ".join(f'"{column.name}"' for column in found)
    prepared = [prepare(row) for row in rows]
    table = _table(model).name
    if not prepared:
        return 0
    with _cursor(session) as cursor:
        if session.get_bind().dialect.name == "postgresql":
            cursor.execute(
                f'INSERT INTO "{table}" ({names}) SELECT * FROM unnest({_array_marks(session, found)}) '  # noqa: S608
                "ON CONFLICT DO NOTHING",
                _arrays(prepared),
            )
        else:
            marks = ", ".join("?" * len(found))
            cursor.executemany(
                f'INSERT INTO "{table}" ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING',  # noqa: S608
                prepared,
            )
        return int(cursor.rowcount)


def update_rows(
    session: Session, model: type[Base], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> int:
    """Set columns of many rows, each to values of its own; the first column is the key. Return how many were found."""
    found, prepare = _columns(session, model, columns)
    prepared = [prepare(row) for row in rows]
    key, *changed = found
    table = _table(model).name
    with _cursor(session) as cursor:
        if session.get_bind().dialect.name == "postgresql":
            names = ", ".join(f'"{column.name}"' for column in found)
            sets = ", ".join(f'"{column.name}" = given."{column.name}"' for column in changed)
            cursor.execute(
                f'UPDATE "{table}" SET {sets} '  # noqa: S608
                f"FROM unnest({_array_marks(session, found)}) AS given ({names}) "
                f'WHERE "{table}"."{key.name}" = given."{key.name}"',
                _arrays(prepared),
            )
        else:
            sets = ", ".join(f'"{column.name}" = ?' for column in changed)
            cursor.executemany(
                f'UPDATE "{table}" SET {sets} WHERE "{key.name}" = ?',  # noqa: S608
                [(*values, identity) for identity, *values in prepared],
            )
        return int(cursor.rowcount)


def among(session: Session, column: Any, values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Ask whether a column has one of many values: on PostgreSQL as one array, which is read faster than marks."""
    if session.get_bind().dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(values), postgresql.ARRAY(column.type)))  # type: ignore[no-any-return]
    return column.in_(values)  # type: ignore[no-any-return]


def _array_marks(session: Session, columns: Sequence[sa.Column[Any]]) -> str:
    dialect = session.get_bind().dialect
    return ", ".join(f"%s::{column.type.compile(dialect)}[]" for column in columns)


def _arrays(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return the columns of rows as PostgreSQL writes arrays; when the driver writes them it takes four times as long."""
    return [f"{{{','.join(map(_element, column))}}}" for column in zip(*rows, strict=True)]


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@contextmanager
def _cursor(session: Session) -> Iterator[Any]:
    """Yield the driver's cursor; what the driver raises becomes what SQLAlchemy would raise, without the row in its text."""
    dialect = session.get_bind().dialect
    driver_error: type[Exception] = dialect.loaded_dbapi.Error
    cursor = session.connection().connection.cursor()
    try:
        yield cursor
    except driver_error as error:
        error.args = tuple(str(part).partition("\n")[0] for part in error.args[:1])
        raise sa.exc.DBAPIError.instance(None, None, error, driver_error, dialect=dialect) from error
    finally:
        cursor.close()


def _columns(
    session: Session, model: type[Base], names: Sequence[str]
) -> tuple[list[sa.Column[Any]], Callable[[Sequence[Any]], Sequence[Any]]]:
    """Return the columns, and what turns values of them into those that the driver takes."""
    mapper, dialect = sa.inspect(model), session.get_bind().dialect
    found = [mapper.columns[name] for name in names]
    processors = [
        (place, process)
        for place, column in enumerate(found)
        if (process := _processor(column, dialect)) is not None
    ]

    def prepare(row: Sequence[Any]) -> Sequence[Any]:
        if not processors:
            return row
        values = list(row)
        for place, process in processors:
            values[place] = process(values[place])
        return values

    return found, prepare


def _processor(column: sa.Column[Any], dialect: sa.Dialect) -> Callable[[Any], Any] | None:
    """Return what turns a value of a column into one that the driver takes as it is; None where nothing has to be done."""
    if isinstance(column.type, sa.JSON):
        return _JsonText(none_as_null=column.type.none_as_null)
    process = column.type.dialect_impl(dialect).bind_processor(dialect)
    if dialect.name == "postgresql" and isinstance(column.type, sa.Date | UtcDateTime):
        # The driver would write out the same moment again for each row.
        process = _as_text if process is None else partial(_as_text, process=process)
    # The same moment or state stands in all rows of a chunk.
    return None if process is None else lru_cache(maxsize=64)(process)


def _as_text(value: Any, process: Callable[[Any], Any] | None = None) -> str | None:
    given = value if process is None else process(value)
    return None if given is None else str(given)


class _JsonText:
    """Writes JSON; the same object in one row after another (as the seller of all invoices) is written once."""

    def __init__(self, *, none_as_null: bool) -> None:
        self._none = None if none_as_null else "null"
        self._last: Any = None
        self._text = self._none

    def __call__(self, value: Any) -> str | None:
        if value is not self._last:
            self._last = value
            self._text = self._none if value is None else json.dumps(value)
        return self._text


def _table(model: type[Base]) -> sa.Table:
    table = model.__table__
    assert isinstance(table, sa.Table)  # noqa: S101 - what every model here has
    return table
