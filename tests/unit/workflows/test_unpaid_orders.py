"""An order costs nothing until it is paid, and keeps a place from others: so an account has only so many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from domus.billing.models import Order
from domus.core.errors import Conflict
from domus.workflows import orders
from tests.support.order_shop import HOLD, NOW, Shop, make_shop


def place(shop: Shop) -> Order | Conflict:
    request, actor = shop.request(), shop.people.as_alice
    try:
        return orders.place(shop.db, request, actor=actor, now=NOW, hold=HOLD, max_unpaid=2)
    except Conflict as error:
        return error


def test_an_account_with_enough_to_pay_orders_again_when_it_paid_or_cancelled(db):
    shop = make_shop(db)
    first, second, refused = place(shop), place(shop), place(shop)
    assert isinstance(first, Order)
    assert isinstance(second, Order)
    assert "may have (2)" in str(refused)
    shop.pay(first)
    assert isinstance(place(shop), Order)
    assert isinstance(place(shop), Conflict)
    orders.cancel(shop.db, order_id=second.id, actor=shop.people.as_alice, now=NOW)
    assert isinstance(place(shop), Order)


@pytest.mark.parametrize("others", [6])
def test_many_orders_at_once_do_not_slip_past_the_limit(any_db, others):
    shop = make_shop(any_db)
    with ThreadPoolExecutor(others) as pool:
        placed = [one for one in pool.map(lambda _: place(shop), range(others)) if isinstance(one, Order)]
    assert len(placed) == 2
