"""The order page says when there is enough to pay already, and keeps what was filled in."""

from __future__ import annotations

import pytest
from flask import Flask

from domus.db.engine import Database
from domus_web import create_app
from tests.support import panel
from tests.support.panel import SSH_KEY, Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


@pytest.fixture
def app(db: Database) -> Flask:
    return create_app(panel.settings(max_unpaid_orders=1), db)


def test_the_order_past_the_limit_is_refused_beside_the_form(
    shop: Shop, people: People, alice: Visitor
) -> None:
    shop.order(people.alice)
    page = alice.post(
        "/orders/new",
        {
            "request_token": alice.request_token(), "price_id": shop.price.id, "location_id": shop.location.id,
            "template_id": shop.template.id, "hostname": "second.example.org", "ssh_keys": SSH_KEY,
        },
        status=409,
    )  # fmt: skip
    assert "may have (1)" in text_of(page)
    assert "second.example.org" in page.get_data(as_text=True)
