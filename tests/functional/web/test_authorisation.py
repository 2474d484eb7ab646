"""Every route, tried by everybody: a route that is not in the tables here fails the test."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.routing import Rule

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.workflows.contracts import changing
from tests.support.builders import make_product_with_price
from tests.support.fake_gateway import make_attempt, make_saved_method
from tests.support.panel import Visitor
from tests.support.people import People
from tests.support.shop import Shop

#: Open to everybody.
PUBLIC = {
    "static",
    "healthz",
    "public.home",
    "auth.log_in",
    "auth.sign_up",
    "auth.log_out",
    "webhooks.receive",
    "resets.ask",
    "resets.choose",
    "referrals.arrive",
}
#: Open to whoever is logged in.
ANYBODY = {"auth.change_password"}
#: Pages of customers that name no object.
CUSTOMER = {
    "vps.index",
    "orders.index",
    "orders.new",
    "invoices.index",
    "payments.index",
    "payments.save",
    "account.show",
    "account.billing",
    "referrals.show",
    "referrals.make",
}
#: Pages of one object of one account, by the argument that names it.
OBJECT = {
    "orders.show": "order_id",
    "orders.pay": "order_id",
    "orders.cancel": "order_id",
    "progress.fragment": "order_id",
    "progress.retry": "order_id",
    "progress.refund": "order_id",
    "vps.show": "vps_id",
    "vps.fragment": "vps_id",
    "vps.change_power": "vps_id",
    "vps.renew": "vps_id",
    "changes.index": "vps_id",
    "changes.agree": "vps_id",
    "changes.show": "change_id",
    "changes.withdraw": "change_id",
    "cancellations.cancel": "vps_id",
    "cancellations.keep": "vps_id",
    "console.show": "vps_id",
    "console.fragment": "vps_id",
    "console.ask": "vps_id",
    "invoices.show": "invoice_id",
    "payments.choose": "invoice_id",
    "payments.charge": "invoice_id",
    "payments.show": "attempt_id",
    "payments.remove": "method_id",
    "invoices.pdf": "invoice_id",
    "invoices.credit_note_pdf": "note_id",
}
#: The operator panel hangs all of its views below this.
OPERATOR_PREFIX = "/operator/"


@dataclass(frozen=True)
class Cast:
    """Four browsers and one of each object of Alice's."""

    anonymous: Visitor
    alice: Visitor
    charlie: Visitor
    olga: Visitor
    objects: Mapping[str, str]


@pytest.fixture
def cast(
    people: People, shop: Shop, visitor: Visitor, alice: Visitor, charlie: Visitor, olga: Visitor
) -> Cast:
    """Offer everybody, and a delivered VPS that is Alice's."""
    order = shop.delivered(people.alice)
    attempt, method = make_attempt(shop.db, order.invoice), make_saved_method(shop.db, order.account_id)
    product = shop.price.product
    price = {"amount_minor": 9900, "currency": shop.price.currency, "period_text": shop.price.period_text}
    large = make_product_with_price(
        shop.db, price=price, memory_mib=product.memory_mib, disk_mib=product.disk_mib
    )
    change = changing.agree(
        shop.db, vps_id=shop.vps(order).id, price_id=large.id, shown=None, hold=timedelta(hours=1),
        actor=Actor.of(people.alice), now=utc_now(),
    )  # fmt: skip
    objects = {
        "price_id": str(large.id),
        "change_id": str(change.id),
        "order_id": str(order.id),
        "vps_id": str(shop.vps(order).id),
        "invoice_id": str(order.invoice.id),
        "note_id": str(shop.credit_note(people.alice).id),
        "attempt_id": str(attempt.id),
        "method_id": str(method.id),
        "action": "start",
    }
    return Cast(visitor, alice, charlie, olga, objects)


def _routes(app: Flask) -> list[tuple[Rule, str]]:
    return [
        (rule, method)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def _path(rule: Rule, objects: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1].rpartition(":")[2]
        return objects.get(name, "1")

    return re.sub(r"<([^>]+)>", value, rule.rule)


def _status(visitor: Visitor, method: str, path: str) -> tuple[int, str]:
    if method == "GET":
        answer = visitor.client.get(path)
    else:
        answer = visitor.client.open(path, method=method, data={"csrf_token": visitor.csrf_token()})
    answer.close()
    return answer.status_code, answer.location or ""


def test_every_route_is_in_one_table(app: Flask) -> None:
    for rule, _ in _routes(app):
        tables = [
            rule.endpoint in PUBLIC,
            rule.endpoint in ANYBODY,
            rule.endpoint in CUSTOMER,
            rule.endpoint in OBJECT,
            rule.rule.startswith(OPERATOR_PREFIX),
        ]
        assert sum(tables) == 1, f"who may use {rule.rule} ({rule.endpoint})? Put it into one table."
    known = {rule.endpoint for rule, _ in _routes(app)}
    assert known >= PUBLIC | ANYBODY | CUSTOMER | set(OBJECT), "a table names a route that is gone"


def test_visitors_are_sent_to_log_in_from_all_but_the_public_pages(app: Flask, cast: Cast) -> None:
    for rule, method in _routes(app):
        if rule.endpoint not in PUBLIC:
            status, location = _status(cast.anonymous, method, _path(rule, cast.objects))
            assert (status, location[:6]) == (303, "/login"), f"{method} {rule.rule}"


def test_strangers_learn_not_even_that_an_object_exists(app: Flask, cast: Cast) -> None:
    nothing = {
        "order_id": str(uuid.uuid4()),
        "vps_id": str(uuid.uuid4()),
        "invoice_id": "987654",
        "note_id": "987654",
        "attempt_id": str(uuid.uuid4()),
        "method_id": "987654",
        "change_id": "987654",
        "action": "start",
    }
    for rule, method in _routes(app):
        if rule.endpoint in OBJECT:
            assert _status(cast.charlie, method, _path(rule, cast.objects))[0] == 404, f"{method} {rule.rule}"
            assert _status(cast.alice, method, _path(rule, nothing))[0] == 404, f"{method} {rule.rule}"


def test_owners_reach_their_objects(app: Flask, cast: Cast) -> None:
    for rule, method in _routes(app):
        if rule.endpoint in OBJECT or rule.endpoint in CUSTOMER:
            status = _status(cast.alice, method, _path(rule, cast.objects))[0]
            # A delivered order can neither be cancelled nor retried, and an empty form is refused: but not hidden.
            assert status in (200, 204, 302, 303, 409, 422), f"{method} {rule.rule}: {status}"


def test_to_customers_the_operator_panel_does_not_exist(app: Flask, cast: Cast) -> None:
    operator = [(r, m) for r, m in _routes(app) if r.rule.startswith(OPERATOR_PREFIX)]
    assert operator
    for rule, method in operator:
        for customer in (cast.alice, cast.charlie):
            status = _status(customer, method, _path(rule, cast.objects))[0]
            assert status == 404, f"{method} {rule.rule}: {status}"


def test_operators_have_no_customer_pages(app: Flask, cast: Cast) -> None:
    for rule, method in _routes(app):
        if rule.endpoint in OBJECT or rule.endpoint in CUSTOMER:
            assert _status(cast.olga, method, _path(rule, cast.objects))[0] == 403, f"{method} {rule.rule}"


def test_operators_reach_the_operator_panel(cast: Cast) -> None:
    assert _status(cast.olga, "GET", OPERATOR_PREFIX)[0] == 200


def test_a_stranger_changed_nothing(app: Flask, cast: Cast, shop: Shop, people: People) -> None:
    order = shop.order(people.alice, hostname="other.example.org")
    objects = {"order_id": str(order.id), "vps_id": str(shop.vps(order).id), "action": "power-off"}
    for rule, method in _routes(app):
        if method == "POST" and rule.endpoint in OBJECT and "invoice" not in rule.endpoint:
            _status(cast.charlie, method, _path(rule, objects))
    assert shop.vps(order).state.value == "reserved"
    assert shop.vps(order).revision == 0
