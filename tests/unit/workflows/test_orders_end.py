"""How orders end: cancelled, expired, retried, refunded; what was held comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import InvoiceState, LedgerEntry, OrderState, PaymentState, Subscription
from domus.core.errors import Conflict, NotFound
from domus.inventory.models import AddressState, IpAddress
from domus.provisioning.models import JobKind, JobState
from domus.vps.models import Power, Reservation, VpsState
from domus.workflows import orders, work
from tests.support.builders import NOW
from tests.support.order_shop import HOLD, Shop, make_shop

LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def states_of_addresses(shop: Shop) -> set[AddressState]:
    with shop.db.reading() as session:
        return set(session.scalars(sa.select(IpAddress.state)))


def ledger(shop: Shop) -> dict[str, int]:
    with shop.db.reading() as session:
        query = sa.select(LedgerEntry.ledger_account, sa.func.sum(LedgerEntry.amount_minor))
        return dict(tuple(row) for row in session.execute(query.group_by(LedgerEntry.ledger_account)))


def test_a_cancelled_order_gives_everything_back_at_once(shop):
    order = shop.order()
    cancelled = orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=LATER)
    assert (cancelled.state, cancelled.invoice.state) == (OrderState.CANCELLED, InvoiceState.CANCELLED)
    assert shop.vps_of(order).state is VpsState.CANCELLED
    assert states_of_addresses(shop) == {AddressState.FREE}
    assert shop.dom0().memory_reserved_mib == 0
    assert ledger(shop) == {}


def test_cancelling_again_changes_nothing(shop):
    order = shop.order()
    for _ in range(2):
        orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=LATER)


def test_a_paid_order_cannot_be_cancelled(shop):
    order = shop.pay(shop.order())
    with pytest.raises(Conflict):
        orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=LATER)
    assert shop.vps_of(order).state is VpsState.PROVISIONING


def test_a_stranger_can_neither_cancel_nor_refund_nor_retry(shop):
    order = shop.order()
    vps = shop.vps_of(order)
    for act in (
        lambda actor: orders.cancel(shop.db, order_id=order.id, actor=actor, now=LATER),
        lambda actor: orders.refund(shop.db, order_id=order.id, actor=actor, now=LATER),
        lambda actor: orders.retry(shop.db, vps_id=vps.id, actor=actor, now=LATER),
    ):
        with pytest.raises(NotFound):
            act(shop.people.as_charlie)


def test_what_is_not_paid_in_time_is_cancelled_and_the_rest_is_kept(shop):
    overdue, paid, fresh = shop.order(), shop.pay(shop.order()), shop.order(now=LATER)
    assert orders.expire_unpaid(shop.db, now=NOW + HOLD - timedelta(seconds=1)) == 0
    assert orders.expire_unpaid(shop.db, now=NOW + HOLD) == 1
    states = [shop.vps_of(order).state for order in (overdue, paid, fresh)]
    assert states == [VpsState.CANCELLED, VpsState.PROVISIONING, VpsState.RESERVED]


def test_a_failed_installation_can_be_retried_and_succeeds(shop):
    vps = shop.failed()
    assert (vps.state, vps.problem) == (VpsState.PROVISION_FAILED, "the installation failed")
    retried = orders.retry(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    assert (retried.state, retried.install_attempt) == (VpsState.PROVISIONING, 2)
    assert shop.machine.run(LATER)
    shop.machine.end_installs()
    shop.machine.run(LATER + timedelta(minutes=2))
    assert shop.vps(vps.id).state is VpsState.ACTIVE
    assert [(job.state, job.error) for job in shop.jobs(vps.id)] == [
        (JobState.FAILED, "disk full"),
        (JobState.DONE, ""),
    ]


def test_retrying_twice_is_one_retry(shop):
    vps = shop.failed()
    for _ in range(2):
        orders.retry(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    assert shop.vps(vps.id).install_attempt == 2
    assert len(shop.jobs(vps.id)) == 2


def test_what_did_not_fail_cannot_be_retried(shop):
    vps = shop.active()
    with pytest.raises(Conflict):
        orders.retry(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)


def test_a_customer_gets_the_money_back_for_what_could_not_be_made(shop):
    vps = shop.failed()
    order = orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    assert order.state is OrderState.REFUNDED
    assert [payment.state for payment in order.invoice.payments] == [PaymentState.REFUNDED]
    assert set(ledger(shop).values()) == {0}
    removing = shop.vps(vps.id)
    assert (removing.state, removing.remove_not_before) == (VpsState.REMOVING, LATER)
    assert (removing.wanted_power, removing.tombstone_token is not None) == (Power.STOPPED, True)
    with shop.db.reading() as session:
        assert session.scalars(sa.select(Subscription.ended_on)).one() == LATER.date()


def test_what_was_refunded_is_removed_and_everything_it_held_comes_back(shop):
    vps = shop.failed()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    assert shop.machine.run(LATER)
    assert shop.vps(vps.id).state is VpsState.REMOVED
    assert states_of_addresses(shop) == {AddressState.FREE, AddressState.QUARANTINED}
    assert shop.dom0().memory_reserved_mib == 0
    with shop.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Reservation)) == 0
    assert [(job.kind, job.state) for job in shop.jobs(vps.id)] == [
        (JobKind.PROVISION, JobState.FAILED),
        (JobKind.REMOVE, JobState.DONE),
    ]
    assert shop.machine.pillar()["vps"] == {}


def test_the_password_is_forgotten_once_the_vps_is_removed_and_not_before(shop):
    vps = shop.vps_of(shop.pay(shop.order(root_password="correct horse battery")))
    shop.machine.run(NOW)
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, now=LATER)
    assert shop.vps(vps.id).root_password_hash is not None
    shop.machine.run(LATER)
    assert (shop.vps(vps.id).state, shop.vps(vps.id).root_password_hash) == (VpsState.REMOVED, None)


def test_the_password_of_a_cancelled_order_is_forgotten(shop):
    order = shop.order(root_password="correct horse battery")
    assert shop.vps_of(order).root_password_hash is not None
    orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=LATER)
    assert shop.vps_of(order).root_password_hash is None


def test_a_customer_cannot_refund_a_running_vps_an_operator_can(shop):
    vps = shop.active()
    with pytest.raises(Conflict):
        orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, reason="goodwill", now=LATER)
    assert shop.vps(vps.id).remove_not_before == LATER + orders.REMOVAL_GRACE


def test_a_vps_in_its_grace_time_is_stopped_and_kept_and_then_removed(shop):
    vps = shop.active()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, now=LATER)
    shop.machine.run(LATER)
    kept = shop.vps(vps.id)
    assert (kept.state, kept.observed_power) == (VpsState.REMOVING, Power.STOPPED)
    assert shop.dom0().memory_reserved_mib == 512
    over = LATER + orders.REMOVAL_GRACE
    when = shop.dom0().next_run_at
    while when < over:
        assert [due.minion_id for due in work.due_dom0s(shop.db, now=when)] == [shop.machine.minion_id]
        shop.machine.run(when)
        assert shop.vps(vps.id).state is VpsState.REMOVING
        when = max(shop.dom0().next_run_at, when + timedelta(hours=12))
    shop.machine.run(over)
    assert shop.vps(vps.id).state is VpsState.REMOVED


def test_refunding_again_changes_nothing(shop):
    vps = shop.failed()
    for _ in range(2):
        orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    assert len(shop.jobs(vps.id)) == 2


def test_an_unpaid_order_cannot_be_refunded(shop):
    order = shop.order()
    with pytest.raises(Conflict):
        orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, now=LATER)
    assert shop.vps_of(order).state is VpsState.RESERVED


def test_a_success_that_comes_after_the_refund_hands_nothing_over(shop):
    vps = shop.paid()
    shop.machine.run(NOW)
    late = shop.machine.report(NOW)
    for entry in late["vps"].values():
        entry |= {"revision": 1, "power": "running"}
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, now=LATER)
    work.record_report(shop.db, minion_id=shop.machine.minion_id, report=late, now=LATER)
    assert shop.vps(vps.id).state is VpsState.REMOVING
    assert orders.get(shop.db, order_id=vps.order_id, actor=shop.people.as_olga).state is OrderState.REFUNDED
