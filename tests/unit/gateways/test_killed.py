"""A process can die between any two statements of taking money: the next try goes on, and everything has happened once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from domus.db.engine import Database
from domus.gateways.references import reference_of
from domus.workflows import orders
from domus.workflows.payments import bank, charging, events
from tests.support.builders import NOW
from tests.support.fake_gateway import delivery, make_saved_method
from tests.support.killing import Killed, killed_at
from tests.support.order_shop import make_shop
from tests.support.till import Till, usd

#: No story takes as many statements.
MOST_STATEMENTS = 150

Act = Callable[[datetime], object]


@pytest.fixture
def till(db: Database) -> Till:
    """Offer a shop that is large enough for an order at each statement."""
    return Till(
        make_shop(
            db, addresses=MOST_STATEMENTS + 20, memory_capacity_mib=1 << 20, disk_capacity_mib=1 << 24,
            vcpus_capacity=10_000,
        )
    )  # fmt: skip


def event(till: Till, order: orders.Order, number: int) -> Act:
    """An event arrives, is delivered again after the death, and swept up."""
    till.begin(order.invoice, now=NOW + timedelta(hours=number))
    paid = till.fake.pays(usd("10.00"), reference=f"pay-{number}")

    def act(now: datetime) -> None:
        said = delivery(paid.reference, event_id=f"event-{number}")
        events.accept(till.db, till.gateways, "fake", said, sender="192.0.2.1", now=now)
        events.work(till.db, till.gateways, now=now)

    return act


def charge(till: Till, order: orders.Order, number: int) -> Act:
    """A renewal run charges a card, and runs again after the death."""
    if number == 1:
        make_saved_method(till.db, till.account_id)
    return lambda now: charging.charge(
        till.db, till.gateways, account_id=till.account_id, invoice_id=order.invoice.id,
        actor=till.shop.people.as_olga, now=now,
    )  # fmt: skip


def statement(till: Till, order: orders.Order, number: int) -> Act:
    """A statement of the bank is read, and read again after the death."""
    text = f"date;amount;currency;text\n2026-11-20;10.00;USD;{reference_of(order.invoice.id)} {number}\n"
    return lambda now: bank.import_statement(
        till.db, text.encode(), file_name="statement.csv", actor=till.shop.people.as_olga, now=now
    )


@pytest.mark.parametrize("story", [event, charge, statement])
def test_money_is_taken_once_whenever_the_process_dies(
    till: Till, story: Callable[[Till, orders.Order, int], Act]
) -> None:
    now = NOW
    for number in range(1, MOST_STATEMENTS):
        order = till.order()
        act = story(till, order, number)
        try:
            with killed_at(till.db, number):
                act(now)
        except Killed:
            died = True
        else:
            died = False
        for _ in range(3):
            # Longer than any lease, and than a charge may be on its way.
            now += timedelta(minutes=20)
            act(now)
        assert till.state(order) == ("paid", "paid"), f"died at statement {number}"
        assert len(till.payments()) == number, f"died at statement {number}"
        if not died:
            break
    else:
        pytest.fail(f"the story takes more than {MOST_STATEMENTS} statements")
    assert till.balance() == "0.00 USD"
    assert len(till.fake.charged) in (0, number)
    till.assert_books_agree()


def test_a_refund_is_sent_once_whenever_the_process_dies(till: Till) -> None:
    now = NOW
    for number in range(1, MOST_STATEMENTS):
        order = till.order()
        event(till, order, number)(now)
        orders.refund(till.db, order_id=order.id, actor=till.shop.people.as_olga, now=now)
        try:
            with killed_at(till.db, number):
                events.work(till.db, till.gateways, now=now)
        except Killed:
            died = True
        else:
            died = False
        for _ in range(2):
            now += timedelta(minutes=20)
            events.work(till.db, till.gateways, now=now)
        assert len(till.fake.refunds) == number, f"died at statement {number}"
        if not died:
            break
    assert till.balance() == "0.00 USD"
    till.assert_books_agree()
