"""The questions of the checks are understood by both databases."""

from __future__ import annotations

from domus.db.engine import Database
from domus.workflows import billing
from tests.support.contracts import due, pay
from tests.support.order_shop import make_shop


def test_books_in_order_have_no_problems(any_db: Database) -> None:
    shop = make_shop(any_db)
    vps = shop.active()
    for _ in range(2):
        pay(shop, vps, now=due(shop, vps, -10))
    assert billing.check_ledger(any_db) == []
