"""Who may see the panel, and what there is no address for."""

import pytest
from flask import Flask

from tests.support.panel import Visitor
from tests.support.shop import Shop

LISTS = (
    "vps", "orders", "jobs", "accounts", "users", "dom0s", "locations", "pools", "addresses", "products", "prices",
    "templates", "invoices", "payments", "ledger", "audit", "messages", "runs",
    "companies", "invoicing", "tax-rates", "credit-notes", "mails", "mail-templates",
    "transfers", "attempts", "gateway-events", "refusals", "refunds", "disputes",
)  # fmt: skip


def _operator_paths(app: Flask, method: str) -> list[str]:
    rules = [r for r in app.url_map.iter_rules() if r.rule.startswith("/operator")]
    return [r.rule.replace("<act>", "refund") for r in rules if method in (r.methods or set())]


def test_there_is_a_list_of_everything(app: Flask) -> None:
    paths = _operator_paths(app, "GET")
    assert {f"/operator/{name}/" for name in LISTS} <= set(paths)


def test_visitors_are_sent_to_log_in_and_come_back(app: Flask, shop: Shop) -> None:
    visitor = Visitor(app)
    for path in _operator_paths(app, "GET"):
        location = visitor.get(path, status=303).headers["Location"]
        assert location.startswith("/login?next=/operator"), path


def test_to_customers_the_panel_does_not_exist(app: Flask, alice: Visitor, shop: Shop) -> None:
    for path in _operator_paths(app, "GET"):
        alice.get(path, status=404)
    for path in _operator_paths(app, "POST"):
        alice.post(path, status=404)


def test_an_operator_sees_what_is_sold_without_buttons_that_would_be_refused(
    app: Flask, olga: Visitor, shop: Shop
) -> None:
    assert "/orders/new" in Visitor(app).get("/").get_data(as_text=True)
    assert "/orders/new" not in olga.get("/").get_data(as_text=True)


def test_every_change_needs_the_form_token(app: Flask, olga: Visitor, shop: Shop) -> None:
    paths = _operator_paths(app, "POST")
    assert len(paths) > 20
    for path in paths:
        answer = olga.client.post(path, data={"id": "1"})
        assert answer.status_code == 400, path


def test_inline_edits_bulk_actions_and_exports_have_no_address(olga: Visitor) -> None:
    for name in LISTS:
        for method in ("ajax/update", "action", "export/csv"):
            olga.get(f"/operator/{name}/{method}/", status=404)
            olga.post(f"/operator/{name}/{method}/", status=404)


def test_what_is_a_record_can_be_neither_made_nor_changed_nor_deleted(olga: Visitor) -> None:
    records = (
        "orders",
        "invoices",
        "credit-notes",
        "mails",
        "payments",
        "ledger",
        "audit",
        "messages",
        "runs",
        "jobs",
        "vps",
        "accounts",
    )
    for name in records:
        for method in ("new", "edit", "delete"):
            olga.get(f"/operator/{name}/{method}/", status=404)
            olga.post(f"/operator/{name}/{method}/", status=404)


@pytest.mark.parametrize("name", LISTS)
def test_what_is_not_there_is_not_found(olga: Visitor, name: str) -> None:
    for key in ("", "0", "999999", "x", "-1", "99999999999999999999999", "\x00", "6f1b2c3d"):
        olga.get(f"/operator/{name}/details/", query_string={"id": key}, status=404)


def test_the_panel_keeps_the_strict_policy_and_has_no_inline_code(olga: Visitor, shop: Shop) -> None:
    for path in (
        "/operator/",
        "/operator/products/new/",
        "/operator/dom0s/",
        "/operator/pools/details/?id=1",
    ):
        page = olga.get(path)
        assert "script-src 'self';" in page.headers["Content-Security-Policy"]
        body = page.get_data(as_text=True)
        assert "style=" not in body
        assert "onclick" not in body
        assert "<script>" not in body
