"""Add-ons on the pages: defined by the operator, chosen by the customer, shown with the order and the contract."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from domus.billing.models import Order, OrderAddon
from domus.catalog.models import Addon
from domus.db.engine import Database
from tests.support import builders
from tests.support.panel import SSH_KEY, Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

ADDON = {
    "name": "Extra IPv4 address", "kind": "ipv4", "unit": "1", "minimum": "0", "maximum": "4", "active": "y",
    "prices": "0000-01-00 USD 2.00\n\n0001-00-00 USD 20",
}  # fmt: skip


def said(visitor: Visitor, path: str) -> str:
    return text_of(visitor.get(path)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def address(db: Database, shop: Shop, olga: Visitor) -> Addon:
    """Offer an add-on that Olga has made on her page."""
    olga.post("/operator/addons/new/", ADDON | {"product_id": shop.price.product_id})
    with db.reading() as session:
        return session.scalars(sa.select(Addon)).one()


def order_form(shop: Shop, visitor: Visitor, **changes: Any) -> dict[str, Any]:
    return {
        "request_token": visitor.request_token(), "price_id": shop.price.id, "location_id": shop.location.id,
        "template_id": shop.template.id, "hostname": "www.example.org", "ssh_keys": SSH_KEY,
        "root_password": "", "root_password_again": "",
    } | changes  # fmt: skip


def test_it_is_made_on_the_page_of_its_product_and_edited(
    db: Database, shop: Shop, olga: Visitor, address: Addon
) -> None:
    product = f"/operator/products/details/?id={shop.price.product_id}"
    page = said(olga, product)
    assert "Extra IPv4 address 1 IPv4 address 0 4 2.00 USD 0000-01-00" in page
    body = olga.get(f"/operator/addons/edit/?id={address.id}").get_data(as_text=True)
    assert "0000-01-00 USD 2.00\n0001-00-00 USD 20.00" in body
    longer = builders.make_price(
        db, shop.price.product, period_text="0000-03-00", renewal_of_id=shop.price.id
    )
    warned = f"Extra IPv4 address keeps its contracts from renewal {longer.id}: it has no price for 3 months in USD."
    assert warned in said(olga, product)
    olga.post(
        f"/operator/addons/edit/?id={address.id}", ADDON | {"prices": ADDON["prices"] + "\n0000-03-00 USD 6"}
    )
    assert warned not in said(olga, product)
    assert "Extra IPv4 address" in said(olga, "/operator/addons/")
    olga.post(f"/operator/addons/delete/?id={address.id}")
    assert "None: nothing more can be ordered with it." in said(olga, product)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prices", "0000-01-00 USD", "Line 1 has 2 words"),
        ("prices", "0000-01-00 USD 1\n1 month USD", "Line 2"),
        ("prices", "0000-01-00 USD -1", "is no price"),
        ("prices", "0000-01-00 JPY 1.50", "Line 1: JPY has 0 decimals"),
        ("prices", "soon USD 1", "Line 1"),
        ("maximum", "0", "1"),
        ("minimum", "5", "4"),
        ("kind", "gold", "Not a valid choice"),
        ("name", "", "needed"),
    ],
)
def test_a_wrong_one_is_refused_at_its_field(
    db: Database, shop: Shop, olga: Visitor, field: str, value: str, message: str
) -> None:
    form = ADDON | {"product_id": shop.price.product_id, field: value}
    page = olga.post("/operator/addons/new/", form, status=422)
    assert f'id="{field}-error"' in page.get_data(as_text=True)
    assert message in text_of(page)
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Addon)) == 0


def test_there_is_no_form_without_a_product(shop: Shop, olga: Visitor) -> None:
    for wrong in ("", "?product_id=999", "?product_id=x"):
        olga.get(f"/operator/addons/new/{wrong}", status=404)


def test_it_is_chosen_seen_and_ordered_without_javascript(
    db: Database, shop: Shop, people: People, alice: Visitor, olga: Visitor, address: Addon
) -> None:
    assert "With VPS Small, up to 4. 2.00 USD for 1 month each." in said(alice, "/orders/new")
    form = order_form(shop, alice) | {f"addon_{address.id}": "2"}
    shown = alice.post("/orders/new", form | {"show_total": "1"}, status=200)
    assert "To pay now 16.50 USD" in text_of(shown).replace("\N{NO-BREAK SPACE}", " ")
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 0
    where = alice.post("/orders/new", form).location
    page = said(alice, where)
    assert "To pay 16.50 USD" in page
    assert "2 x Extra IPv4 address" in page
    with db.reading() as session:
        order = session.scalars(sa.select(Order)).one()
        assert session.scalars(sa.select(OrderAddon.count)).one() == 2
    assert "2 x Extra IPv4 address (1 IPv4 address each)" in said(
        olga, f"/operator/orders/details/?id={order.id}"
    )


def test_the_contract_shows_it_and_what_the_next_period_costs(
    db: Database, shop: Shop, people: People, alice: Visitor, olga: Visitor, address: Addon
) -> None:
    order = shop.delivered(people.alice, addons={address.id: 2})
    page = said(alice, f"/vps/{shop.vps(order).id}")
    assert "With 2 x Extra IPv4 address" in page
    assert "13.00 USD for 1 month" in page
    contract = said(olga, "/operator/contracts/details/?id=1")
    assert "Add-ons 2 x Extra IPv4 address" in contract
    assert "Next period 13.00 USD for 1 month" in contract


@pytest.mark.parametrize(
    ("count", "message"), [("5", "At most 4"), ("-1", "At most 4"), ("x", "Not a valid integer")]
)
def test_a_count_that_is_not_offered_is_refused_at_its_field(
    db: Database, shop: Shop, alice: Visitor, address: Addon, count: str, message: str
) -> None:
    answer = alice.post("/orders/new", order_form(shop, alice) | {f"addon_{address.id}": count}, status=422)
    assert f'id="addon_{address.id}-error"' in answer.get_data(as_text=True)
    assert message in text_of(answer)


def test_an_add_on_of_a_product_that_was_not_chosen_is_refused_and_not_passed_over(
    db: Database, shop: Shop, alice: Visitor, address: Addon
) -> None:
    other = builders.make_product_with_price(db, name="Other")
    form = order_form(shop, alice, price_id=other.id) | {f"addon_{address.id}": "1"}
    answer = alice.post("/orders/new", form, status=422)
    assert "This goes with VPS Small, which was not chosen" in text_of(answer)
    alice.post("/orders/new", form | {f"addon_{address.id}": "0"})
