"""Many buyers at once: what is there is sold, nothing more, and who comes too late owes and holds nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import Invoice, Order
from domus.core.errors import Conflict, NoCapacity
from domus.db.engine import Database
from domus.inventory.models import IpAddress
from domus.placement import services
from domus.vps.models import Reservation, Vps, VpsState
from domus.workflows import orders, power, work
from tests.support.builders import NOW
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

BUYERS = 200
PLACES = 100
LATER = NOW + timedelta(minutes=10)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def race_db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Offer a database whose pool lets every buyer wait for a connection, however slow the machine is."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    size = 20 if request.param == "sqlite" else 50
    database = Database(url, pool_size=size, max_overflow=0, pool_timeout=500)
    yield database
    database.dispose()


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """Call *act* from so many threads at the same moment; return the results, an exception for one that raised."""
    gate = threading.Barrier(count)

    def wait_and_act(number: int) -> object:
        gate.wait()
        try:
            return act(number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_act, range(count)))


def count(db: Database, model: type, *where: sa.ColumnElement[bool]) -> int:
    with db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))


def assert_sold_out(shop: Shop, results: list[object]) -> None:
    assert Counter(type(result) for result in results) == {Order: PLACES, NoCapacity: BUYERS - PLACES}
    assert count(shop.db, Vps) == count(shop.db, Reservation) == count(shop.db, Invoice) == PLACES
    assert count(shop.db, IpAddress, IpAddress.vps_id.is_not(None)) == PLACES
    assert broken(shop.db) == []


@pytest.mark.parametrize("scarce", ["memory", "disk", "vcpus"])
def test_the_last_places_on_dom0s_are_sold_once(race_db, scarce):
    """A hundred places on four dom0s, two hundred buyers."""
    each = PLACES // 4
    plenty = {"memory_capacity_mib": 1 << 20, "disk_capacity_mib": 1 << 24, "vcpus_capacity": 10_000}
    tight = {
        "memory": ("memory_capacity_mib", 512),
        "disk": ("disk_capacity_mib", 10_752),
        "vcpus": ("vcpus_capacity", 1),
    }
    column, size = tight[scarce]
    shop = make_shop(race_db, dom0s=4, addresses=BUYERS, **plenty | {column: each * size})
    assert_sold_out(shop, at_once(BUYERS, lambda number: shop.order(hostname=f"host{number}.example.org")))


def test_the_last_addresses_are_sold_once(race_db):
    shop = make_shop(
        race_db, dom0s=2, addresses=PLACES,
        memory_capacity_mib=1 << 20, disk_capacity_mib=1 << 24, vcpus_capacity=10_000,
    )  # fmt: skip
    assert_sold_out(shop, at_once(BUYERS, lambda number: shop.order(hostname=f"host{number}.example.org")))


def test_the_database_alone_refuses_overselling(race_db, monkeypatch):
    """With the choice blinded, every buyer tries the same full dom0: the constraint has to hold by itself."""
    shop = make_shop(race_db, addresses=40, memory_capacity_mib=512 * 10)
    monkeypatch.setattr(services, "in_order_of_choice", lambda candidates, need: list(candidates))
    results = at_once(40, lambda number: shop.order(hostname=f"host{number}.example.org"))
    assert Counter(type(result) for result in results) == {Order: 10, NoCapacity: 30}
    assert broken(race_db) == []


def test_one_payment_told_by_twenty_is_booked_once(race_db):
    shop = make_shop(race_db)
    order = shop.order()
    results = at_once(20, lambda _: shop.pay(order, reference="ref-1"))
    assert {type(result) for result in results} == {Order}
    assert len(shop.jobs(shop.vps_of(order).id)) == 1
    assert broken(race_db) == []


def test_of_payment_and_cancellation_at_once_one_wins_and_the_other_is_told(race_db):
    shop = make_shop(race_db, addresses=20)
    for _ in range(5):
        order = shop.order()
        results = at_once(
            2,
            lambda number, order=order: (
                shop.pay(order)
                if number
                else orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=NOW)
            ),
        )
        assert sorted(type(result).__name__ for result in results) in (["Conflict", "Order"],)
        assert broken(race_db) == []


def test_one_of_many_engines_gets_the_run(race_db):
    shop = make_shop(race_db)
    shop.paid()
    minion_id = shop.machine.minion_id
    tickets = at_once(20, lambda _: work.begin_run(race_db, minion_id=minion_id, now=NOW))
    assert sum(isinstance(ticket, work.RunTicket) for ticket in tickets) == 1
    assert tickets.count(None) == 19


def test_every_message_is_claimed_by_one_engine(race_db):
    shop = make_shop(race_db, dom0s=3, addresses=30)
    for _ in range(30):
        shop.paid()
    claimed = at_once(10, lambda _: work.claim_messages(race_db, now=NOW, limit=5))
    ids = [message.id for batch in claimed for message in batch]
    assert len(ids) == len(set(ids)) == 30


def test_wishes_at_once_leave_no_gap_in_the_revisions_and_the_last_one_holds(race_db):
    shop = make_shop(race_db)
    vps = shop.active()
    actions = [power.start, power.shutdown, power.reboot, power.power_off] * 5
    jobs = at_once(20, lambda n: actions[n](race_db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER))
    # A wish that equals the one under way is the same job.
    revisions = {job.revision for job in jobs}
    assert revisions == set(range(2, max(revisions) + 1))
    assert [job.revision for job in shop.jobs(vps.id) if job.is_open] == [max(revisions)]
    assert broken(race_db) == []


def test_a_start_and_a_refund_at_once_leave_nothing_to_start(race_db):
    shop = make_shop(race_db)
    olga = shop.people.as_olga
    for number in range(5):
        vps = shop.active(now=NOW + timedelta(hours=number))
        at_once(
            4,
            lambda n, vps=vps: (
                power.start(race_db, vps_id=vps.id, actor=olga, now=LATER)
                if n
                else orders.refund(race_db, order_id=vps.order_id, actor=olga, now=LATER)
            ),
        )
        assert broken(race_db) == []


def test_news_of_a_vps_and_its_refund_at_once_end_alike_whoever_is_first(race_db):
    shop = make_shop(race_db)
    olga, minion_id = shop.people.as_olga, shop.machine.minion_id
    for number in range(5):
        now = NOW + timedelta(hours=number)
        vps = shop.paid(now=now)
        shop.machine.run(now)
        shop.machine.end_installs()
        report = shop.machine.converge(now)
        results = at_once(
            2,
            lambda n, vps=vps, report=report: (
                work.record_report(race_db, minion_id=minion_id, report=report, now=LATER)
                if n
                else orders.refund(race_db, order_id=vps.order_id, actor=olga, now=LATER)
            ),
        )
        assert [result for result in results if isinstance(result, Exception)] == []
        assert shop.vps(vps.id).state is VpsState.REMOVING
        assert broken(race_db) == []


def test_a_run_that_returns_the_moment_it_is_given_up_is_ended_once(race_db):
    shop = make_shop(race_db)
    minion_id = shop.machine.minion_id
    shop.paid()
    for number in range(5):
        now = NOW + timedelta(hours=number)
        failed_before = shop.dom0().failed_runs
        ticket = work.begin_run(race_db, minion_id=minion_id, now=now, force=True)
        work.run_published(race_db, run_id=ticket.run_id, jid=f"jid-{number}", now=now)
        report = shop.machine.converge(now)
        late = now + timedelta(minutes=5)
        acts = [
            lambda late=late: work.due_dom0s(race_db, now=late),
            lambda late=late, ticket=ticket: work.run_failed(
                race_db, run_id=ticket.run_id, problem="no answer", now=late
            ),
            lambda late=late, number=number, report=report: work.record_run(
                race_db, minion_id=minion_id, jid=f"jid-{number}", report=report, now=late
            ),
        ]
        results = at_once(3, lambda n, acts=acts: acts[n]())
        assert [result for result in results if isinstance(result, Exception)] == []
        assert broken(race_db) == []
        assert shop.dom0().failed_runs in (0, failed_before + 1)


def test_retry_and_refund_at_once_end_in_one_of_the_two(race_db):
    shop = make_shop(race_db)
    vps = shop.failed()
    alice = shop.people.as_alice
    results = at_once(
        2,
        lambda number: (
            orders.retry(race_db, vps_id=vps.id, actor=alice, now=LATER)
            if number
            else orders.refund(race_db, order_id=vps.order_id, actor=alice, now=LATER)
        ),
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert broken(race_db) == []
