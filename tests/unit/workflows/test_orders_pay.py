"""Paying: one transaction that sets everything going, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import InvoiceState, LedgerEntry, OrderState, Payment, Subscription
from domus.core.errors import Conflict, NotAllowed, NotFound
from domus.inventory.models import AddressState, IpAddress
from domus.provisioning.models import JobKind, JobState, OutboxMessage
from domus.vps.models import Power, VpsState
from domus.workflows import orders
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def all_of(shop: Shop, model: type) -> list:
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(model)))


def test_a_payment_sets_all_going_at_once(shop):
    order = shop.pay(shop.order())
    vps = shop.vps_of(order)
    assert (order.state, order.paid_at) == (OrderState.PAID, NOW)
    assert (order.invoice.state, order.invoice.number) == (InvoiceState.PAID, "2026-00001")
    assert (vps.state, vps.wanted_power, vps.revision) == (VpsState.PROVISIONING, Power.RUNNING, 1)
    assert [(job.kind, job.state, job.revision) for job in shop.jobs(vps.id)] == [
        (JobKind.PROVISION, JobState.QUEUED, 1)
    ]
    held = [a for a in all_of(shop, IpAddress) if a.vps_id == vps.id]
    assert [(a.address, a.state) for a in held] == [("192.0.2.10", AddressState.ASSIGNED)]
    message = all_of(shop, OutboxMessage)[0]
    assert (message.tag, message.payload) == ("domus/order/paid", {"order_id": str(order.id)})
    assert sum(entry.amount_minor for entry in all_of(shop, LedgerEntry)) == 0
    assert [s.order_id for s in all_of(shop, Subscription)] == [order.id]


def test_the_contract_begins_with_the_payment(shop):
    shop.paid()
    subscription = all_of(shop, Subscription)[0]
    assert subscription.started_on == NOW.date()


@pytest.mark.parametrize("ending", ["at once", "after it runs", "after a refund"])
def test_the_same_payment_told_again_changes_nothing(shop, ending):
    order = shop.pay(shop.order(), reference="ref-1")
    if ending == "after it runs":
        shop.machine.run(NOW)
        shop.machine.end_installs()
        shop.machine.run(NOW + timedelta(minutes=2))
    if ending == "after a refund":
        orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, now=NOW)
    before = shop.vps_of(order)
    again = shop.pay(order, reference="ref-1", now=NOW + timedelta(days=3))
    after = shop.vps_of(order)
    assert (after.state, after.revision) == (before.state, before.revision)
    assert again.paid_at == NOW
    assert len(all_of(shop, Payment)) == len(all_of(shop, Subscription)) == 1


def test_another_payment_for_a_paid_order_is_refused(shop):
    order = shop.pay(shop.order())
    with pytest.raises(Conflict):
        shop.pay(order)
    assert len(all_of(shop, Payment)) == 1


def test_a_reference_pays_one_order_only(shop):
    shop.pay(shop.order(), reference="ref-1")
    other = shop.order()
    with pytest.raises(Conflict):
        shop.pay(other, reference="ref-1")
    assert shop.vps_of(other).state is VpsState.RESERVED


def test_an_operator_marks_an_order_as_paid_once(shop):
    order = shop.order()
    for _ in range(2):
        orders.mark_paid(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="bank", now=NOW)
    assert [(payment.gateway, payment.amount_minor) for payment in all_of(shop, Payment)] == [
        ("operator", 1000)
    ]
    assert shop.vps_of(order).state is VpsState.PROVISIONING


def test_a_customer_cannot_mark_an_order_as_paid(shop):
    order = shop.order()
    with pytest.raises(NotAllowed):
        orders.mark_paid(shop.db, order_id=order.id, actor=shop.people.as_alice, now=NOW)


def test_a_stranger_cannot_pay(shop):
    order = shop.order()
    with pytest.raises(NotFound):
        orders.pay_with_test_gateway(
            shop.db, order_id=order.id, reference="r", actor=shop.people.as_charlie, now=NOW
        )


def test_a_cancelled_order_takes_no_money(shop):
    order = shop.order()
    orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=NOW)
    with pytest.raises(Conflict):
        shop.pay(order)
    assert all_of(shop, Payment) == []


def test_the_outbox_wakes_who_listens_on_postgresql(postgres_db):
    shop = make_shop(postgres_db)
    connection = postgres_db.engine.raw_connection()
    try:
        listener = connection.driver_connection
        listener.autocommit = True
        listener.execute("LISTEN domus_outbox")
        shop.paid()
        assert [notice.channel for notice in listener.notifies(timeout=10, stop_after=1)] == ["domus_outbox"]
    finally:
        connection.invalidate()
