"""Cancelling in the customer's panel: both ways are explained, now asks for the host name, and it can be taken back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from domus.billing.models import Order, Subscription
from domus.vps.models import VpsState
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


@pytest.fixture
def order(shop: Shop, people: People) -> Order:
    return shop.delivered(people.alice)


def contract(shop: Shop, order: Order) -> Subscription:
    with shop.db.reading() as session:
        return session.scalars(sa.select(Subscription).where(Subscription.order_id == order.id)).one()


def page_of(shop: Shop, order: Order) -> str:
    return f"/vps/{shop.vps(order).id}"


def test_the_end_of_what_is_paid_can_be_chosen_and_taken_back(
    shop: Shop, order: Order, alice: Visitor
) -> None:
    page = page_of(shop, order)
    words = text_of(alice.get(f"{page}/cancel"))
    assert "Nothing is given back for the unused days" in words
    assert "kept for 7 days" in words
    alice.post(f"{page}/cancel", {"when": "end", "reason": "too slow"})
    stands = contract(shop, order)
    assert (stands.cancel_on, stands.cancel_reason) == (stands.paid_until, "too slow")
    words = text_of(alice.get(page))
    assert "Keep it after all" in words
    assert "Renew now" not in words
    assert "Change size or period" not in words
    alice.post(f"{page}/keep")
    assert contract(shop, order).cancel_on is None


def test_now_asks_for_the_host_name(shop: Shop, order: Order, alice: Visitor) -> None:
    page = page_of(shop, order)
    fields = {"when": "now", "reason": "done"}
    assert "Type www.example.org" in text_of(alice.post(f"{page}/cancel", fields, status=422))
    assert shop.vps(order).state is VpsState.ACTIVE
    alice.post(f"{page}/cancel", {**fields, "typed": "www.example.org"})
    assert shop.vps(order).state is VpsState.REMOVING


def test_without_a_reason_nothing_happens(shop: Shop, order: Order, alice: Visitor) -> None:
    alice.post(f"{page_of(shop, order)}/cancel", {"when": "end", "reason": ""}, status=422)
    assert contract(shop, order).cancel_on is None


def test_strangers_find_nothing(shop: Shop, order: Order, charlie: Visitor) -> None:
    page = page_of(shop, order)
    charlie.get(f"{page}/cancel", status=404)
    charlie.post(f"{page}/cancel", {"when": "end", "reason": "mine"}, status=404)
    charlie.post(f"{page}/keep", status=404)
    assert contract(shop, order).cancel_on is None


def test_an_operator_does_the_same_and_decides_what_is_given_back(
    shop: Shop, order: Order, olga: Visitor
) -> None:
    key = contract(shop, order).id
    assert "unused days are worth" in text_of(olga.get(f"/operator/contracts/do/cancel-now/?id={key}"))
    olga.post(f"/operator/contracts/do/cancel/?id={key}", {"reason": "asked by phone"})
    assert "cancelled, ends on" in text_of(olga.get("/operator/contracts/?standing=cancelled"))
    olga.post(f"/operator/contracts/do/keep/?id={key}", {"reason": "asked again"})
    assert contract(shop, order).cancel_on is None
    act = f"/operator/contracts/do/cancel-now/?id={key}"
    olga.post(act, {"reason": "abuse", "typed": "wrong"}, status=422)
    olga.post(act, {"reason": "abuse", "typed": shop.vps(order).name, "credit": "y"})
    assert contract(shop, order).ended_on is not None
    with shop.db.reading() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM credit_note")) == 1


def test_with_another_owner_the_pages_change_hands(
    shop: Shop, order: Order, alice: Visitor, charlie: Visitor, olga: Visitor
) -> None:
    page, key = page_of(shop, order), contract(shop, order).id
    act = f"/operator/contracts/do/hand-over/?id={key}"
    assert "whoever knows them still gets in" in text_of(olga.get(act))
    fields = {"email": "charlie@example.net", "reason": "sold"}
    olga.post(act, {**fields, "typed": "wrong"}, status=422)
    olga.post(act, {**fields, "typed": shop.vps(order).name, "email": "nobody@example.org"}, status=422)
    olga.post(act, {**fields, "typed": shop.vps(order).name})
    for address in (
        page,
        f"{page}/state",
        f"{page}/console",
        f"{page}/reboot",
        f"{page}/cancel",
        f"{page}/change",
    ):
        alice.get(address, status=404)
        charlie.get(address)
    assert "belongs to another account by now" in text_of(alice.get(f"/orders/{order.id}", status=404))
    charlie.get(f"/orders/{order.id}", status=404)
    alice.get(f"/invoices/{order.invoice.id}")
    charlie.get(f"/invoices/{order.invoice.id}", status=404)
    assert "Got another owner" in text_of(charlie.get(page))
