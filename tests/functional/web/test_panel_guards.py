"""What holds for every page: CSRF, headers, no inline code, errors in the look of the panel."""

from __future__ import annotations

import logging
import re
import uuid

import pytest
from flask import Flask, request

from domus.db.engine import Database
from domus_web import create_app
from tests.support import panel
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

SAMPLES = {"uuid": str(uuid.uuid4()), "int": "1", "any": "start"}


def _path(rule: str) -> str:
    """Return an address that fits a URL rule."""
    return re.sub(r"<(?:(\w+)(?:\(.*?\))?:)?\w+>", lambda m: SAMPLES.get(m[1] or "", "x"), rule)


def test_every_change_needs_the_form_token(app: Flask, alice: Visitor, olga: Visitor) -> None:
    # Gateways have a signature instead (test_paying.py).
    changing = [
        rule
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or set()) and rule.endpoint != "webhooks.receive"
    ]
    assert len(changing) > 10
    for rule in changing:
        for visitor in (alice, olga):
            answer = visitor.client.post(_path(rule.rule), data={})
            assert answer.status_code == 400, f"{rule.rule} took a POST without a token: {answer.status_code}"


def test_json_needs_the_form_token_too(alice: Visitor) -> None:
    assert alice.client.post("/logout", json={}).status_code == 400


@pytest.mark.parametrize("path", ["/", "/login", "/vps", "/orders/new", "/nothing", "/static/domus.css"])
def test_every_answer_has_the_security_headers(alice: Visitor, shop: Shop, path: str) -> None:
    answer = alice.client.get(path)
    answer.close()
    headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers


def test_pages_of_a_person_stay_in_no_cache(alice: Visitor) -> None:
    assert alice.get("/account").headers["Cache-Control"] == "no-store"


def test_no_page_has_inline_code_or_anything_from_elsewhere(
    people: People, shop: Shop, alice: Visitor
) -> None:
    order = shop.delivered(people.alice)
    vps = shop.vps(order)
    for path in ("/", "/orders/new", f"/orders/{order.id}", f"/vps/{vps.id}", f"/vps/{vps.id}/console"):
        body = alice.get(path).get_data(as_text=True)
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", body), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//', body), path


def test_unknown_pages_are_not_found_in_the_look_of_the_panel(visitor: Visitor) -> None:
    page = visitor.get("/nothing-here", status=404)
    assert "Nothing here" in text_of(page)
    assert "domus.css" in page.get_data(as_text=True)


def test_a_fault_shows_a_number_that_is_in_the_log_and_nothing_else(
    app: Flask, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> str:
        raise RuntimeError("the password is hunter2")

    app.add_url_rule("/broken", "broken", broken)
    with caplog.at_level(logging.ERROR):
        page = visitor.get("/broken", status=500)
    found = re.search(r"incident ([0-9a-f]{12})", text_of(page))
    assert found
    assert found[1] in caplog.text
    assert "hunter2" not in page.get_data(as_text=True)


def test_a_body_that_is_too_large_is_refused(visitor: Visitor) -> None:
    answer = visitor.client.post("/login", data={"email": "x" * 1_000_000})
    assert answer.status_code == 413


def test_health_says_whether_the_database_answers(visitor: Visitor) -> None:
    assert visitor.get("/healthz").get_data(as_text=True) == "ok\n"


def test_health_says_when_the_database_is_gone() -> None:
    app = create_app(panel.settings(), Database("sqlite:////nonexistent/domus.db"))
    Visitor(app).get("/healthz", status=503)


def test_the_address_of_a_visitor_comes_from_as_many_proxies_as_are_trusted(db: Database) -> None:
    for hops, seen in ((0, "127.0.0.1"), (1, "203.0.113.9")):
        app = create_app(panel.settings(trusted_proxies=hops), db)
        with app.test_client() as client:
            client.get("/healthz", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
            assert request.remote_addr == seen


def test_pages_beyond_the_first_are_asked_for_by_number_and_nonsense_is_the_first(alice: Visitor) -> None:
    for page in ("1", "2", "-1", "0", "99999999999", "x", "²"):
        alice.get(f"/vps?page={page}")
