"""What a payment of a renewal does: it extends from where it was paid, brings the VPS back, and is booked once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import InvoiceState, LedgerTransaction, Payment, Subscription
from domus.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from domus.provisioning import outbox
from domus.provisioning.models import JobKind, JobState, OutboxMessage
from domus.vps.models import Power, SuspensionReason, Vps, VpsState
from domus.workflows import billing, orders, power
from domus.workflows.renewals import paying
from tests.support.builders import make_price
from tests.support.contracts import contract, due, pay, renewals_of, run, run_daily, steps_of
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def tags(shop: Shop) -> list[str]:
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(OutboxMessage.tag).order_by(OutboxMessage.id)))


def test_a_payment_extends_from_the_day_until_which_it_was_paid(shop, vps):
    run(shop, due(shop, vps, -10))
    until = contract(shop, vps).paid_until
    for when in (-9,):
        renewal = pay(shop, vps, now=due(shop, vps, when))
    assert (renewal.starts_on, contract(shop, vps).paid_until) == (until, renewal.ends_on)
    assert renewal.invoice.state is InvoiceState.PAID
    assert renewal.invoice.number is not None
    assert billing.check_ledger(shop.db) == []


def test_a_late_payment_does_not_give_days_away(shop, vps):
    run(shop, due(shop, vps, -10))
    until = contract(shop, vps).paid_until
    renewal = pay(shop, vps, now=due(shop, vps, 9))
    assert renewal.starts_on == until


def test_the_same_payment_told_again_is_booked_once_and_extends_once(shop, vps):
    run(shop, due(shop, vps, -10))
    [renewal] = renewals_of(shop, vps)
    for _ in range(3):
        paying.pay_with_test_gateway(
            shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_alice, now=due(shop, vps, -40)
        )
    with shop.db.reading() as session:
        payments = session.scalars(sa.select(Payment).where(Payment.invoice_id == renewal.invoice_id)).all()
        bookings = session.scalars(
            sa.select(LedgerTransaction.kind).where(
                LedgerTransaction.reference.in_(
                    (f"invoice:{renewal.invoice_id}", f"payment:{payments[0].id}")
                )
            )
        ).all()
    assert len(payments) == 1
    assert sorted(bookings) == ["invoice", "payment"]
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert tags(shop).count(outbox.RENEWAL_PAID) == 1


def test_paying_twice_by_two_ways_is_refused_and_books_nothing(shop, vps):
    renewal = pay(shop, vps, now=due(shop, vps, -10))
    with pytest.raises(Conflict, match="paid already"):
        paying.mark_paid(
            shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_olga, now=due(shop, vps, -40)
        )
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert billing.check_ledger(shop.db) == []


def test_paying_brings_back_what_was_suspended_for_it(shop, vps):
    now = run_daily(shop, vps, -10, 16)
    assert shop.vps(vps.id).observed_power is Power.STOPPED
    assert [one.reason for one in shop.vps(vps.id).suspensions] == [SuspensionReason.UNPAID]
    pay(shop, vps, now=now)
    shop.machine.run(now)
    back = shop.vps(vps.id)
    assert (back.suspensions, back.observed_power) == ([], Power.RUNNING)
    assert tags(shop)[-1] == outbox.RENEWAL_PAID
    assert broken(shop.db) == []


def test_paying_lifts_no_other_suspension(shop, vps):
    now = run_daily(shop, vps, -10, 16)
    power.suspend(
        shop.db, vps_id=vps.id, suspension=SuspensionReason.ABUSE, actor=shop.people.as_olga, now=now
    )
    pay(shop, vps, now=now)
    shop.machine.run(now)
    assert [one.reason for one in shop.vps(vps.id).suspensions] == [SuspensionReason.ABUSE]
    assert shop.vps(vps.id).observed_power is Power.STOPPED


def test_paying_at_any_moment_before_the_wipe_brings_it_back_with_its_disk(shop, vps):
    run_daily(shop, vps, -10, 25)
    ended = shop.vps(vps.id)
    assert (ended.state, ended.observed_power) == (VpsState.REMOVING, Power.STOPPED)
    assert contract(shop, vps).ended_on is not None
    last_moment = ended.remove_not_before - timedelta(minutes=3)
    pay(shop, vps, now=last_moment)
    back = shop.vps(vps.id)
    assert (back.state, back.wanted_power, back.tombstone_token) == (VpsState.ACTIVE, Power.RUNNING, None)
    assert back.install_id == vps.install_id
    shop.machine.run(last_moment)
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    assert contract(shop, vps).ended_on is None
    assert {job.state for job in shop.jobs(vps.id) if job.kind is JobKind.REMOVE} == {JobState.SUPERSEDED}
    # Later than the tombstone was due: nothing of it is left to do.
    shop.machine.run(ended.remove_not_before + timedelta(days=1))
    assert shop.vps(vps.id).state is VpsState.ACTIVE
    assert (broken(shop.db), billing.check_ledger(shop.db)) == ([], [])


def test_what_was_off_before_it_was_ended_stays_off_when_it_is_paid(shop, vps):
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=due(shop, vps, -20))
    now = run_daily(shop, vps, -10, 24)
    pay(shop, vps, now=now)
    assert (shop.vps(vps.id).state, shop.vps(vps.id).wanted_power) == (VpsState.ACTIVE, Power.STOPPED)


def test_a_payment_that_comes_with_the_wipe_books_nothing(shop, vps):
    run_daily(shop, vps, -10, 22)
    wiped_from = shop.vps(vps.id).remove_not_before
    with pytest.raises(Conflict, match="being wiped"):
        pay(shop, vps, now=wiped_from - timedelta(minutes=1))
    assert contract(shop, vps).ended_on is not None
    assert billing.check_ledger(shop.db) == []


def test_what_nobody_can_pay_any_more_is_withdrawn(shop, vps):
    now = run_daily(shop, vps, -10, 30)
    [renewal] = renewals_of(shop, vps)
    assert (renewal.invoice.state, renewal.withdrawn_at is not None) == (InvoiceState.CANCELLED, True)
    assert shop.vps(vps.id).state is VpsState.REMOVED
    with pytest.raises(Conflict):
        paying.pay_with_test_gateway(
            shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_alice, now=now
        )


def test_one_may_pay_early_and_choose_among_the_renewals(shop, vps):
    ordered = shop.price
    yearly = make_price(
        shop.db, ordered.product, amount_minor=9000, period_text="0001-00-00", renewal_of_id=ordered.id
    )
    monthly = make_price(shop.db, ordered.product, amount_minor=900, renewal_of_id=ordered.id)
    now, alice = due(shop, vps, -25), shop.people.as_alice
    first = paying.ask(shop.db, vps_id=vps.id, actor=alice, now=now)
    assert first.price_id == monthly.id
    again = paying.ask(shop.db, vps_id=vps.id, price_id=monthly.id, actor=alice, now=now)
    assert again.invoice_id == first.invoice_id
    chosen = paying.ask(shop.db, vps_id=vps.id, price_id=yearly.id, actor=alice, now=now)
    assert (chosen.invoice.gross_minor, chosen.ends_on) == (9000, date(2027, 12, 20))
    states = [one.invoice.state for one in renewals_of(shop, vps)]
    assert states == [InvoiceState.CANCELLED, InvoiceState.OPEN]
    with pytest.raises(InvalidInput, match="cannot be renewed at that price"):
        paying.ask(shop.db, vps_id=vps.id, price_id=10**6, actor=alice, now=now)


def test_nobody_pays_further_ahead_than_three_years(shop, vps):
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Subscription).values(paid_until=date(2029, 12, 20)))
    with pytest.raises(Conflict, match="far enough"):
        paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=due(shop, vps, -3 * 366 - 1))


def test_strangers_find_nothing_and_customers_mark_nothing_as_paid(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    [renewal] = renewals_of(shop, vps)
    charlie, alice = shop.people.as_charlie, shop.people.as_alice
    with pytest.raises(NotFound):
        paying.ask(shop.db, vps_id=vps.id, actor=charlie, now=now)
    with pytest.raises(NotFound):
        paying.get(shop.db, invoice_id=renewal.invoice_id, actor=charlie)
    with pytest.raises(NotFound):
        paying.pay_with_test_gateway(shop.db, invoice_id=renewal.invoice_id, actor=charlie, now=now)
    with pytest.raises(NotAllowed):
        paying.mark_paid(shop.db, invoice_id=renewal.invoice_id, actor=alice, now=now)
    with pytest.raises(NotFound):
        paying.pay_with_test_gateway(shop.db, invoice_id=10**6, actor=alice, now=now)
    assert renewals_of(shop, vps)[0].settled_at is None


def test_a_contract_that_was_moved_by_hand_meanwhile_is_not_extended_at_a_guess(shop, vps):
    run(shop, due(shop, vps, -10))
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Subscription).values(paid_until=date(2027, 3, 1)))
    [renewal] = renewals_of(shop, vps)
    with pytest.raises(Conflict, match="nothing was booked"):
        paying.pay_with_test_gateway(
            shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_alice, now=due(shop, vps, -80)
        )
    with shop.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Payment.id))) == 1


def test_a_refunded_contract_owes_nothing_more(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, reason="asked for", now=now)
    [renewal] = renewals_of(shop, vps)
    assert (renewal.invoice.state, renewal.withdrawn_at) == (InvoiceState.CANCELLED, now)
    assert run(shop, now + timedelta(days=60)).did_nothing


def test_a_payment_that_dies_half_way_leaves_everything_as_it_was(shop, vps, monkeypatch):
    now = run_daily(shop, vps, -10, 16)
    [renewal] = renewals_of(shop, vps)

    def dies(*_arguments, **_options):
        raise RuntimeError("power cut")

    monkeypatch.setattr(paying.suspensions, "lift", dies)
    with pytest.raises(RuntimeError):
        pay(shop, vps, now=now)
    monkeypatch.undo()
    assert renewals_of(shop, vps)[0].invoice.state is InvoiceState.OPEN
    assert contract(shop, vps).paid_until == renewal.starts_on
    pay(shop, vps, now=now)
    assert shop.vps(vps.id).suspensions == []
    assert steps_of(shop, vps)[-1] == "suspended"
