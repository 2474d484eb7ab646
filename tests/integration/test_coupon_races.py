"""Many customers with one coupon at the same instant: it is sold as often as it may be, on both databases."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import Order
from domus.core.errors import InvalidInput
from domus.coupons.models import Coupon, CouponDiscount, CouponUse
from domus.vps.models import Reservation
from domus.workflows import orders
from tests.integration.test_races import at_once, count, race_db
from tests.support.builders import NOW
from tests.support.coupons import make_coupon, used
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

__all__ = ["race_db"]

BUYERS = 12
PLENTY = {"memory_capacity_mib": 1 << 20, "disk_capacity_mib": 1 << 24, "vcpus_capacity": 10_000}


def shop_for(db) -> Shop:
    return make_shop(db, addresses=BUYERS + 5, **PLENTY)


def outcome(results: list[object]) -> Counter[str]:
    """Count orders, and refusals by their words; anything else stands by its type."""
    words = {Order: lambda _one: "ordered", InvalidInput: str}
    return Counter(words.get(type(one), lambda one: repr(one))(one) for one in results)


def test_a_coupon_with_one_use_is_sold_once(race_db):
    shop = shop_for(race_db)
    make_coupon(race_db, max_uses=1)
    results = at_once(BUYERS, lambda _number: shop.order(coupon="SPRING"))
    assert outcome(results) == {"ordered": 1, "The coupon SPRING is used up.": BUYERS - 1}
    assert used(race_db) == count(race_db, CouponUse) == count(race_db, CouponDiscount) == 1
    assert count(race_db, Order) == count(race_db, Reservation) == 1, "who came too late holds nothing"
    assert broken(race_db) == []


def test_an_account_with_two_uses_left_gets_two(race_db):
    shop = shop_for(race_db)
    make_coupon(race_db, max_uses_per_account=2)
    results = at_once(BUYERS, lambda _number: shop.order(coupon="SPRING"))
    assert outcome(results)["ordered"] == 2
    assert sum(outcome(results).values()) == BUYERS
    assert used(race_db) == count(race_db, CouponUse) == 2


def test_one_order_is_the_first_one_whichever_coupon_it_has(race_db):
    shop = shop_for(race_db)
    for number in range(2):
        make_coupon(race_db, f"FIRST{number}", first_order_only=True)
    results = at_once(BUYERS, lambda number: shop.order(coupon=f"FIRST{number % 2}"))
    assert outcome(results)["ordered"] == 1
    assert used(race_db, "FIRST0") + used(race_db, "FIRST1") == 1


def test_the_same_form_sent_many_times_at_once_is_one_order_with_its_coupon(race_db):
    shop = shop_for(race_db)
    make_coupon(race_db, max_uses=1)
    request = shop.request(coupon="SPRING")

    def send(_number: int) -> object:
        return orders.place(race_db, request, actor=shop.people.as_alice, now=NOW, hold=timedelta(hours=1)).id

    results = at_once(BUYERS, send)
    assert len(set(results)) == 1, results
    assert used(race_db) == 1


def test_what_is_given_back_at_the_same_instant_comes_back_once_and_is_sold_once(race_db):
    shop = shop_for(race_db)
    make_coupon(race_db, max_uses=1)
    first = shop.order(coupon="SPRING")

    def act(number: int) -> object:
        if number % 2:
            return orders.cancel(race_db, order_id=first.id, actor=shop.people.as_alice, now=NOW)
        return shop.order(coupon="SPRING")

    at_once(BUYERS, act)
    sold = count(race_db, CouponUse, CouponUse.given_back_at.is_(None))
    assert used(race_db) == sold <= 1
    assert broken(race_db) == []


def test_the_database_itself_refuses_more_uses_than_there_are(race_db):
    shop_for(race_db)
    coupon = make_coupon(race_db, max_uses=1)
    over = sa.update(Coupon).where(Coupon.id == coupon.id).values(used=2)
    with (
        pytest.raises(sa.exc.IntegrityError, match="ck_coupon_uses"),
        race_db.unit_of_work() as session,
    ):
        session.execute(over)
