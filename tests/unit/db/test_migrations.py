"""The migrations make what the models say, forwards and backwards."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from domus.core.errors import PreconditionFailed
from domus.db import migrate
from domus.db.base import Base
from domus.db.engine import Database
from tests.support.database import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url(server.new_database(migrated=False))


def test_the_migrated_schema_is_the_one_of_the_models(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.check(empty_url)


def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.newest()


def test_going_back_to_nothing_and_forth_again_works(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url, "base")
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    migrate.check(empty_url)


def test_an_empty_database_is_reported_as_too_old(empty_url: str) -> None:
    with pytest.raises(PreconditionFailed, match=r"at revision none .* run `domus db upgrade`"):
        migrate.check(empty_url)


def test_a_missing_column_is_reported(db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE dom0 DROP COLUMN boot_id"))
    with pytest.raises(PreconditionFailed, match="boot_id"):
        migrate.check(str(db.engine.url))


def test_every_check_of_the_models_is_in_the_migrations(db: Database, tmp_path: Path) -> None:
    """Alembic does not compare CHECK constraints, so this does."""
    from_models = Database(f"sqlite:///{tmp_path}/models.sqlite")
    Base.metadata.create_all(from_models.engine)
    assert _checks(db) == _checks(from_models)
    from_models.dispose()


def test_a_migration_that_leaves_rows_pointing_at_nothing_is_rolled_back(db: Database) -> None:
    url = str(db.engine.url)
    with (
        pytest.raises(PreconditionFailed, match="point at nothing"),
        migrate.migration_connection(url) as connection,
    ):
        connection.execute(
            sa.text("INSERT INTO nic (id, vps_id, mac) VALUES (1, 'no such vps', '00:16:3e:00:00:01')")
        )
    with db.reading() as session:
        assert session.execute(sa.text("SELECT count(*) FROM nic")).scalar() == 0


def _checks(db: Database) -> dict[str, set[tuple[str | None, str]]]:
    inspector = sa.inspect(db.engine)
    return {
        table: {
            (check["name"], re.sub(r"\s+", " ", check["sqltext"]))
            for check in inspector.get_check_constraints(table)
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }
