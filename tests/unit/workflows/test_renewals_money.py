"""Renewals and money that comes by itself: from balances, from gateways, from saved cards."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import ledger
from domus.billing.models import InvoiceState, Payment, Subscription
from domus.catalog.models import Price
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.models import AttemptKind, PaymentAttempt
from domus.provisioning.models import OutboxMessage
from domus.renewals import queries
from domus.renewals.dunning import Terms
from domus.renewals.prices import price_list
from domus.renewals.settling import settle_from_balances
from domus.tax.models import Company
from domus.vps.models import Power, Vps, VpsState
from domus.workflows import billing
from domus.workflows.payments import booking, charging
from domus.workflows.renewals import dunning, paying, running
from tests.support.builders import make_price
from tests.support.contracts import contract, due, renewals_of, run, run_daily
from tests.support.fake_gateway import CARD
from tests.support.invariants import broken
from tests.support.order_shop import Shop
from tests.support.till import Till, make_till, urls

ACTOR = Actor.system("test")


@pytest.fixture
def till(any_db: Database) -> Till:
    return make_till(any_db)


@pytest.fixture
def shop(till: Till) -> Shop:
    return till.shop


@pytest.fixture
def vps(shop: Shop) -> Vps:
    return shop.active()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 2)


def prepay(shop: Shop, minor: int, *, now: datetime, reference: str = "gift") -> None:
    arrives(shop, None, minor, now=now, reference=reference)


def arrives(shop: Shop, invoice_id: int | None, minor: int, *, now: datetime, reference: str = "wire") -> str:
    with shop.db.unit_of_work() as session:
        _, outcome = booking.receive(
            session, account_id=shop.people.acme.id, invoice_id=invoice_id, gateway="operator",
            reference=reference, amount=Money(minor, "USD"), actor=ACTOR, now=now,
        )  # fmt: skip
    return outcome


def balance(shop: Shop) -> int:
    with shop.db.reading() as session:
        return ledger.balance_of(session, shop.people.acme.id, "USD").minor


def test_what_the_balance_covers_is_renewed_by_the_run_without_a_word(shop, vps):
    now = due(shop, vps, -10)
    prepay(shop, 2500, now=now)
    until = contract(shop, vps).paid_until
    with shop.db.reading() as session:
        messages = session.scalar(sa.select(sa.func.count(OutboxMessage.id)))
    report = run(shop, now)
    assert (report.invoiced, report.paid, report.reminded) == (1, 1, 0)
    [renewal] = renewals_of(shop, vps)
    assert (renewal.settled_at, renewal.starts_on) == (now, until)
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert (renewal.invoice.state, renewal.invoice.number) == (InvoiceState.PAID, "2026-00002")
    assert balance(shop) == 1500
    assert (billing.check_ledger(shop.db), broken(shop.db)) == ([], [])
    with shop.db.reading() as session:
        # The VPS runs and goes on running: there is nothing to tell a dom0.
        assert session.scalar(sa.select(sa.func.count(OutboxMessage.id))) == messages
    assert run(shop, now + timedelta(hours=1)).did_nothing


def test_a_balance_that_covers_some_pays_the_first_of_them(shop, monkeypatch):
    # Of two chunks side by side either may be the first one.
    monkeypatch.setattr(running, "SIDE_BY_SIDE", 1)
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(4)]
    now = due(shop, machines[0], -10)
    prepay(shop, 2999, now=now)
    assert run(shop, now).paid == 2
    assert [bool(renewals_of(shop, one)[0].settled_at) for one in machines] == [True, True, False, False]
    assert balance(shop) == 999
    # The reminder is for those that are still to be paid.
    assert running.run(shop.db, now=due(shop, machines[3], -5)).reminded == 2
    assert billing.check_ledger(shop.db) == []


def test_a_payment_from_the_balance_in_bulk_is_booked_as_a_single_one_is(shop, vps):
    other = shop.active(hostname="other.example.org")
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Company).values(country="DE", charges_tax=True, vat_number="DE811907980"))
    now = due(shop, vps, -10)
    running.run(shop.db, now=now)
    first, second = renewals_of(shop, vps)[0], renewals_of(shop, other)[0]
    prepay(shop, 1190, now=now)
    with shop.db.unit_of_work() as session:
        assert booking.pay_invoice_from_balance(session, first.invoice_id, actor=ACTOR, now=now)
    prepay(shop, 1190, now=now, reference="another gift")
    assert running.run(shop.db, now=now).paid == 1
    assert booked(shop, first.invoice_id) == booked(shop, second.invoice_id)
    assert (billing.check_ledger(shop.db), broken(shop.db)) == ([], [])


def booked(shop: Shop, invoice_id: int) -> tuple:
    with shop.db.reading() as session:
        payment = session.scalars(sa.select(Payment).where(Payment.invoice_id == invoice_id)).one()
        references = [f"invoice:{invoice_id}", f"payment:{payment.id}"]
        bookings = session.scalars(
            sa.select(ledger.LedgerTransaction)
            .where(ledger.LedgerTransaction.reference.in_(references))
            .order_by(ledger.LedgerTransaction.kind)
        )
        entries = [
            (row.kind, sorted((one.ledger_account, one.amount_minor) for one in row.entries))
            for row in bookings
        ]
        columns = (payment.gateway, payment.amount, payment.account_id, payment.state, payment.received_at)
        return entries, columns, payment.reference == f"invoice:{invoice_id}"


def test_a_customer_who_changed_the_name_has_the_new_one_on_what_is_paid_later(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Account).values(name="Acme Inc."))
    prepay(shop, 1000, now=now)
    run(shop, now + timedelta(hours=1))
    assert renewals_of(shop, vps)[0].invoice.buyer["name"] == "Acme Inc."


def test_a_contract_that_was_moved_meanwhile_takes_no_money(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    prepay(shop, 1000, now=now)
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Subscription).values(paid_until=now.date() + timedelta(days=100)))
    report = running.run(shop.db, now=now)
    assert (report.paid, report.failed, balance(shop)) == (0, 0, 1000)


def test_money_from_a_gateway_renews_and_brings_back(shop, vps):
    now = run_daily(shop, vps, -10, 16)
    [renewal] = renewals_of(shop, vps)
    assert "settled invoice" in arrives(shop, renewal.invoice_id, 1000, now=now)
    shop.machine.run(now)
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert "settled" in arrives(shop, renewal.invoice_id, 1000, now=now)
    assert contract(shop, vps).paid_until == renewal.ends_on


def test_what_a_customer_opened_early_and_left_is_paid_when_it_is_due(shop, vps):
    early, alice = due(shop, vps, -20), shop.people.as_alice
    prepay(shop, 1000, now=early)
    opened = paying.ask(shop.db, vps_id=vps.id, actor=alice, now=early)
    assert run(shop, early).did_nothing
    assert run(shop, due(shop, vps, -11)).did_nothing
    report = run(shop, due(shop, vps, -10))
    assert (report.invoiced, report.paid) == (0, 1)
    assert [row.invoice_id for row in renewals_of(shop, vps)] == [opened.invoice_id]


def test_what_a_customer_opened_for_another_period_is_the_customers_to_pay(till, shop, vps):
    _, yearly = with_renewals(shop)
    now = due(shop, vps, -1)
    prepay(shop, 9000, now=now)
    save_card(till, now=now)
    alice = shop.people.as_alice
    opened = paying.ask(shop.db, vps_id=vps.id, price_id=yearly.id, actor=alice, now=now)
    report = running.run(shop.db, gateways=till.gateways, now=now)
    assert (report.paid, balance(shop), charges(till)) == (0, 9000, 0)
    arrives(shop, opened.invoice_id, 9000, now=now)
    assert contract(shop, vps).paid_until == opened.ends_on


def test_what_was_asked_for_at_a_price_that_is_no_longer_offered_is_paid_all_the_same(shop, vps):
    monthly, _ = with_renewals(shop)
    now = due(shop, vps, -10)
    run(shop, now)
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Price).where(Price.id == monthly.id).values(active=False))
    prepay(shop, 800, now=now)
    assert run(shop, now).paid == 1


def with_renewals(shop: Shop) -> list[Price]:
    with shop.db.reading() as session:
        product = session.get_one(Price, shop.price.id).product
    return [
        make_price(shop.db, product, amount_minor=minor, period_text=period, renewal_of_id=shop.price.id)
        for minor, period in ((800, "0000-01-00"), (9000, "0001-00-00"))
    ]


def test_what_was_suspended_between_the_question_and_the_lock_is_left_for_the_path_that_starts_it(shop, vps):
    now = run_daily(shop, vps, -10, 14) + timedelta(days=1)
    prepay(shop, 1000, now=now)
    with shop.db.reading() as session:
        asked = queries.to_pay_from_balance(price_list(session), now, suspended=False)
        rows = session.execute(asked).all()
    assert dunning.suspend(shop.db, vps_id=vps.id, terms=Terms(), now=now)
    with shop.db.unit_of_work() as session:
        assert len(rows) == 1
        assert settle_from_balances(session, rows, actor=ACTOR, now=now) == 0
    assert run(shop, now).paid == 1
    assert (shop.vps(vps.id).suspensions, shop.vps(vps.id).observed_power) == ([], Power.RUNNING)


def test_too_little_waits_in_the_balance_until_the_rest_comes(shop, vps):
    now = run_daily(shop, vps, -10, 16)
    [renewal] = renewals_of(shop, vps)
    arrives(shop, renewal.invoice_id, 400, now=now)
    assert (balance(shop), contract(shop, vps).paid_until) == (400, renewal.starts_on)
    arrives(shop, renewal.invoice_id, 700, now=now, reference="the rest")
    assert (balance(shop), contract(shop, vps).paid_until) == (100, renewal.ends_on)
    assert shop.vps(vps.id).suspensions == []


def test_a_balance_that_was_filled_while_it_was_suspended_brings_it_back_at_the_next_run(shop, vps):
    now = run_daily(shop, vps, -10, 16)
    prepay(shop, 1000, now=now)
    assert run(shop, now).paid == 1
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    assert broken(shop.db) == []


def test_every_suspended_one_is_paid_however_many_chunks_they_are(shop, small_chunks):
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(5)]
    now = run_daily(shop, machines[0], -10, 21)
    assert all(shop.vps(one.id).suspensions for one in machines)
    prepay(shop, 5000, now=now)
    report = run(shop, due(shop, machines[0], 22))
    assert (report.paid, report.ended, balance(shop)) == (5, 0, 0)
    assert not any(shop.vps(one.id).suspensions for one in machines)


def test_every_one_is_ended_however_many_chunks_they_are(shop, small_chunks):
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(5)]
    run_daily(shop, machines[0], -10, 22)
    assert {shop.vps(one.id).state for one in machines} == {VpsState.REMOVING}


def test_every_card_is_charged_however_many_chunks_they_are(till, shop, small_chunks):
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(5)]
    save_card(till, now=due(shop, machines[0], -20))
    report = running.run(shop.db, gateways=till.gateways, now=due(shop, machines[0], -1))
    assert (report.paid, len(till.fake.charged)) == (5, 5)


def test_a_balance_that_was_filled_in_the_grace_time_calls_the_removal_back(shop, vps):
    now = run_daily(shop, vps, -10, 25)
    assert shop.vps(vps.id).state is VpsState.REMOVING
    prepay(shop, 1000, now=now)
    assert run(shop, now).paid == 1
    back = shop.vps(vps.id)
    assert (back.state, back.suspensions, back.tombstone_token) == (VpsState.ACTIVE, [], None)
    assert (back.observed_power, contract(shop, vps).ended_on) == (Power.RUNNING, None)
    assert (billing.check_ledger(shop.db), broken(shop.db)) == ([], [])


def test_a_balance_that_is_filled_with_the_wipe_is_left_alone(shop, vps):
    run_daily(shop, vps, -10, 22)
    at = shop.vps(vps.id).remove_not_before - timedelta(minutes=2)
    prepay(shop, 1000, now=at)
    report = running.run(shop.db, now=at)
    assert (report.paid, report.failed, balance(shop)) == (0, 0, 1000)
    assert shop.vps(vps.id).state is VpsState.REMOVING


def test_money_that_comes_with_the_wipe_is_not_lost(shop, vps):
    run_daily(shop, vps, -10, 22)
    [renewal] = renewals_of(shop, vps)
    at = shop.vps(vps.id).remove_not_before - timedelta(minutes=1)
    assert "went to the balance" in arrives(shop, renewal.invoice_id, 1000, now=at)
    assert (balance(shop), shop.vps(vps.id).state) == (1000, VpsState.REMOVING)
    [renewal] = renewals_of(shop, vps)
    assert (renewal.invoice.state, renewal.withdrawn_at) == (InvoiceState.CANCELLED, at)
    assert billing.check_ledger(shop.db) == []


def save_card(till: Till, *, now: datetime) -> None:
    charging.begin_saving(
        till.db, till.gateways, account_id=till.account_id, gateway="fake", currency="USD",
        actor=till.shop.people.as_alice, now=now, urls=urls,
    )  # fmt: skip
    with till.db.unit_of_work() as session:
        charging.attempts.save_method(
            session, account_id=till.account_id, gateway="fake", method=CARD, now=now
        )


def charges(till: Till) -> int:
    return sum(1 for attempt in till.attempts() if attempt.kind is AttemptKind.CHARGE)


def test_a_saved_card_is_charged_the_day_before_and_once(till, shop, vps):
    save_card(till, now=due(shop, vps, -20))
    for day in (-10, -5, -2):
        report = running.run(shop.db, gateways=till.gateways, now=due(shop, vps, day))
        assert report.paid == 0
    at = due(shop, vps, -1)
    assert running.run(shop.db, gateways=till.gateways, now=at).paid == 1
    assert running.run(shop.db, gateways=till.gateways, now=at).did_nothing
    assert (charges(till), len(till.fake.charged)) == (1, 1)
    till.assert_books_agree()


def test_a_refused_card_is_tried_again_after_1_2_4_and_8_days(till, shop, vps):
    save_card(till, now=due(shop, vps, -20))
    start = due(shop, vps)
    till.fake.declines = "insufficient funds"
    tried = []
    for day in range(-10, 21):
        before = charges(till)
        report = running.run(shop.db, gateways=till.gateways, now=start + timedelta(days=day))
        if charges(till) > before:
            assert report.refused == 1
            tried.append(day)
    assert tried == [-1, 0, 2, 6, 14]


def test_a_card_that_was_refused_is_not_tried_for_the_next_invoice_of_the_same_run(till, shop, vps):
    shop.active(hostname="other.example.org")
    save_card(till, now=due(shop, vps, -20))
    till.fake.declines = "insufficient funds"
    now = due(shop, vps, -1)
    assert running.run(shop.db, gateways=till.gateways, now=now).refused == 1
    assert charges(till) == 1
    till.fake.declines = ""
    assert running.run(shop.db, gateways=till.gateways, now=now + timedelta(days=1)).paid == 2


def test_a_card_that_is_good_again_ends_the_dunning(till, shop, vps):
    save_card(till, now=due(shop, vps, -20))
    start = due(shop, vps)
    till.fake.declines = "insufficient funds"
    for day in range(-10, 14):
        running.run(shop.db, gateways=till.gateways, now=start + timedelta(days=day))
    till.fake.declines = ""
    assert running.run(shop.db, gateways=till.gateways, now=start + timedelta(days=14)).paid == 1
    assert running.run(shop.db, gateways=till.gateways, now=start + timedelta(days=15)).suspended == 0


def test_a_charge_whose_answer_was_lost_is_asked_about_and_never_repeated(till, shop, vps):
    save_card(till, now=due(shop, vps, -20))
    running.run(shop.db, gateways=till.gateways, now=due(shop, vps, -10))
    till.fake.silent = True
    at = due(shop, vps, -1)
    assert running.run(shop.db, gateways=till.gateways, now=at).paid == 0
    till.fake.silent = False
    assert running.run(shop.db, gateways=till.gateways, now=at + timedelta(hours=1)).paid == 1
    with shop.db.reading() as session:
        assert (
            session.scalar(sa.select(sa.func.count(PaymentAttempt.id)).where(PaymentAttempt.kind == "charge"))
            == 1
        )
    assert len(till.fake.charged) == 1


def test_a_gateway_that_is_down_stops_nothing_else(till, shop, vps):
    save_card(till, now=due(shop, vps, -20))
    till.fake.down = True
    now = due(shop, vps, -1)
    report = running.run(shop.db, gateways=till.gateways, now=now)
    assert (report.invoiced, report.paid, report.reminded) == (1, 0, 1)
