"""Tells without a query whether somebody may have written to the outbox."""

from __future__ import annotations

from typing import Any, Protocol

import psycopg
from psycopg import sql

from domus.db.engine import Database


class Doorbell(Protocol):
    """Asked many times a second, so it has to be cheap."""

    def rang(self) -> bool:
        """Tell whether something may have been written since the last call."""

    def close(self) -> None:
        """Let the connection go."""


def doorbell(db: Database, channel: str) -> Doorbell:
    """Return the doorbell of a database: LISTEN on PostgreSQL, the change counter of the file on SQLite."""
    return ListenDoorbell(db, channel) if db.is_postgresql else FileDoorbell(db)


class FileDoorbell:
    """SQLite counts, for each connection, the commits of all others."""

    def __init__(self, db: Database) -> None:
        self._connection: Any = db.engine.raw_connection()
        self._version: int | None = None

    def rang(self) -> bool:
        """Tell whether another connection committed since the last call."""
        (version,) = self._connection.cursor().execute("PRAGMA data_version").fetchone()
        changed = version != self._version
        self._version = version
        return bool(changed)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class ListenDoorbell:
    """PostgreSQL tells whoever listens, when the writer commits."""

    def __init__(self, db: Database, channel: str) -> None:
        url = db.engine.url.set(drivername="postgresql")
        self._connection = psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)
        self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        self._first = True

    def rang(self) -> bool:
        """Tell whether a notification came since the last call; the first answer is yes, for what came before."""
        first, self._first = self._first, False
        return bool(list(self._connection.notifies(timeout=0))) or first

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
