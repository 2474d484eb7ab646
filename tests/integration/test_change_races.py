"""Changes of contracts at the same moment: two at once, against a renewal, paid by many, and for the last room on a dom0."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import Payment
from domus.contracts.models import ChangeState, ContractChange
from domus.core.errors import Conflict, NoCapacity
from domus.db.engine import Database
from domus.workflows import work
from domus.workflows.contracts import cancelling, changing
from domus.workflows.payments import booking
from domus.workflows.renewals import paying
from tests.support.builders import NOW
from tests.support.changing import agree, balance, books, make_offer, pay_change, usd
from tests.support.contracts import contract
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

HALF = NOW + timedelta(days=15)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def race_db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Offer a database whose pool lets everybody wait for a connection, however slow the machine is."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    database = Database(url, pool_size=20, max_overflow=0, pool_timeout=500)
    yield database
    database.dispose()


@pytest.fixture
def shop(race_db: Database) -> Shop:
    return make_shop(race_db)


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


def states(shop: Shop) -> Counter[ChangeState]:
    with shop.db.reading() as session:
        return Counter(session.scalars(sa.select(ContractChange.state)))


def test_of_two_changes_at_once_one_is_open(shop: Shop) -> None:
    vps, large, larger = shop.active(), make_offer(shop, 3000), make_offer(shop, 4000)
    results = at_once(
        *[lambda: agree(shop, vps, large, now=HALF), lambda: agree(shop, vps, larger, now=HALF)] * 3
    )
    assert Counter(type(one) for one in results) == {ContractChange: 1, Conflict: 5}
    assert (states(shop), broken(shop.db)) == ({ChangeState.OPEN: 1}, [])


def test_a_cheaper_size_agreed_to_by_many_at_once_gives_the_money_back_once(shop: Shop) -> None:
    large = make_offer(shop, 3000, disk_mib=10_240)
    vps = shop.active(price_id=large.id)
    results = at_once(*[lambda: agree(shop, vps, shop.price, now=HALF)] * 6)
    assert len([one for one in results if isinstance(one, ContractChange)]) == 1
    assert (balance(shop), books(shop), broken(shop.db)) == (1000, [], [])


def test_a_change_and_a_renewal_paid_at_once_never_take_money_for_nothing(shop: Shop) -> None:
    vps = shop.active()
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    renewal = paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    until = contract(shop, vps).paid_until

    def money(invoice_id: int, minor: int, reference: str) -> object:
        with shop.db.unit_of_work() as session:
            return booking.receive(
                session, account_id=shop.people.acme.id, invoice_id=invoice_id, gateway="test",
                reference=reference, amount=usd(minor), actor=shop.people.as_olga, now=HALF,
            )[1]  # fmt: skip

    results = at_once(
        lambda: money(change.invoice_id or 0, 1000, "change"),
        lambda: money(renewal.invoice_id, 1000, "renewal"),
        lambda: changing.expire(shop.db, now=HALF),
    )
    assert [one for one in results if isinstance(one, Exception)] == []
    is_renewed = contract(shop, vps).paid_until != until
    # Whichever came first stands; the other's money is kept.
    assert states(shop) == {ChangeState.WITHDRAWN if is_renewed else ChangeState.DONE: 1}
    assert (balance(shop), books(shop), broken(shop.db)) == (1000, [], [])


def test_one_change_paid_by_many_at_once_is_done_once(shop: Shop) -> None:
    vps = shop.active()
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    results = at_once(
        *[lambda: pay_change(shop, change, now=HALF)] * 4,
        *[lambda: changing.mark_paid(shop.db, change_id=change.id, actor=shop.people.as_olga, now=HALF)] * 4,
    )
    assert Counter(type(one) for one in results) == {ContractChange: 4, Conflict: 4}
    with shop.db.reading() as session:
        paid = session.scalars(sa.select(Payment).where(Payment.invoice_id == change.invoice_id)).all()
    assert (len(paid), shop.vps(vps.id).revision) == (1, vps.revision + 1)
    assert (books(shop), broken(shop.db)) == ([], [])


def test_a_change_withdrawn_and_paid_at_once_is_one_of_both(shop: Shop) -> None:
    vps = shop.active()
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    at_once(
        lambda: pay_change(shop, change, now=HALF),
        lambda: changing.withdraw(shop.db, change_id=change.id, actor=shop.people.as_alice, now=HALF),
        lambda: work.tick(shop.db, now=HALF + timedelta(days=2)),
    )
    is_done = states(shop) == {ChangeState.DONE: 1}
    assert shop.vps(vps.id).memory_mib == (1024 if is_done else 512)
    assert (books(shop), broken(shop.db)) == ([], [])


def test_the_last_room_of_a_dom0_goes_to_one_of_many_while_it_reports(race_db: Database) -> None:
    shop = make_shop(race_db, memory_capacity_mib=2048)
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(3)]
    large = make_offer(shop, 3000)
    results = at_once(
        *[lambda vps=vps: agree(shop, vps, large, now=HALF) for vps in machines],  # type: ignore[misc]
        *[lambda: shop.machine.run(HALF)] * 2,
    )
    assert Counter(type(one) for one in results[:3]) == {ContractChange: 1, NoCapacity: 2}
    assert [one for one in results[3:] if isinstance(one, Exception)] == []
    assert broken(shop.db) == []


def test_a_change_paid_and_a_contract_cancelled_at_once_leave_no_money_behind(shop: Shop) -> None:
    vps = shop.active()
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)

    def money() -> object:
        with shop.db.unit_of_work() as session:
            return booking.receive(
                session, account_id=shop.people.acme.id, invoice_id=change.invoice_id, gateway="test",
                reference="change", amount=usd(1000), actor=shop.people.as_olga, now=HALF,
            )[1]  # fmt: skip

    def cancel() -> object:
        return cancelling.cancel_now(
            shop.db, vps_id=vps.id, credit=True, reason="x", actor=shop.people.as_alice, now=HALF
        )

    results = at_once(money, cancel, cancel)
    assert Counter(isinstance(one, Conflict) for one in results) == {False: 2, True: 1}
    # Paid first, the larger size's days come back; cancelled first, the payment and the smaller one's.
    assert balance(shop) == 1500
    assert (books(shop), broken(shop.db)) == ([], [])
