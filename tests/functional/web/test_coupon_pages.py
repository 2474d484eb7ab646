"""A coupon on the order page: its effect is shown before anything is ordered, without any script."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from domus.billing.models import Order, OrderState
from domus.db.engine import Database
from tests.support import builders
from tests.support.coupons import make_coupon, used
from tests.support.panel import SSH_KEY, Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

HARD, SPACE = "\N{NO-BREAK SPACE}", " "


def filled(shop: Shop, visitor: Visitor, **changes: Any) -> dict[str, Any]:
    return {
        "request_token": visitor.request_token(),
        "price_id": shop.price.id,
        "location_id": shop.location.id,
        "template_id": shop.template.id,
        "hostname": "www.example.org",
        "ssh_keys": SSH_KEY,
        "root_password": "",
        "root_password_again": "",
        **changes,
    }


def placed(db: Database) -> list[Order]:
    with db.reading() as session:
        return list(session.scalars(sa.select(Order)))


def test_its_effect_is_shown_before_anything_is_ordered(db: Database, shop: Shop, alice: Visitor) -> None:
    make_coupon(db, payments=3)
    form = filled(shop, alice, coupon="spring", apply="yes", hostname="")
    page = alice.post("/orders/new", form, status=200)
    said = text_of(page).replace(HARD, SPACE)
    assert "SPRING: -2.00 USD, on this and the next 2 payments" in said
    assert "To pay now 10.50 USD" in said
    assert "Enter a host name" not in said, "nothing was ordered, so nothing is missing yet"
    assert (placed(db), used(db)) == ([], 0)
    assert 'name="coupon_shown" type="hidden" value="SPRING"' in page.get_data(as_text=True)


def test_an_order_is_placed_with_what_was_shown(db: Database, shop: Shop, alice: Visitor) -> None:
    make_coupon(db)
    form = filled(shop, alice, coupon="SPRING", coupon_shown="SPRING")
    said = text_of(alice.get(alice.post("/orders/new", form).location)).replace(HARD, SPACE)
    assert "To pay 10.50 USD" in said
    assert "coupon SPRING, 20%" in said
    assert used(db) == 1


def test_a_coupon_whose_effect_was_not_seen_is_shown_first(db: Database, shop: Shop, alice: Visitor) -> None:
    make_coupon(db)
    form = filled(shop, alice, coupon="SPRING")
    page = alice.post("/orders/new", form, status=200)
    said = text_of(page).replace(HARD, SPACE)
    assert "Nothing is ordered yet. With the coupon you pay 10.50 USD now" in said
    assert placed(db) == []
    alice.post("/orders/new", form | {"coupon_shown": "SPRING"})
    assert len(placed(db)) == 1


def test_a_refusal_stands_at_its_field_and_nothing_is_ordered(
    db: Database, shop: Shop, alice: Visitor
) -> None:
    other = builders.make_product_with_price(db, name="Huge")
    make_coupon(db, "HUGE", product_ids=[other.product_id])
    for code, why in (
        ("HUGE", "The coupon HUGE is not for VPS Small."),
        ("NONE", "There is no coupon NONE."),
    ):
        for button in ({"apply": "yes"}, {"coupon_shown": code}):
            form = filled(shop, alice, coupon=code) | button
            page = alice.post("/orders/new", form, status=422)
            assert why in text_of(page)
            assert 'id="coupon-error"' in page.get_data(as_text=True)
    assert placed(db) == []


def test_codes_cannot_be_tried_without_end(db: Database, shop: Shop, alice: Visitor) -> None:
    make_coupon(db)
    for number in range(20):
        alice.post("/orders/new", filled(shop, alice, coupon=f"TRY{number}", apply="yes"), status=422)
    page = alice.post("/orders/new", filled(shop, alice, coupon="SPRING", apply="yes"), status=422)
    assert "Too many attempts" in text_of(page)


def test_an_order_that_costs_nothing_is_being_made_at_once(db: Database, shop: Shop, alice: Visitor) -> None:
    make_coupon(db, "FREE", millipercent=100_000, covers_setup_fee=True)
    form = filled(shop, alice, coupon="FREE", coupon_shown="FREE")
    said = text_of(alice.get(alice.post("/orders/new", form).location)).replace(HARD, SPACE)
    assert [order.state for order in placed(db)] == [OrderState.PAID]
    assert "Paid 0.00 USD" in said


def test_the_page_of_the_vps_names_the_coupon(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    make_coupon(db, payments=None)
    order = shop.delivered(people.alice, coupon="SPRING")
    said = text_of(alice.get(f"/vps/{shop.vps(order).id}"))
    assert "Coupon SPRING, 20 % off each payment" in said
