"""The engine's doorbell rings when somebody else wrote, and is quiet otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from domus.core.errors import ConfigurationError
from domus.db.doorbell import Doorbell, doorbell
from domus.db.engine import Database
from domus.db.shared import database_url, shared_database
from domus.provisioning import outbox
from tests.support.order_shop import NOW
from tests.support.wait import wait_until


@pytest.fixture
def bell(any_db: Database) -> Iterator[Doorbell]:
    """Offer a doorbell that has rung for what was there before."""
    bell = doorbell(any_db, outbox.CHANNEL)
    assert bell.rang()
    yield bell
    bell.close()


def put(db: Database) -> None:
    with db.unit_of_work() as session:
        outbox.put(session, "domus/order/paid", {"order_id": "x"}, now=NOW)


def test_it_rings_once_for_a_message_of_another_process(any_db: Database, bell: Doorbell) -> None:
    assert not bell.rang()
    other = Database(any_db.engine.url.render_as_string(hide_password=False))
    put(other)
    other.dispose()
    wait_until(bell.rang, "the doorbell", 10)
    assert not bell.rang()


def test_it_is_quiet_when_nothing_was_written(any_db: Database, bell: Doorbell) -> None:
    with any_db.reading() as session:
        outbox.claim(session, now=NOW, limit=1, lease=timedelta(seconds=1))
    assert not bell.rang()


def test_a_process_has_one_database(sqlite_url: str) -> None:
    options = {"database_url": sqlite_url}
    assert shared_database(options, {}) is shared_database(options, {})


def test_the_url_comes_from_a_file_first(tmp_path: Path, sqlite_url: str) -> None:
    file = tmp_path / "url"
    file.write_text(f"{sqlite_url}\n")
    assert database_url({"database_url_file": str(file)}, {}) == sqlite_url
    assert database_url({}, {"DOMUS_DATABASE_URL_FILE": str(file)}) == sqlite_url
    assert database_url({"database_url": "sqlite://"}, {"DOMUS_DATABASE_URL_FILE": str(file)}) == "sqlite://"
    assert database_url(None, {"DOMUS_DATABASE_URL": "sqlite://"}) == "sqlite://"


def test_a_url_that_is_nowhere_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="database_url_file"):
        database_url({}, {})
    with pytest.raises(ConfigurationError, match="/nowhere"):
        database_url({"database_url_file": "/nowhere"}, {})
