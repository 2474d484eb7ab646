"""Coupons, edited prices and changes of contracts together: what days are worth, and what goes on at another price."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.catalog.models import Addon, AddonKind, AddonPrice, Price
from domus.core.errors import Conflict, InvalidInput
from domus.workflows import catalog
from domus.workflows.catalog import PriceFields
from domus.workflows.contracts import cancelling
from tests.support.builders import NOW, make_price
from tests.support.changing import agree, balance, books, make_offer, pay_change, usd
from tests.support.contracts import due, pay, renewals_of, run
from tests.support.coupons import make_coupon
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

HALF = NOW + timedelta(days=15)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def worth(shop, vps, *, now=HALF):
    return cancelling.look(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=now).worth


def next_renewal(shop, vps):
    run(shop, due(shop, vps, -5))
    return renewals_of(shop, vps)[-1].invoice


def edit(shop, price, **changes):
    fields = {
        "product_id": price.product_id, "period_text": price.period_text, "currency": price.currency,
        "amount_minor": price.amount_minor,
    }  # fmt: skip
    catalog.save_price(
        shop.db,
        price_id=price.id,
        fields=PriceFields(**fields | changes),
        actor=shop.people.as_olga,
        now=HALF,
    )


def test_days_that_a_coupon_paid_are_not_given_back_out_of_the_set_up_fee(shop):
    price = make_offer(shop, 1000, price={"setup_fee_minor": 5000})
    make_coupon(shop.db, millipercent=50_000)
    vps = shop.active(price_id=price.id, coupon="SPRING")
    assert worth(shop, vps) == usd(250)


def test_a_coupon_on_the_set_up_fee_too_lessens_the_days_by_their_share(shop):
    price = make_offer(shop, 1000, price={"setup_fee_minor": 3000})
    make_coupon(shop.db, millipercent=50_000, covers_setup_fee=True)
    vps = shop.active(price_id=price.id, coupon="SPRING")
    assert worth(shop, vps) == usd(250)


def test_days_are_worth_what_was_paid_for_them_also_when_the_price_is_lower_by_now(shop):
    vps = shop.active()
    pay(shop, vps, now=HALF)
    before = worth(shop, vps)
    edit(shop, shop.price, amount_minor=400)
    assert (before, worth(shop, vps)) == (usd(1500), usd(1500))


def test_a_coupon_for_one_product_takes_nothing_off_another_that_was_changed_to(shop):
    make_coupon(shop.db, millipercent=90_000, payments=None, product_ids=[shop.price.product_id])
    vps = shop.active(coupon="SPRING")
    pay_change(shop, agree(shop, vps, make_offer(shop, 3000), now=HALF), now=HALF)
    assert next_renewal(shop, vps).gross_minor == 3000
    assert (books(shop), broken(shop.db)) == ([], [])


def test_a_coupon_for_one_period_takes_nothing_off_another_that_was_changed_to(shop):
    make_coupon(shop.db, payments=None, periods=["0000-01-00"])
    vps = shop.active(coupon="SPRING")
    year = make_price(shop.db, shop.price.product, period_text="0001-00-00", amount_minor=12_000)
    change = agree(shop, vps, year, now=HALF)
    if change.invoice_id is not None:
        pay_change(shop, change, now=HALF)
    assert next_renewal(shop, vps).gross_minor == 12_000


def test_a_coupon_for_everything_goes_on_after_a_change(shop):
    make_coupon(shop.db, payments=None)
    vps = shop.active(coupon="SPRING")
    pay_change(shop, agree(shop, vps, make_offer(shop, 3000), now=HALF), now=HALF)
    assert next_renewal(shop, vps).gross_minor == 2400


def test_a_change_that_is_withdrawn_leaves_the_coupon(shop):
    make_coupon(shop.db, payments=None, product_ids=[shop.price.product_id])
    vps = shop.active(coupon="SPRING")
    agree(shop, vps, make_offer(shop, 3000), now=HALF)
    assert next_renewal(shop, vps).gross_minor == 800


def test_the_period_of_a_price_that_contracts_were_changed_to_cannot_change(shop):
    vps = shop.active()
    large = make_offer(shop, 3000)
    pay_change(shop, agree(shop, vps, large, now=HALF), now=HALF)
    with pytest.raises(Conflict):
        edit(shop, large, period_text="0001-00-00")
    with shop.db.reading() as session:
        assert session.scalar(sa.select(Price.period_text).where(Price.id == large.id)) == "0000-01-00"
    assert balance(shop) == 0


def test_nobody_has_the_rate_of_a_year_who_pays_by_the_month(shop):
    vps = shop.active()
    year = make_price(shop.db, shop.price.product, period_text="0001-00-00", amount_minor=6000)
    large = make_offer(shop, 3000, disk_mib=shop.price.product.disk_mib)
    large_year = make_price(shop.db, large.product, period_text="0001-00-00", amount_minor=18_000)
    paid = 0
    # By way of a year's price to a larger product and back: as much as by the month.
    for price in (year, large_year, year, shop.price):
        change = agree(shop, vps, price, now=HALF)
        if change.invoice is not None:
            paid += pay_change(shop, change, now=HALF).invoice.gross_minor
    assert (paid, balance(shop)) == (1000, 1000)
    assert (worth(shop, vps), books(shop)) == (usd(500), [])


def test_who_paid_for_a_year_has_its_rate_at_another_product(shop):
    year = make_price(shop.db, shop.price.product, period_text="0001-00-00", amount_minor=3650)
    vps = shop.active(price_id=year.id)
    large = make_offer(shop, 3000)
    large_year = make_price(shop.db, large.product, period_text="0001-00-00", amount_minor=7300)
    assert agree(shop, vps, large_year).invoice.gross_minor == 3650


def test_a_product_with_what_has_to_be_ordered_beside_it_cannot_be_changed_to(shop):
    vps, large = shop.active(), make_offer(shop, 3000)
    prices = [AddonPrice(period_text="0000-01-00", currency="USD", amount_minor=500)]
    with shop.db.unit_of_work() as session:
        session.add(
            Addon(
                product_id=large.product_id, name="Address", kind=AddonKind.IPV4, unit=1, minimum=1, maximum=2,
                active=True, prices=prices,
            )
        )  # fmt: skip
    with pytest.raises(InvalidInput, match="not on offer"):
        agree(shop, vps, large, now=HALF)
