"""Orders with a coupon: what it takes off, who is refused and why, and when it can be used again."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from domus.billing import checks, ledger
from domus.billing.models import InvoiceState, OrderState
from domus.core.errors import Conflict, InvalidInput
from domus.core.money import Money
from domus.db.engine import Database
from domus.tax.models import Company, TaxRate
from domus.vps.models import VpsState
from domus.workflows import billing_data, coupons, orders
from tests.support.builders import NOW, make_price, make_product_with_price
from tests.support.coupons import make_coupon, used, uses
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(any_db: Database) -> Shop:
    return make_shop(any_db)


def refusal(shop: Shop, **changes) -> str:
    with pytest.raises(InvalidInput) as refused:
        shop.order(**changes)
    assert refused.value.field == "coupon"
    return str(refused.value)


def test_a_percentage_is_a_line_of_its_own(shop):
    make_coupon(shop.db)
    invoice = shop.order(coupon=" spring ").invoice
    assert [(line.text, line.net_minor) for line in invoice.lines] == [
        (invoice.lines[0].text, 1000),
        ("coupon SPRING, 20%", -200),
    ]
    assert (invoice.net_minor, invoice.gross_minor) == (800, 800)
    assert used(shop.db) == 1


def test_an_amount_is_taken_off_in_the_currency_of_the_price(shop):
    make_coupon(shop.db, amounts={"USD": 300, "JPY": 500})
    invoice = shop.order(coupon="SPRING").invoice
    assert invoice.lines[1].text == "coupon SPRING, 3.00\N{NO-BREAK SPACE}USD"
    assert invoice.gross_minor == 700


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "coupon SPRING, 20%"),
        ("de", "Gutschein SPRING, 20\N{NO-BREAK SPACE}%"),
        ("es", "cupón SPRING, 20\N{NO-BREAK SPACE}%"),
        ("fr", "code promo SPRING, 20\N{NO-BREAK SPACE}%"),
        ("ru", "купон SPRING, 20\N{NO-BREAK SPACE}%"),
        ("zh", "优惠券 SPRING, 20%"),
    ],
)
def test_the_line_speaks_the_customers_language(shop, language, text):
    make_coupon(shop.db)
    data = billing_data.BillingData(name="Acme", language=language)
    billing_data.save(shop.db, account_id=shop.people.acme.id, data=data, actor=shop.people.as_alice, now=NOW)
    lines = shop.order(coupon="SPRING").invoice.lines
    assert lines[1].text == text


def test_the_set_up_fee_is_paid_in_full_unless_the_coupon_covers_it(shop):
    price = make_price(shop.db, shop.price.product, amount_minor=1000, setup_fee_minor=500)
    make_coupon(shop.db)
    make_coupon(shop.db, "ALL", covers_setup_fee=True)
    assert shop.order(coupon="SPRING", price_id=price.id).invoice.gross_minor == 1300
    assert shop.order(coupon="ALL", price_id=price.id).invoice.gross_minor == 1200


def test_more_than_the_price_is_never_taken_off(shop):
    price = make_price(shop.db, shop.price.product, amount_minor=1000, setup_fee_minor=500)
    make_coupon(shop.db, amounts={"USD": 99_999})
    invoice = shop.order(coupon="SPRING", price_id=price.id).invoice
    assert invoice.gross_minor == 500


def test_an_order_that_costs_nothing_is_paid_at_once(shop):
    make_coupon(shop.db, millipercent=100_000)
    order = shop.order(coupon="SPRING")
    invoice = order.invoice
    assert (order.state, invoice.state, invoice.gross_minor) == (OrderState.PAID, InvoiceState.PAID, 0)
    assert invoice.number is not None
    assert invoice.payments == []
    assert shop.vps_of(order).state is VpsState.PROVISIONING
    with shop.db.reading() as session:
        assert checks.all_problems(session) == []
        assert ledger.balances(session) == {}


def test_an_order_that_cost_nothing_can_be_taken_back_and_gives_nothing_back(shop):
    make_coupon(shop.db, millipercent=100_000)
    order = shop.order(coupon="SPRING")
    again = orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="abuse", now=NOW)
    assert again.state is OrderState.REFUNDED
    assert again.invoice.payments == []
    assert shop.vps_of(order).state is VpsState.REMOVING


def test_what_is_refused_says_why_and_nothing_is_reserved(shop):
    today = NOW.date()
    make_coupon(shop.db, "OLD", valid_until=today - timedelta(days=1))
    make_coupon(shop.db, "SOON", valid_from=today + timedelta(days=1))
    make_coupon(shop.db, "OFF", active=False)
    make_coupon(shop.db, "POUNDS", amounts={"EUR": 100, "GBP": 90})
    other = make_product_with_price(shop.db, name="Huge")
    make_coupon(shop.db, "HUGE", product_ids=[other.product_id])
    make_coupon(shop.db, "YEARLY", periods=["0001-00-00"])
    name = shop.price.product.name
    said = {
        "OLD": "The coupon OLD expired on 2026-11-19.",
        "SOON": "The coupon SOON is valid from 2026-11-21 on.",
        "OFF": "The coupon OFF is not accepted any more.",
        "POUNDS": "The coupon POUNDS is for prices in EUR or GBP; this one is in USD.",
        "HUGE": f"The coupon HUGE is not for {name}.",
        "YEARLY": "The coupon YEARLY is not for a period of 1 month.",
        "NONE": "There is no coupon NONE.",
        "a b": "A coupon's code has 2 to 40 letters A to Z, digits, hyphens and underscores.",
    }
    for code, text in said.items():
        assert refusal(shop, coupon=code) == text
    order = shop.order(coupon="")
    assert order.number == 1, "nothing of the refused ones was kept"


def test_the_last_day_is_a_day_on_which_it_is_valid(shop):
    make_coupon(shop.db, valid_from=date(2026, 11, 20), valid_until=date(2026, 11, 20))
    assert shop.order(coupon="SPRING").invoice.gross_minor == 800


def test_a_limit_is_held(shop):
    make_coupon(shop.db, max_uses=2)
    shop.order(coupon="SPRING")
    shop.order(coupon="SPRING")
    assert refusal(shop, coupon="SPRING") == "The coupon SPRING is used up."
    assert used(shop.db) == 2


def test_an_account_may_use_it_only_so_often(shop):
    make_coupon(shop.db, max_uses_per_account=1)
    shop.order(coupon="SPRING")
    assert refusal(shop, coupon="SPRING") == (
        "The coupon SPRING can be used once by an account, which was done."
    )
    rival = shop.order(
        coupon="SPRING", account_id=shop.people.charlie.account_id, actor=shop.people.as_charlie
    )
    assert rival.invoice.gross_minor == 800


def test_a_coupon_for_first_orders_is_refused_on_the_second(shop):
    make_coupon(shop.db, first_order_only=True)
    first = shop.order(coupon="SPRING")
    assert refusal(shop, coupon="SPRING") == "The coupon SPRING is for an account's first order."
    orders.cancel(shop.db, order_id=first.id, actor=shop.people.as_alice, now=NOW)
    assert shop.order(coupon="SPRING").invoice.gross_minor == 800


def test_the_same_form_sent_again_uses_it_once(shop):
    make_coupon(shop.db, max_uses=1)
    request = shop.request(coupon="SPRING")
    placed = [
        orders.place(shop.db, request, actor=shop.people.as_alice, now=NOW, hold=timedelta(hours=1))
        for _ in range(2)
    ]
    assert placed[0].id == placed[1].id
    assert used(shop.db) == 1


def test_an_order_that_is_given_up_or_not_paid_gives_its_coupon_back_once(shop):
    make_coupon(shop.db, max_uses=1, max_uses_per_account=1)
    first = shop.order(coupon="SPRING")
    orders.cancel(shop.db, order_id=first.id, actor=shop.people.as_alice, now=NOW)
    orders.cancel(shop.db, order_id=first.id, actor=shop.people.as_alice, now=NOW)
    assert used(shop.db) == 0
    shop.order(coupon="SPRING")
    assert orders.expire_unpaid(shop.db, now=NOW + timedelta(days=2)) == 1
    assert used(shop.db) == 0
    third = shop.order(coupon="SPRING")
    assert third.invoice.gross_minor == 800
    assert [use.given_back_at is None for use in uses(shop.db)] == [False, False, True]


def test_a_refunded_order_has_used_its_coupon(shop):
    make_coupon(shop.db, max_uses=1)
    order = shop.pay(shop.order(coupon="SPRING"))
    orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="asked for", now=NOW)
    assert used(shop.db) == 1
    assert refusal(shop, coupon="SPRING") == "The coupon SPRING is used up."
    with shop.db.reading() as session:
        assert checks.all_problems(session) == []


def test_an_edited_coupon_leaves_orders_as_they_were(shop):
    coupon = make_coupon(shop.db)
    order = shop.order(coupon="SPRING")
    fields = coupons.CouponFields(code="SPRING", millipercent=90_000)
    coupons.save(shop.db, coupon_id=coupon.id, fields=fields, actor=shop.people.as_olga, now=NOW)
    [use] = uses(shop.db)
    assert (use.millipercent, use.discounts[0].amount_minor) == (20_000, 200)
    assert orders.get(shop.db, order_id=order.id, actor=shop.people.as_alice).invoice.gross_minor == 800


def test_the_discount_lessens_what_is_taxed(shop):
    make_coupon(shop.db)
    _charge_tax(shop, include_tax=False)
    invoice = shop.order(coupon="SPRING").invoice
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (800, 152, 952)
    assert [(line.net_minor, line.tax_minor) for line in invoice.lines] == [(1000, 190), (-200, -38)]


def test_of_prices_that_include_tax_the_discount_includes_it_too(shop):
    make_coupon(shop.db)
    _charge_tax(shop, include_tax=True)
    invoice = shop.order(coupon="SPRING").invoice
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (672, 128, 800)
    assert sum(line.net_minor for line in invoice.lines) == 672


def test_what_a_coupon_would_take_off_is_told_before_the_order(shop):
    yearly = make_price(shop.db, shop.price.product, period_text="0001-00-00", amount_minor=9000)
    make_coupon(shop.db, periods=["0001-00-00"])
    told = coupons.quote(
        shop.db, "spring", [shop.price, yearly], account_id=shop.people.acme.id, actor=shop.people.as_alice, now=NOW
    )  # fmt: skip
    assert told.off[yearly.id].amount == Money(1800, "USD")
    assert told.refused == {shop.price.id: "The coupon SPRING is not for a period of 1 month."}
    assert used(shop.db) == 0


def test_a_coupon_that_was_used_is_not_deleted_and_keeps_its_limit(shop):
    coupon = make_coupon(shop.db)
    shop.order(coupon="SPRING")
    shop.order(coupon="SPRING")
    with pytest.raises(Conflict, match="switch it off instead"):
        coupons.delete(shop.db, coupon_id=coupon.id, actor=shop.people.as_olga, now=NOW)
    fields = coupons.CouponFields(code="SPRING", millipercent=20_000, max_uses=1)
    with pytest.raises(InvalidInput, match="used 2 times already"):
        coupons.save(shop.db, coupon_id=coupon.id, fields=fields, actor=shop.people.as_olga, now=NOW)


def _charge_tax(shop: Shop, *, include_tax: bool) -> None:
    with shop.db.unit_of_work() as session:
        company = session.scalars(sa.select(Company)).one()
        company.charges_tax, company.country, company.prices_include_tax = True, "DE", include_tax
        session.execute(sa.delete(TaxRate).where(TaxRate.country == "DE"))
        session.add(TaxRate(country="DE", valid_from=date(2020, 1, 1), millipercent=19_000))
