"""The run: what is due on or after its day is done, once, in whatever order and however late."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import Invoice, InvoiceState, Subscription
from domus.catalog.models import Price
from domus.core.periods import Period
from domus.db.engine import Database
from domus.renewals.models import RenewalTerms
from domus.tax.models import Company, TaxRate
from domus.vps.models import Vps
from domus.workflows import billing
from domus.workflows.renewals import paying, running
from tests.support.builders import make_price
from tests.support.contracts import contract, due, invoice_count, pay, renewals_of, run, run_daily, steps_of
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(any_db: Database) -> Shop:
    return make_shop(any_db)


@pytest.fixture
def vps(shop: Shop) -> Vps:
    return shop.active()


def test_nothing_is_due_before_its_day(shop, vps):
    assert run(shop, due(shop, vps, -11)).did_nothing
    assert invoice_count(shop) == 1


def test_the_next_period_is_asked_for_with_the_first_reminder(shop, vps):
    report = run(shop, due(shop, vps, -10))
    assert (report.invoiced, report.reminded, report.failed) == (1, 1, 0)
    [renewal] = renewals_of(shop, vps)
    until = contract(shop, vps).paid_until
    assert (renewal.starts_on, renewal.ends_on) == (
        until,
        Period.parse("0000-01-00").end(until, anchor_day=20),
    )
    invoice = renewal.invoice
    assert (invoice.state, invoice.number, invoice.gross.minor) == (InvoiceState.OPEN, None, 1000)
    last = renewal.ends_on - timedelta(days=1)
    assert invoice.lines[0].text.endswith(f"1 month, www.example.org: {until:%Y-%m-%d} to {last:%Y-%m-%d}")
    assert steps_of(shop, vps) == ["before 10"]


def test_a_second_run_does_nothing(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    again = run(shop, now + timedelta(hours=1))
    assert again.did_nothing
    assert (len(renewals_of(shop, vps)), steps_of(shop, vps)) == (1, ["before 10"])


def test_every_step_is_taken_on_its_day_once(shop, vps):
    run_daily(shop, vps, -11, 30)
    assert steps_of(shop, vps) == [
        "before 10",
        "before 5",
        "expired",
        "after 3",
        "after 7",
        "last_warning",
        "suspended",
        "ended",
    ]
    assert len(renewals_of(shop, vps)) == 1


def test_after_an_outage_the_step_that_fits_the_day_is_taken_and_none_of_those_missed(shop, vps):
    run(shop, due(shop, vps, -10))
    report = run(shop, due(shop, vps, 4))
    assert (report.invoiced, report.reminded) == (0, 1)
    assert steps_of(shop, vps) == ["before 10", "after 3"]


def test_after_forty_days_away_a_customer_is_warned_first_and_suspended_a_day_later(shop, vps):
    start = due(shop, vps, 40)
    first = run(shop, start)
    assert (first.invoiced, first.reminded, first.warned, first.suspended, first.ended) == (1, 0, 1, 0, 0)
    assert run(shop, start + timedelta(hours=23)).did_nothing
    assert run(shop, start + timedelta(days=1)).suspended == 1
    assert run(shop, start + timedelta(days=7)).did_nothing
    assert run(shop, start + timedelta(days=8)).ended == 1


def test_what_is_paid_is_left_in_peace(shop, vps):
    run(shop, due(shop, vps, -10))
    pay(shop, vps, now=due(shop, vps, -9))
    before = contract(shop, vps).paid_until - timedelta(days=31)
    for day in range(-8, 18):
        assert run(shop, due(shop, vps) - timedelta(days=31) + timedelta(days=day)).did_nothing
    assert before < contract(shop, vps).paid_until


def test_a_year_of_renewals_keeps_the_day_on_which_the_contract_began(any_db):
    shop = make_shop(any_db)
    vps = shop.active()
    with shop.db.unit_of_work() as session:
        session.execute(
            sa.update(Subscription).values(
                started_on=date(2027, 8, 31), anchor_day=31, paid_until=date(2027, 9, 30)
            )
        )
    ends = []
    for _ in range(14):
        run(shop, due(shop, vps, -10))
        ends.append(pay(shop, vps, now=due(shop, vps, -3)).ends_on)
    assert ends[:6] == [
        date(2027, 10, 31),
        date(2027, 11, 30),
        date(2027, 12, 31),
        date(2028, 1, 31),
        date(2028, 2, 29),
        date(2028, 3, 31),
    ]
    assert [one.starts_on for one in renewals_of(shop, vps)][1:] == ends[:-1]
    assert billing.check_ledger(shop.db) == []


def test_it_is_renewed_at_the_price_that_renews_the_one_of_the_order(shop, vps):
    with shop.db.reading() as session:
        ordered = session.get_one(Price, shop.price.id)
        _ = ordered.product
    make_price(
        shop.db, ordered.product, amount_minor=9000, period_text="0001-00-00", renewal_of_id=ordered.id
    )
    monthly = make_price(shop.db, ordered.product, amount_minor=800, renewal_of_id=ordered.id)
    run(shop, due(shop, vps, -10))
    [renewal] = renewals_of(shop, vps)
    assert (renewal.price_id, renewal.invoice.gross_minor) == (monthly.id, 800)


def test_a_product_has_days_of_its_own(shop, vps):
    with shop.db.unit_of_work() as session:
        session.add(
            RenewalTerms(
                product_id=shop.price.product_id, invoice_days=14, remind_before=[], remind_after=[1],
                last_warning_days=2, suspend_days=4, end_days=5, grace_days=2,
            )
        )  # fmt: skip
    run_daily(shop, vps, -15, 6)
    assert steps_of(shop, vps) == ["expired", "after 1", "last_warning", "suspended", "ended"]
    removal = shop.vps(vps.id).remove_not_before
    assert removal == due(shop, vps, 5 + 2)


def test_of_a_short_period_nothing_is_asked_before_half_of_it_is_over(shop):
    price = make_price(shop.db, shop.price.product, period_text="0000-00-07")
    vps = shop.active(price_id=price.id)
    assert run(shop, due(shop, vps, -4)).did_nothing
    assert run(shop, due(shop, vps, -3)).invoiced == 1
    assert steps_of(shop, vps) == []


def test_one_account_that_cannot_be_invoiced_stops_nobody(shop):
    """Charlie is in France, whose rate nobody knows any more."""
    machines = [shop.active(hostname=f"host{number}.example.org") for number in range(3)]
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Company).values(country="DE", charges_tax=True, one_stop_shop=True))
        session.execute(sa.delete(TaxRate).where(TaxRate.country == "FR"))
        bad = session.scalars(
            sa.select(Subscription).where(Subscription.order_id == machines[1].order_id)
        ).one()
        bad.account_id = shop.people.charlie.account_id
        bad_id = bad.id
    report = run(shop, due(shop, machines[0], -10))
    assert (report.invoiced, report.failed) == (2, 1)
    assert report.faults[0].subscription_id == bad_id
    assert "No tax rate of FR" in report.faults[0].text


def test_an_invoice_of_a_run_is_the_one_that_a_customer_would_have_asked_for(shop):
    """Both ways of opening one, the bulk's and the single one, agree in every column, tax included."""
    by_run, by_hand = shop.active(), shop.active(hostname="www.example.org")
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Company).values(country="DE", charges_tax=True, vat_number="DE811907980"))
    now = due(shop, by_run, -10)
    paying.ask(shop.db, vps_id=by_hand.id, actor=shop.people.as_alice, now=now)
    run(shop, now)
    [one], [other] = renewals_of(shop, by_run), renewals_of(shop, by_hand)
    assert columns(one.invoice) == columns(other.invoice)
    assert one.invoice.tax_minor == 190
    assert [line.text for line in one.invoice.lines] == [line.text for line in other.invoice.lines]


def columns(invoice: Invoice) -> dict:
    names = {column.key for column in sa.inspect(Invoice).columns} - {"id"}
    return {name: getattr(invoice, name) for name in names}


def test_a_chunk_that_fails_is_halved_until_the_bad_one_is_alone(shop, vps, monkeypatch):
    machines = [vps, *(shop.active(hostname=f"host{number}.example.org") for number in range(4))]
    bad = contract(shop, machines[3]).id
    real = running.open_renewals

    def fails(session, contracts, *arguments, **options):
        if any(row.id == bad for row in contracts):
            raise ValueError("this one cannot be read")
        return real(session, contracts, *arguments, **options)

    monkeypatch.setattr(running, "open_renewals", fails)
    report = running.run(shop.db, now=due(shop, vps, -10))
    assert (report.invoiced, report.failed) == (4, 1)
    assert [(fault.subscription_id, fault.text) for fault in report.faults] == [
        (bad, "this one cannot be read")
    ]
    monkeypatch.undo()
    assert running.run(shop.db, now=due(shop, vps, -10)).invoiced == 1


def test_a_price_that_cannot_be_read_is_named_and_stops_no_other(shop, vps):
    other = make_price(shop.db, shop.price.product, period_text="0000-02-00")
    broken = shop.active(price_id=other.id)
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Price).where(Price.id == other.id).values(period_text="monthly"))
    report = running.run(shop.db, now=due(shop, vps, -10))
    assert (report.invoiced, report.failed) == (1, 1)
    assert f"Price {other.id}" in report.faults[0].text
    assert renewals_of(shop, broken) == []


def test_what_was_never_delivered_or_has_ended_is_not_renewed(shop):
    failed, refunded = shop.failed(), shop.active()
    with shop.db.unit_of_work() as session:
        session.execute(
            sa.update(Subscription)
            .where(Subscription.order_id == refunded.order_id)
            .values(ended_on=date(2026, 11, 21))
        )
    assert run(shop, due(shop, failed, 20)).did_nothing
