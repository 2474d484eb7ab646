"""From the public page over the order form to the page to pay on."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from domus.billing.models import Order
from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.vps.models import Vps
from domus_web import create_app
from tests.support import builders, panel
from tests.support.panel import SSH_KEY, Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def _form(shop: Shop, visitor: Visitor, **changes: Any) -> dict[str, Any]:
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


def _orders(db: Database) -> int:
    with db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Order)) or 0


def _fill_up(db: Database, shop: Shop) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Dom0).where(Dom0.id == shop.dom0.id).values(memory_capacity_mib=100))


def test_the_public_page_shows_what_things_cost_and_where_there_is_room(shop: Shop, visitor: Visitor) -> None:
    said = text_of(visitor.get("/"))
    for fact in (
        "VPS Small",
        "512 MiB",
        "10 GiB",
        "100 GiB a month",
        "10.00 USD for 1 month",
        "plus 2.50 USD set-up",
        "renews at 9.00 USD for 1 month",
        "Paris Available",
    ):
        assert fact in said.replace("\N{NO-BREAK SPACE}", " "), fact


def test_a_full_location_is_called_full_and_is_not_offered(
    db: Database, shop: Shop, visitor: Visitor
) -> None:
    _fill_up(db, shop)
    page = visitor.get("/")
    assert "Paris Full" in text_of(page)
    assert "/orders/new" not in page.get_data(as_text=True)


def test_without_products_the_public_page_says_so(visitor: Visitor) -> None:
    assert "Nothing is on sale yet" in text_of(visitor.get("/"))


def test_private_products_are_not_shown(db: Database, shop: Shop, visitor: Visitor) -> None:
    builders.make_product_with_price(db, name="For a friend", private=True)
    assert "For a friend" not in text_of(visitor.get("/"))


def test_without_a_catalogue_nothing_can_be_ordered_and_the_page_says_so(alice: Visitor) -> None:
    assert "Nothing can be ordered yet" in text_of(alice.get("/orders/new"))


def test_an_order_leads_to_its_page_to_pay_on(shop: Shop, alice: Visitor) -> None:
    where = alice.post("/orders/new", _form(shop, alice)).location
    said = text_of(alice.get(where)).replace("\N{NO-BREAK SPACE}", " ")
    for fact in (
        "Waiting for payment",
        "To pay 12.50 USD",
        "www.example.org",
        "Paris",
        "Debian 12",
        "192.0.2.",
        "Pay with the test gateway",
        "are yours until",
    ):
        assert fact in said, fact


def test_the_same_form_sent_twice_is_one_order(db: Database, shop: Shop, alice: Visitor) -> None:
    form = _form(shop, alice)
    first, second = alice.post("/orders/new", form), alice.post("/orders/new", form)
    assert first.location == second.location
    assert _orders(db) == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hostname", "-bad-.example.org", "is not a host name"),
        ("hostname", "", "Enter a host name"),
        ("hostname", '"><script>alert(1)</script>', "is not a host name"),
        ("hostname", "{{ 7*7 }}", "is not a host name"),
        ("ssh_keys", "ssh-rsa nonsense", "damaged"),
        ("ssh_keys", "-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("ssh_keys", "", "key or a root password"),
        ("root_password", "short", "at least 10"),
        ("price_id", "999", "not offered any more"),
        ("price_id", "", "Choose a product"),
        ("location_id", "999", "not offered any more"),
        ("template_id", "x", "not offered any more"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(
    db: Database, shop: Shop, alice: Visitor, field: str, value: str, message: str
) -> None:
    form = _form(shop, alice) | {field: value}
    form["root_password_again"] = form["root_password"]
    answer = alice.post("/orders/new", form, status=422)
    body = answer.get_data(as_text=True)
    assert message in text_of(answer)
    assert f'id="{field}-error"' in body
    assert "<script>alert" not in body
    if field != "hostname":
        assert 'value="www.example.org"' in body
    if field != "ssh_keys":
        assert SSH_KEY in body
    assert form["request_token"] in body, "the form stays the same form"
    assert _orders(db) == 0


def test_two_different_root_passwords_are_refused(shop: Shop, alice: Visitor) -> None:
    form = _form(shop, alice, root_password="a good password", root_password_again="another password")
    answer = alice.post("/orders/new", form, status=422)
    assert "The two root passwords differ." in text_of(answer)
    assert "a good password" not in answer.get_data(as_text=True)


def test_a_system_that_does_not_fit_the_product_is_refused_at_its_field(
    db: Database, shop: Shop, alice: Visitor
) -> None:
    big = builders.make_template(db, title="Large system", min_memory_mib=4096)
    answer = alice.post("/orders/new", _form(shop, alice, template_id=big.id), status=422)
    assert 'id="template_id-error"' in answer.get_data(as_text=True)


def test_where_nothing_is_free_the_buyer_is_told_and_nothing_is_held(
    db: Database, shop: Shop, alice: Visitor
) -> None:
    form = _form(shop, alice)
    _fill_up(db, shop)
    answer = alice.post("/orders/new", form, status=409)
    assert "Nothing was reserved and nothing is charged." in text_of(answer)
    assert "www.example.org" in answer.get_data(as_text=True)
    assert _orders(db) == 0


def test_fields_that_the_form_does_not_have_change_nothing(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    smuggled = {
        "account_id": people.charlie.account_id, "amount_minor": 1, "state": "paid", "dom0_id": 99,
        "memory_mib": 65536, "hold_until": "2099-01-01",
    }  # fmt: skip
    alice.post("/orders/new", _form(shop, alice, **smuggled))
    with db.reading() as session:
        order = session.scalars(sa.select(Order)).one()
        vps = session.scalars(sa.select(Vps)).one()
        assert order.account_id == people.alice.account_id
        assert order.state.value == "placed"
        assert order.invoice.gross_minor == 1250
        assert (vps.dom0_id, vps.memory_mib) == (shop.dom0.id, 512)


def test_an_order_for_a_private_price_is_refused(db: Database, shop: Shop, alice: Visitor) -> None:
    private = builders.make_product_with_price(db, private=True)
    alice.post("/orders/new", _form(shop, alice, price_id=private.id), status=422)
    assert _orders(db) == 0


def test_paying_by_the_test_gateway_twice_pays_once(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.order(people.alice)
    for _ in range(2):
        alice.post(f"/orders/{order.id}/pay")
    said = text_of(alice.get(f"/orders/{order.id}"))
    assert "Waiting for the server" in said
    invoice = text_of(alice.get(f"/invoices/{order.invoice.id}"))
    assert invoice.count("by the test gateway") == 1


def test_without_the_test_gateway_play_money_buys_nothing(db: Database, shop: Shop, people: People) -> None:
    order = shop.order(people.alice)
    alice = Visitor(create_app(panel.settings(test_gateway=False), db)).log_in(people.alice)
    said = text_of(alice.get(f"/orders/{order.id}"))
    assert "test gateway" not in said
    assert "The operator marks it as paid" in said
    alice.post(f"/orders/{order.id}/pay", status=404)
    assert shop.vps(order).state.value == "reserved"


def test_an_unpaid_order_is_cancelled_after_a_question(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.order(people.alice)
    question = text_of(alice.get(f"/orders/{order.id}/cancel"))
    assert f"Cancel order {order}?" in question
    assert shop.vps(order).state.value == "reserved", "asking changes nothing"
    alice.post(f"/orders/{order.id}/cancel")
    assert "Nothing was charged" in text_of(alice.get("/orders"))
    assert "Cancelled" in text_of(alice.get(f"/orders/{order.id}"))


def test_a_paid_order_cannot_be_cancelled(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.paid(people.alice)
    assert alice.get(f"/orders/{order.id}/cancel", status=302).location == f"/orders/{order.id}"
    alice.post(f"/orders/{order.id}/cancel", status=409)


def test_colleagues_of_one_account_see_the_same_orders(app: Flask, shop: Shop, people: People) -> None:
    order = shop.order(people.alice)
    Visitor(app).log_in(people.bob).get(f"/orders/{order.id}")
