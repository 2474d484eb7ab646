"""New, empty databases that keep what they promise: SQLite files, and a PostgreSQL server of the benchmark's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness import LeftOut


def sqlite_files(folder: str) -> Callable[[], str]:
    """Return what gives the URL of a new SQLite file at each call."""
    names = itertools.count()
    return lambda: f"sqlite:///{Path(folder) / f'{next(names)}.sqlite'}"


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """Start a server with PostgreSQL's own settings (durable), and yield what makes a database and returns its URL."""
    try:
        from tests.support.database import postgresql_programs, running_postgres
    except ImportError as error:
        raise LeftOut("the tests, whose PostgreSQL server it uses, are not here") from error
    programs = postgresql_programs()
    if programs is None:
        raise LeftOut("PostgreSQL is not installed (Debian package postgresql)")
    with running_postgres(programs, durable=True) as server:
        yield lambda: server.url(server.new_database(migrated=False))
