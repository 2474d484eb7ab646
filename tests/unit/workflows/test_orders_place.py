"""Placing an order: what is refused and how, and that one form is one order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import bcrypt
import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Invoice, InvoiceState, NumberSeries, Order, OrderState
from domus.core.errors import InvalidInput, NoCapacity, NotFound
from domus.db.engine import Database
from domus.inventory.models import IpAddress
from domus.provisioning.models import OutboxMessage
from domus.vps.models import Reservation, Vps, VpsState
from domus.workflows import orders
from tests.support.builders import NOW, make_price, make_product, make_product_with_price, make_template
from tests.support.order_shop import HOLD, Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def rows(db: Database, model: type) -> int:
    with db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model))


def assert_nothing_is_left(db: Database) -> None:
    for model in (Order, Vps, Reservation, Invoice, NumberSeries, OutboxMessage):
        assert rows(db, model) == 0, model
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).where(IpAddress.vps_id.is_not(None))) == 0


def test_an_order_holds_its_place_and_asks_for_the_money(shop):
    order = shop.order()
    assert (order.number, order.state, order.hold_until) == (1, OrderState.PLACED, NOW + HOLD)
    assert (order.invoice.state, order.invoice.number) == (InvoiceState.OPEN, None)
    assert str(order.invoice.gross) == "10.00 USD"
    vps = shop.vps_of(order)
    assert (vps.state, vps.revision, vps.hostname) == (VpsState.RESERVED, 0, "www.example.org")
    assert rows(shop.db, OutboxMessage) == 0


def test_orders_are_numbered_one_after_the_other(shop):
    assert [shop.order().number for _ in range(3)] == [1, 2, 3]


def test_the_same_form_sent_twice_is_one_order(shop):
    first = shop.order(request_token="form-1")
    again = shop.order(request_token="form-1", hostname="other.example.org", now=NOW + timedelta(hours=1))
    assert again.id == first.id
    assert rows(shop.db, Vps) == rows(shop.db, Order) == 1


def test_the_same_token_of_another_account_is_another_order(shop):
    shop.order(request_token="form-1")
    charlie = shop.people.charlie.account_id
    shop.order(request_token="form-1", account_id=charlie, actor=shop.people.as_charlie)
    assert rows(shop.db, Order) == 2


def test_the_same_form_sent_twenty_times_at_once_is_one_order(any_db):
    """With one place left, those who come second must get the order and not be told that it is full."""
    shop = make_shop(any_db, memory_capacity_mib=512)
    gate = threading.Barrier(20)

    def send(_: int) -> str:
        gate.wait()
        return str(shop.order(request_token="form-1").id)

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(send, range(20)))
    assert len(ids) == 1
    assert rows(any_db, Vps) == rows(any_db, Invoice) == 1


def test_a_stranger_cannot_order_for_an_account(shop):
    with pytest.raises(NotFound):
        shop.order(actor=shop.people.as_charlie)
    assert_nothing_is_left(shop.db)


def test_a_refused_order_leaves_nothing(db):
    shop = make_shop(db, memory_capacity_mib=256)
    with pytest.raises(NoCapacity):
        shop.order()
    assert_nothing_is_left(db)


def test_the_root_password_is_kept_as_a_hash_only(shop):
    vps = shop.vps_of(shop.order(root_password="correct horse", ssh_keys=""))
    assert bcrypt.checkpw(b"correct horse", vps.root_password_hash.encode())
    assert vps.ssh_keys == []


def test_the_request_does_not_show_its_password(shop):
    assert "horse" not in repr(shop.request(root_password="correct horse"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hostname": "-bad-"}, "hostname"),
        ({"hostname": "{{ 7*7 }}"}, "hostname"),
        ({"hostname": "$(id)"}, "hostname"),
        ({"ssh_keys": ""}, "ssh_keys"),
        ({"ssh_keys": "not a key"}, "ssh_keys"),
        ({"root_password": "short"}, "root_password"),
        ({"root_password": "line\nbreak in it"}, "root_password"),
        ({"root_password": "ü" * 37}, "root_password"),
        ({"account_id": 999}, "account_id"),
        ({"price_id": 999}, "price_id"),
        ({"location_id": 999}, "location_id"),
        ({"template_id": 999}, "template_id"),
        ({"request_token": ""}, "request_token"),
        ({"request_token": "x" * 65}, "request_token"),
    ],
)
def test_a_faulty_field_is_named_and_nothing_is_left(shop, changes, field):
    with pytest.raises(InvalidInput) as caught:
        shop.order(actor=shop.people.as_olga, **changes)
    assert caught.value.field == field
    assert_nothing_is_left(shop.db)


@pytest.mark.parametrize(
    ("product", "price"),
    [({"active": False}, {}), ({}, {"active": False}), ({"private": True}, {})],
)
def test_what_is_not_for_sale_cannot_be_ordered(shop, product, price):
    hidden = make_product_with_price(shop.db, price=price, **product)
    with pytest.raises(InvalidInput) as caught:
        shop.order(price_id=hidden.id)
    assert caught.value.field == "price_id"


def test_a_renewal_price_cannot_be_ordered(shop):
    renewal = make_price(shop.db, make_product(shop.db), renewal_of_id=shop.price.id)
    with pytest.raises(InvalidInput):
        shop.order(price_id=renewal.id)


def test_an_operator_can_order_a_private_product_for_a_customer(shop):
    private = make_product_with_price(shop.db, private=True)
    assert shop.order(price_id=private.id, actor=shop.people.as_olga).account_id == shop.people.acme.id


@pytest.mark.parametrize("columns", [{"active": False}, {"min_disk_mib": 20_480}, {"min_memory_mib": 1024}])
def test_an_operating_system_that_does_not_fit_is_refused(shop, columns):
    template = make_template(shop.db, **columns)
    with pytest.raises(InvalidInput) as caught:
        shop.order(template_id=template.id)
    assert caught.value.field == "template_id"


def test_strangers_do_not_see_an_order(shop):
    order = shop.order()
    assert orders.get(shop.db, order_id=order.id, actor=shop.people.as_bob).id == order.id
    with pytest.raises(NotFound):
        orders.get(shop.db, order_id=order.id, actor=shop.people.as_charlie)


def test_placing_is_recorded_with_who_did_it(shop):
    order = shop.order()
    with shop.db.reading() as session:
        event = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "order.placed")).one()
    assert (event.object_id, event.actor) == (str(order.id), shop.people.as_alice.name)
