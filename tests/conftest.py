"""What every test may ask for: databases, the cast, and cheap password hashes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from domus.accounts import passwords
from domus.db.engine import Database
from tests.support.database import (
    PostgresServer,
    copy_sqlite,
    make_sqlite_template,
    postgresql_programs,
    running_postgres,
)
from tests.support.people import People, make_people
from tests.support.sharing import WholeFiles

passwords.use_hasher(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the lab where others work beside it: it takes longest."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: "/tests/lab/" in item.path.as_posix(), reverse=True)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    """Share the tests between workers by whole files."""
    return WholeFiles(config, log)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Offer a migrated SQLite file to copy from."""
    return make_sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Offer a PostgreSQL server; it is started when the first test asks for it."""
    programs = postgresql_programs()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail(
                "PostgreSQL is not installed, and in CI nothing may be left out (apt install postgresql)"
            )
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Offer the URL of a migrated, empty SQLite database."""
    return copy_sqlite(sqlite_template, tmp_path)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Offer the URL of a migrated, empty PostgreSQL database."""
    name = postgres_server.new_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def db(sqlite_url: str) -> Iterator[Database]:
    """Offer a migrated, empty SQLite database."""
    database = Database(sqlite_url)
    # What a test writes need not outlive a power cut.
    sa.event.listen(
        database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF")
    )
    yield database
    database.dispose()


@pytest.fixture
def postgres_db(postgres_url: str) -> Iterator[Database]:
    """Offer a migrated, empty PostgreSQL database."""
    database = Database(postgres_url, pool_size=20, max_overflow=30)
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_db(request: pytest.FixtureRequest) -> Database:
    """Run the test on SQLite and on PostgreSQL."""
    database = request.getfixturevalue("db" if request.param == "sqlite" else "postgres_db")
    assert isinstance(database, Database)
    return database


@pytest.fixture
def people(db: Database) -> People:
    """Put Alice, Bob, Charlie and Olga into ``db``. (With ``any_db``, call ``make_people(any_db)``.)"""
    return make_people(db)
