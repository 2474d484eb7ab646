"""Coupons in the operator panel."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from domus.billing.models import Subscription
from domus.coupons.models import Coupon
from domus.db.engine import Database
from tests.support.coupons import make_coupon
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

FORM = {
    "code": "spring-26", "description": "newsletter", "percent": "12.5", "amounts": "", "payments": "3", "max_uses": "100",
    "max_uses_per_account": "1", "valid_from": "2026-11-01", "valid_until": "2026-12-31", "products": "", "periods": "",
    "active": "y",
}  # fmt: skip


def only(db: Database) -> Coupon:
    with db.reading() as session:
        coupon = session.scalars(sa.select(Coupon)).one()
        _ = coupon.product_ids
        return coupon


def test_a_coupon_is_made_as_entered(olga: Visitor, db: Database, shop: Shop) -> None:
    limits = {
        "products": shop.price.product.name,
        "periods": "0001-00-00, 0000-06-00",
        "first_order_only": "y",
    }
    answer = olga.post("/operator/coupons/new/", FORM | limits)
    coupon = only(db)
    assert (coupon.code, coupon.millipercent, coupon.payments) == ("SPRING-26", 12_500, 3)
    assert (coupon.max_uses, coupon.max_uses_per_account, coupon.used) == (100, 1, 0)
    assert (coupon.valid_from, coupon.valid_until) == (date(2026, 11, 1), date(2026, 12, 31))
    assert (coupon.product_ids, coupon.periods) == ([shop.price.product_id], ["0000-06-00", "0001-00-00"])
    assert coupon.first_order_only
    page = text_of(olga.get(answer.headers["Location"]))
    for fact in (
        "SPRING-26",
        "12.5 %",
        "the first 3",
        "0 of 100",
        "newsletter",
        "No order was placed with it yet",
    ):
        assert fact in page, fact


def test_a_coupon_that_is_edited_without_a_change_stays_as_it_was(olga: Visitor, db: Database) -> None:
    coupon = make_coupon(db, "FIVER", amounts={"EUR": 500, "JPY": 800, "KWD": 1250}, payments=None)
    body = olga.get(f"/operator/coupons/edit/?id={coupon.id}").get_data(as_text=True)
    shown = body.split('id="amounts"')[1].split('value="')[1].split('"')[0]
    assert shown == "5.00 EUR, 800 JPY, 1.250 KWD"
    sent = FORM | {"code": "FIVER", "percent": "", "amounts": shown, "payments": ""}
    olga.post(f"/operator/coupons/edit/?id={coupon.id}", sent)
    after = only(db)
    assert (after.amounts, after.payments) == ({"EUR": 500, "JPY": 800, "KWD": 1250}, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": "no blanks"}, "2 to 40 letters"),
        ({"code": ""}, "This is needed"),
        ({"percent": ""}, "enter one of the two"),
        ({"amounts": "5 EUR"}, "enter one of the two"),
        ({"percent": "101"}, "100"),
        ({"percent": "lots"}, "is no rate"),
        ({"percent": "", "amounts": "5"}, "names no currency"),
        ({"percent": "", "amounts": "-5 EUR"}, "more than nothing"),
        ({"percent": "", "amounts": "5.001 EUR"}, "2 decimals"),
        ({"percent": "", "amounts": "5 XXX"}, "is not known"),
        ({"percent": "", "amounts": "5 EUR, 6 EUR"}, "two amounts"),
        ({"payments": "0"}, "1"),
        ({"max_uses": "-1"}, "1"),
        ({"max_uses": "9" * 30}, "1000000000"),
        ({"valid_until": "2026-10-31"}, "before the first one"),
        ({"products": "Nothing of ours"}, "no product called"),
        ({"periods": "a year"}, "YYYY-MM-DD"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    olga: Visitor, db: Database, changes: dict[str, Any], said: str
) -> None:
    page = olga.post("/operator/coupons/new/", FORM | changes, status=422)
    assert said in text_of(page)
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Coupon)) == 0


def test_its_page_lists_the_orders_and_the_contract_names_it(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    coupon = make_coupon(db, payments=2)
    order = shop.delivered(people.alice, coupon="SPRING")
    page = text_of(olga.get(f"/operator/coupons/details/?id={coupon.id}")).replace("\N{NO-BREAK SPACE}", " ")
    assert f"#{order.number} Acme" in page
    assert "20 % off 2.00 USD fulfilled" in page
    with db.reading() as session:
        contract = session.scalars(sa.select(Subscription)).one()
    said = text_of(olga.get(f"/operator/contracts/details/?id={contract.id}"))
    assert "Coupon SPRING, 20 % off the next payment" in said


def test_one_that_was_used_cannot_be_deleted_and_its_product_neither(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    coupon = make_coupon(db, product_ids=[shop.price.product_id])
    shop.order(people.alice, coupon="SPRING")
    page = olga.post(f"/operator/coupons/delete/?id={coupon.id}", status=409)
    assert "switch it off instead" in text_of(page)
    page = olga.post(f"/operator/products/delete/?id={shop.price.product_id}", status=409)
    assert "deactivate it instead" in text_of(page)


def test_one_that_was_never_used_can_be_deleted(olga: Visitor, db: Database, shop: Shop) -> None:
    coupon = make_coupon(db, product_ids=[shop.price.product_id])
    olga.post(f"/operator/coupons/delete/?id={coupon.id}")
    assert "Make the first one" in text_of(olga.get("/operator/coupons/"))


def test_customers_do_not_see_them(alice: Visitor) -> None:
    alice.get("/operator/coupons/", status=404)
