"""Paying in the panel: the chooser, coming back, events of gateways, saved cards, the balance."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from domus.billing.models import Order, Payment
from domus.core.clock import utc_now
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.models import AttemptState, EventState, GatewayEvent, GatewayRefusal, PaymentAttempt
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways
from domus.workflows import orders
from domus_web import create_app
from tests.support import panel
from tests.support.fake_gateway import FakeGateway, delivery, make_saved_method
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

PRICE = Money(1250, "USD")


@pytest.fixture
def fake() -> FakeGateway:
    """Offer a gateway that can do everything."""
    return FakeGateway()


@pytest.fixture
def app(db: Database, fake: FakeGateway) -> Flask:
    """Offer the panels with the fake gateway and the balance."""
    return create_app(panel.settings(test_gateway=False), db, Gateways(fake, Prepaid()))


@pytest.fixture
def order(shop: Shop, people: People) -> Order:
    """Offer an order that waits for its money."""
    return shop.order(people.alice)


def deliver(visitor: Visitor, subject: str, *, status: int = 200, **options: str | bytes) -> str:
    """Deliver an event as the fake does; return the answer."""
    said = delivery(subject, **options)  # type: ignore[arg-type]
    answer = visitor.client.post("/webhooks/fake", data=said.body, headers=dict(said.headers))
    answer.close()
    assert answer.status_code == status
    return answer.get_data(as_text=True).strip()


def rows(db: Database, model: type) -> list:
    with db.reading() as session:
        return list(session.scalars(sa.select(model)))


def begin(alice: Visitor, order: Order, **fields: str) -> str:
    answer = alice.post(f"/payments/invoice/{order.invoice.id}", {"gateway": "fake", **fields})
    assert answer.location is not None
    return answer.location


def test_the_order_leads_to_the_gateway_and_the_event_makes_the_vps(
    db: Database, shop: Shop, alice: Visitor, visitor: Visitor, order: Order, fake: FakeGateway
) -> None:
    assert f"/payments/invoice/{order.invoice.id}" in alice.get(f"/orders/{order.id}").get_data(as_text=True)
    page = alice.get(f"/payments/invoice/{order.invoice.id}")
    assert "form-action 'self' https://fake.example;" in page.headers["Content-Security-Policy"]
    assert "Pay with the fake" in text_of(page)
    assert begin(alice, order).startswith("https://fake.example/")
    fake.pays(PRICE)
    assert deliver(visitor, "pay-1") == "stored"
    assert [event.state for event in rows(db, GatewayEvent)] == [EventState.DONE]
    assert shop.vps(order).state.value == "provisioning"
    assert deliver(visitor, "pay-1") == "known already"
    assert len(rows(db, Payment)) == 1


def test_who_comes_back_first_sees_it_paid(
    db: Database, shop: Shop, alice: Visitor, charlie: Visitor, order: Order, fake: FakeGateway
) -> None:
    begin(alice, order)
    (attempt,) = rows(db, PaymentAttempt)
    assert "Not confirmed yet" in text_of(alice.get(f"/payments/{attempt.id}"))
    assert "Nothing was charged" in text_of(alice.get(f"/payments/{attempt.id}?given_up=1"))
    fake.pays(PRICE)
    charlie.get(f"/payments/{attempt.id}", status=404)
    assert "12.50 USD have arrived" in text_of(alice.get(f"/payments/{attempt.id}"))
    assert shop.vps(order).state.value == "provisioning"


def test_a_forged_event_is_refused_and_nothing_is_booked(
    db: Database, alice: Visitor, visitor: Visitor, order: Order, fake: FakeGateway
) -> None:
    begin(alice, order)
    fake.pays(PRICE)
    assert deliver(visitor, "pay-1", key=b"guessed", status=400) == "The signature is wrong."
    assert rows(db, GatewayEvent) == rows(db, Payment) == []
    assert [row.count for row in rows(db, GatewayRefusal)] == [1]


@pytest.mark.parametrize("size", [300 * 1024, 10 * 1024 * 1024])
def test_a_body_that_is_too_large_is_not_taken(db: Database, visitor: Visitor, size: int) -> None:
    answer = visitor.client.post("/webhooks/fake", data=b"x" * size)
    assert answer.status_code in (400, 413)
    assert rows(db, GatewayEvent) == []


def test_events_of_gateways_that_are_not_here_are_not_taken(visitor: Visitor) -> None:
    for name in ("stripe", "balance", "nobody"):
        assert visitor.client.post(f"/webhooks/{name}", data=b"{}").status_code == 404


def test_a_silent_gateway_charges_nothing_and_says_so(
    db: Database, alice: Visitor, order: Order, fake: FakeGateway
) -> None:
    fake.down = True
    page = alice.post(f"/payments/invoice/{order.invoice.id}", {"gateway": "fake"}, status=502)
    assert "does not answer at the moment" in text_of(page)
    assert [row.state for row in rows(db, PaymentAttempt)] == [AttemptState.FAILED]


def test_an_event_that_comes_while_the_gateway_is_silent_is_kept(
    db: Database, alice: Visitor, visitor: Visitor, order: Order, fake: FakeGateway
) -> None:
    begin(alice, order)
    fake.pays(PRICE)
    fake.down = True
    assert deliver(visitor, "pay-1") == "stored"
    assert [event.state for event in rows(db, GatewayEvent)] == [EventState.WAITING]


def test_a_saved_card_pays_by_a_button_and_can_be_forgotten(
    db: Database, shop: Shop, people: People, alice: Visitor, order: Order, fake: FakeGateway
) -> None:
    method = make_saved_method(db, order.account_id)
    assert "Visa ending in 4242" in text_of(alice.get(f"/payments/invoice/{order.invoice.id}"))
    alice.post(f"/payments/invoice/{order.invoice.id}/card", {"method_id": method.id})
    assert shop.vps(order).state.value == "provisioning"
    assert "Visa ending in 4242" in text_of(alice.get("/payments"))
    alice.post(f"/payments/methods/{method.id}/remove")
    assert fake.forgotten == [method.method]
    assert "None. Renewals wait" in text_of(alice.get("/payments"))


def test_a_card_that_is_declined_says_why(
    db: Database, shop: Shop, alice: Visitor, order: Order, fake: FakeGateway
) -> None:
    method = make_saved_method(db, order.account_id)
    fake.declines = "Your card has insufficient funds."
    page = alice.post(f"/payments/invoice/{order.invoice.id}/card", {"method_id": method.id}, status=409)
    assert "insufficient funds" in text_of(page)
    assert shop.vps(order).state.value == "reserved"


def test_somebody_elses_card_is_not_charged(
    db: Database, shop: Shop, people: People, alice: Visitor, order: Order, fake: FakeGateway
) -> None:
    assert people.charlie.account_id is not None
    method = make_saved_method(db, people.charlie.account_id)
    alice.post(f"/payments/invoice/{order.invoice.id}/card", {"method_id": method.id}, status=409)
    alice.post(f"/payments/methods/{method.id}/remove", status=404)
    assert fake.charged == {}
    assert fake.forgotten == []


def test_the_balance_is_shown_and_pays_the_next_order_by_itself(
    db: Database,
    shop: Shop,
    people: People,
    alice: Visitor,
    visitor: Visitor,
    order: Order,
    fake: FakeGateway,
) -> None:
    begin(alice, order)
    orders.cancel(db, order_id=order.id, actor=people.as_alice, now=utc_now())
    fake.pays(Money(1300, "USD"))
    deliver(visitor, "pay-1")
    assert "13.00 USD" in text_of(alice.get("/payments"))
    form = alice.get("/orders/new")
    assert "Your balance of 13.00 USD is used first" in text_of(form)
    alice.post(
        "/orders/new",
        {
            "request_token": alice.request_token(), "price_id": shop.price.id, "location_id": shop.location.id,
            "template_id": shop.template.id, "hostname": "www.example.org", "ssh_keys": panel.SSH_KEY,
        },
    )  # fmt: skip
    (second,) = (row for row in rows(db, Order) if row.id != order.id)
    assert second.state.value == "paid"
    assert "0.50 USD" in text_of(alice.get("/payments"))


def test_a_part_in_the_balance_leaves_the_rest_to_pay(
    shop: Shop, people: People, alice: Visitor, visitor: Visitor, order: Order, fake: FakeGateway
) -> None:
    begin(alice, order)
    fake.pays(Money(250, "USD"))
    deliver(visitor, "pay-1")
    said = text_of(alice.get(f"/orders/{order.id}"))
    assert "Your balance is 2.50 USD ; 10.00 USD are left to pay." in said
    assert "Pay from the balance" not in text_of(alice.get(f"/payments/invoice/{order.invoice.id}"))
