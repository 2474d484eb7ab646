"""Coupons that go on: what they take off renewals, for how long, and that the rest of a run does not know of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domus.billing import checks
from domus.billing.models import InvoiceState
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.coupons import running
from domus.db.engine import Database
from domus.renewals.opening import Sales
from domus.vps.models import Vps
from domus.workflows import coupons
from domus.workflows.renewals import paying
from tests.support.builders import NOW, make_price
from tests.support.contracts import contract, due, pay, renewals_of, run
from tests.support.coupons import make_coupon, used
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(any_db: Database) -> Shop:
    return make_shop(any_db)


def asked(shop: Shop, vps: Vps) -> list[int]:
    """Return what each renewal asks for."""
    return [renewal.invoice.gross_minor for renewal in renewals_of(shop, vps)]


def renew(shop: Shop, vps: Vps) -> None:
    """Let the next period be asked for by the run, and pay it."""
    now = due(shop, vps, -5)
    run(shop, now)
    pay(shop, vps, now=now)


def problems(shop: Shop) -> list[str]:
    with shop.db.reading() as session:
        return checks.all_problems(session)


def test_a_coupon_for_the_first_payment_takes_nothing_off_renewals(shop):
    make_coupon(shop.db)
    vps = shop.active(coupon="SPRING")
    run(shop, due(shop, vps, -10))
    assert asked(shop, vps) == [1000]
    with shop.db.reading() as session:
        assert not running.are_any(session)


def test_a_coupon_for_all_payments_takes_off_every_renewal(shop):
    make_coupon(shop.db, payments=None)
    vps = shop.active(coupon="SPRING")
    plain = shop.active(hostname="plain.example.org")
    for _ in range(3):
        renew(shop, vps)
    assert asked(shop, vps) == [800, 800, 800]
    assert asked(shop, plain)[0] == 1000
    last = renewals_of(shop, vps)[-1].invoice
    assert [line.net_minor for line in last.lines] == [1000, -200]
    assert last.lines[1].text == "coupon SPRING, 20%"
    assert problems(shop) == []


def test_a_coupon_for_three_payments_is_over_after_two_renewals(shop):
    make_coupon(shop.db, payments=3)
    vps = shop.active(coupon="SPRING")
    for _ in range(3):
        renew(shop, vps)
    assert asked(shop, vps) == [800, 800, 1000]
    assert used(shop.db) == 1, "renewals are not uses"


def test_a_renewal_that_is_withdrawn_does_not_count_as_a_payment(shop):
    make_coupon(shop.db, payments=2)
    vps = shop.active(coupon="SPRING")
    yearly = make_price(
        shop.db, shop.price.product, period_text="0001-00-00", amount_minor=9000, renewal_of_id=shop.price.id
    )
    monthly = make_price(
        shop.db, shop.price.product, period_text="0000-01-00", amount_minor=1000, renewal_of_id=shop.price.id
    )
    alice = shop.people.as_alice
    paying.ask(shop.db, vps_id=vps.id, price_id=monthly.id, actor=alice, now=NOW)
    again = paying.ask(shop.db, vps_id=vps.id, price_id=yearly.id, actor=alice, now=NOW)
    assert again.invoice.gross_minor == 7200
    states = [renewal.invoice.state for renewal in renewals_of(shop, vps)]
    assert states == [InvoiceState.CANCELLED, InvoiceState.OPEN]


def test_an_amount_in_another_currency_than_the_renewal_takes_nothing_off(shop):
    make_coupon(shop.db, amounts={"USD": 300}, payments=None)
    vps = shop.active(coupon="SPRING")
    renew(shop, vps)
    assert asked(shop, vps) == [700]
    with shop.db.reading() as session:
        found = running.of_order(session, vps.order_id)
        assert found is not None
        assert found.off(shop.price.amount).amount.minor == 300
        assert found.off(Money(1000, "EUR")) is None


def test_renewals_that_cost_nothing_go_on_by_themselves(shop):
    make_coupon(shop.db, millipercent=100_000, payments=None)
    vps = shop.active(coupon="SPRING")
    until = contract(shop, vps).paid_until
    report = run(shop, due(shop, vps, -10))
    assert (report.invoiced, report.paid, report.failed) == (1, 1, 0)
    assert contract(shop, vps).paid_until > until
    [renewal] = renewals_of(shop, vps)
    assert (renewal.invoice.state, renewal.invoice.gross_minor) == (InvoiceState.PAID, 0)
    assert renewal.invoice.number is not None
    assert run(shop, due(shop, vps, -11)).did_nothing
    assert problems(shop) == []


def test_nobody_renews_for_nothing_years_ahead(shop):
    make_coupon(shop.db, millipercent=100_000, payments=None)
    vps = shop.active(coupon="SPRING")
    with pytest.raises(Conflict, match="costs nothing; it is renewed by itself"):
        paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=NOW)


def test_after_a_free_time_the_full_price_is_asked_for(shop):
    make_coupon(shop.db, millipercent=100_000, payments=2)
    vps = shop.active(coupon="SPRING")
    run(shop, due(shop, vps, -10))
    now = due(shop, vps, -10)
    run(shop, now)
    assert asked(shop, vps) == [0, 1000]
    assert run(shop, now + timedelta(hours=1)).did_nothing


def test_a_run_without_such_coupons_asks_nothing_about_them(shop):
    make_coupon(shop.db)
    shop.active(coupon="SPRING")
    with shop.db.reading() as session:
        assert not Sales(session, on=NOW.date()).has_coupons


def test_a_coupon_that_was_switched_off_goes_on_where_it_was_used(shop):
    coupon = make_coupon(shop.db, payments=None)
    vps = shop.active(coupon="SPRING")
    fields = coupons.CouponFields(code="SPRING", millipercent=20_000, active=False)
    coupons.save(shop.db, coupon_id=coupon.id, fields=fields, actor=shop.people.as_olga, now=NOW)
    renew(shop, vps)
    assert asked(shop, vps) == [800]
