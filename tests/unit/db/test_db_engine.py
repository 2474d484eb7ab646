"""Units of work are kept whole or not at all, and readers keep nobody waiting."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError

from domus.accounts.models import LoginFailure
from domus.billing.models import NumberSeries
from domus.core.errors import ConfigurationError
from domus.db.engine import Database, make_engine
from domus.inventory.models import Dom0, Location
from tests.support.builders import NOW


def series(db: Database) -> list[str]:
    with db.reading() as session:
        return list(session.scalars(sa.select(NumberSeries.name).order_by(NumberSeries.name)))


def test_a_unit_of_work_is_kept_when_it_ends_and_forgotten_when_it_fails(any_db: Database) -> None:
    with any_db.unit_of_work() as session:
        session.add(NumberSeries(name="kept"))

    def fail() -> None:
        with any_db.unit_of_work() as session:
            session.add(NumberSeries(name="forgotten"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert series(any_db) == ["kept"]


def test_what_a_reader_writes_is_forgotten(any_db: Database) -> None:
    with any_db.reading() as session:
        session.add(NumberSeries(name="by a reader"))
        session.flush()
    assert series(any_db) == []


def test_a_reader_and_a_writer_do_not_wait_for_each_other(any_db: Database) -> None:
    with any_db.reading() as reader:
        assert reader.scalars(sa.select(NumberSeries)).all() == []
        with any_db.unit_of_work() as session:
            session.add(NumberSeries(name="written meanwhile"))
    with any_db.unit_of_work() as session:
        session.add(NumberSeries(name="not committed yet"))
        session.flush()
        assert series(any_db) == ["written meanwhile"]


def test_writers_who_read_first_queue_and_lose_nothing(db: Database) -> None:
    """Without BEGIN IMMEDIATE some of them would fail: SQLite does not let a stale reader become a writer."""
    with db.unit_of_work() as session:
        session.add(NumberSeries(name="counter", next_number=0))

    def count_up(_: int) -> None:
        with db.unit_of_work() as session:
            row = session.get_one(NumberSeries, "counter")
            row.next_number += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(40)))
    with db.reading() as session:
        assert session.get_one(NumberSeries, "counter").next_number == 40


def test_foreign_keys_and_choices_are_held(any_db: Database) -> None:
    with pytest.raises(IntegrityError), any_db.unit_of_work() as session:
        session.add(
            Dom0(minion_id="a", location_id=99, memory_capacity_mib=1, disk_capacity_mib=1, vcpus_capacity=1)
        )
    with any_db.unit_of_work() as session:
        session.add(Location(id=1, name="Moon"))
        session.add(
            Dom0(minion_id="a", location_id=1, memory_capacity_mib=1, disk_capacity_mib=1, vcpus_capacity=1)
        )
    with pytest.raises(IntegrityError), any_db.unit_of_work() as session:
        session.execute(sa.text("UPDATE dom0 SET state = 'on holiday'"))


def test_moments_come_back_aware_in_utc_and_naive_ones_are_refused(any_db: Database) -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    with any_db.unit_of_work() as session:
        session.add(LoginFailure(key="x", at=east))
    with any_db.reading() as session:
        (at,) = session.scalars(sa.select(LoginFailure.at))
    assert at == NOW
    assert at.utcoffset() == timedelta(0)
    naive = LoginFailure(key="x", at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(StatementError, match="naive"), any_db.unit_of_work() as session:
        session.add(naive)


@pytest.mark.parametrize("url", ["nonsense", "mysql://root:hunter2@db/domus", ""])
def test_other_databases_are_refused_without_showing_the_url(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_engine(url)
    assert "hunter2" not in str(caught.value)


def test_a_postgresql_url_as_others_write_it_gets_our_driver() -> None:
    assert make_engine("postgresql://domus@db/domus").url.drivername == "postgresql+psycopg"
