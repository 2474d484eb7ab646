"""Renewals at the same moment: two runs, payments by several ways, payment against suspension and end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing.models import Invoice, Payment, Subscription
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.db.engine import Database
from domus.renewals.models import DunningStep, Renewal
from domus.vps.models import VpsState
from domus.workflows import billing
from domus.workflows.payments import booking
from domus.workflows.renewals import paying, running
from tests.support.builders import NOW
from tests.support.contracts import contract, due, renewals_of, run_daily
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

ACTOR = Actor.system("test")
CONTRACTS = 12


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def race_db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Offer a database whose pool lets everybody wait for a connection, however slow the machine is."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    database = Database(url, pool_size=20, max_overflow=0, pool_timeout=500)
    yield database
    database.dispose()


@pytest.fixture
def shop(race_db: Database) -> Shop:
    return make_shop(
        race_db,
        addresses=CONTRACTS,
        memory_capacity_mib=1 << 20,
        disk_capacity_mib=1 << 24,
        vcpus_capacity=10_000,
    )


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs meet often: three contracts a transaction."""
    monkeypatch.setattr(running, "CHUNK", 3)


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Call all at the same moment; return the results, an exception for one that raised."""
    gate = threading.Barrier(len(acts))

    def wait_and_act(act: Callable[[], object]) -> object:
        gate.wait()
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(wait_and_act, acts))


def count(shop: Shop, model: type, *where: sa.ColumnElement[bool]) -> int:
    with shop.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model).where(*where)) or 0


def prepay(shop: Shop, minor: int) -> None:
    with shop.db.unit_of_work() as session:
        booking.receive(
            session, account_id=shop.people.acme.id, invoice_id=None, gateway="operator", reference="gift",
            amount=Money(minor, "USD"), actor=ACTOR, now=NOW,
        )  # fmt: skip


@pytest.mark.usefixtures("small_chunks")
def test_four_runs_at_once_do_the_work_once(shop: Shop) -> None:
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(CONTRACTS)]
    prepay(shop, 1000 * (CONTRACTS // 2))
    now = due(shop, machines[0], -10)
    reports = at_once(*[lambda: running.run(shop.db, now=now)] * 4)
    assert {type(report) for report in reports} == {running.RunReport}
    # Where one run held a contract for a moment, another may have left it: the next run finds it, and then there is nothing.
    reports.append(running.run(shop.db, now=now))
    assert running.run(shop.db, now=now).did_nothing
    total = {
        name: sum(report.counts()[name] for report in reports) for name in ("invoiced", "paid", "failed")
    }
    assert total == {"invoiced": CONTRACTS, "paid": CONTRACTS // 2, "failed": 0}
    assert count(shop, Renewal) == CONTRACTS
    assert count(shop, Payment, Payment.gateway == "balance") == CONTRACTS // 2
    assert CONTRACTS // 2 <= count(shop, DunningStep) <= CONTRACTS
    assert (billing.check_ledger(shop.db), broken(shop.db)) == ([], [])


def test_one_renewal_paid_by_many_at_once_is_paid_once(shop: Shop) -> None:
    vps = shop.active()
    now = due(shop, vps, -10)
    running.run(shop.db, now=now)
    [renewal] = renewals_of(shop, vps)
    alice, olga, key = shop.people.as_alice, shop.people.as_olga, renewal.invoice_id
    results = at_once(
        *[lambda: paying.pay_with_test_gateway(shop.db, invoice_id=key, actor=alice, now=now)] * 6,
        *[lambda: paying.mark_paid(shop.db, invoice_id=key, actor=olga, now=now)] * 6,
    )
    assert Counter(type(result) for result in results) == {Renewal: 6, Conflict: 6}
    assert count(shop, Payment, Payment.invoice_id == key) == 1
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert (billing.check_ledger(shop.db), broken(shop.db)) == ([], [])


@pytest.mark.parametrize("day", [15, 22])
def test_of_payment_and_suspension_or_end_at_once_the_payment_stands(shop: Shop, day: int) -> None:
    vps = shop.active()
    run_daily(shop, vps, -10, day - 1)
    now = due(shop, vps, day)
    [renewal] = renewals_of(shop, vps)
    results = at_once(
        lambda: running.run(shop.db, now=now),
        lambda: paying.pay_with_test_gateway(
            shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_alice, now=now
        ),
        lambda: running.run(shop.db, now=now),
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    after = shop.vps(vps.id)
    assert (after.state, after.suspensions, after.tombstone_token) == (VpsState.ACTIVE, [], None)
    assert contract(shop, vps).ended_on is None
    shop.machine.run(now)
    assert shop.vps(vps.id).observed_power.value == "running"
    assert (billing.check_ledger(shop.db), broken(shop.db)) == ([], [])


def test_the_next_period_asked_for_by_many_at_once_is_asked_for_once(shop: Shop) -> None:
    vps = shop.active()
    now, alice = due(shop, vps, -10), shop.people.as_alice
    results = at_once(
        *[lambda: paying.ask(shop.db, vps_id=vps.id, actor=alice, now=now)] * 5,
        *[lambda: running.run(shop.db, now=now)] * 3,
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    assert len(renewals_of(shop, vps)) == 1
    assert count(shop, Invoice) == 2
    assert count(shop, Subscription) == 1
