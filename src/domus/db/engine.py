"""Engines and the unit of work: one way to open the database, the same for SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from domus.core.errors import ConfigurationError

#: How long a writer of SQLite waits for another one, and PostgreSQL for a lock.
LOCK_TIMEOUT_SECONDS = 30


def make_engine(url: str, **options: Any) -> sa.Engine:
    """Return an engine for a ``sqlite:///`` or ``postgresql+psycopg://`` URL.

    SQLite runs in WAL mode with foreign keys on, and every transaction begins IMMEDIATE: two writers then queue, instead of
    one of them failing half-way because its read was overtaken.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(
            "The database URL is not one; write sqlite:////path or postgresql+psycopg://..."
        ) from error
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.get_backend_name()
    # What goes wrong is logged; the values of the statement may be password hashes.
    options.setdefault("hide_parameters", True)
    if backend == "sqlite":
        options.setdefault("connect_args", {"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False})
        engine = sa.create_engine(parsed, **options)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
        return engine
    if backend == "postgresql":
        options.setdefault("pool_pre_ping", True)
        engine = sa.create_engine(parsed, **options)
        sa.event.listen(engine, "handle_error", _drop_the_refused_row)
        return engine
    raise ConfigurationError(f"The database {backend!r} is not supported; SQLite and PostgreSQL are.")


def _drop_the_refused_row(context: sa.engine.ExceptionContext) -> None:
    """Keep only the first line of PostgreSQL's complaint: the second repeats the whole row, with what is secret in it."""
    if isinstance(context.sqlalchemy_exception, sa.exc.IntegrityError | sa.exc.DataError):
        for error in (context.original_exception, context.sqlalchemy_exception):
            error.args = tuple(str(part).partition("\n")[0] for part in error.args[:1]) + error.args[1:]


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy must send BEGIN itself (see _begin_immediate), so the driver may not.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("domus_read_only"):
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class Database:
    """The database of one process: hands out units of work and read-only sessions."""

    def __init__(self, url: str, **options: Any) -> None:
        self.engine = make_engine(url, **options)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @property
    def is_postgresql(self) -> bool:
        """Tell whether LISTEN, SKIP LOCKED and the like are there."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """Yield a session; commit when the block ends, roll back when it raises. Workflows are the only callers."""
        with self._sessions() as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that takes no write lock; nothing of it is kept, and what it loaded stays readable."""
        with self._sessions() as session:
            session.connection(execution_options={"domus_read_only": True})
            # Closing rolls back. Session.rollback() would expire every row, and a detached row cannot be loaded again.
            yield session

    def dispose(self) -> None:
        """Close every pooled connection (after a fork, and when a test ends)."""
        self.engine.dispose()
