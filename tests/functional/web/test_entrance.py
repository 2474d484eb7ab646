"""Logging in and out, signing up, passwords."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from domus.accounts.models import User
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.workflows import accounts
from domus_web import create_app
from domus_web.auth.sessions import safe_next
from tests.support import panel
from tests.support.panel import Visitor, text_of
from tests.support.people import PASSWORD, People


def test_a_customer_logs_in_and_lands_on_his_vpss(people: People, visitor: Visitor) -> None:
    answer = visitor.post("/login", {"email": people.alice.email, "password": PASSWORD})
    assert answer.location == "/vps"
    assert "Log out" in text_of(visitor.get("/vps"))


def test_an_operator_logs_in_on_the_same_page_and_lands_in_the_operator_panel(
    people: People, visitor: Visitor
) -> None:
    answer = visitor.post("/login", {"email": people.olga.email, "password": PASSWORD})
    assert answer.location == "/operator/"


def test_wrong_passwords_and_unknown_addresses_are_told_the_same(people: People, visitor: Visitor) -> None:
    wrong = visitor.post("/login", {"email": people.alice.email, "password": "wrong"}, status=403)
    unknown = visitor.post("/login", {"email": "nobody@example.org", "password": "wrong"}, status=403)
    message = "The e-mail address or the password is wrong"
    assert message in text_of(wrong)
    assert message in text_of(unknown)
    assert people.alice.email in wrong.get_data(as_text=True), "the address typed is kept"


def test_guessing_is_slowed_down_with_a_time_to_come_back(people: People, visitor: Visitor) -> None:
    for _ in range(50):
        answer = visitor.client.post(
            "/login",
            data={
                "email": people.alice.email,
                "password": "wrong",
                "csrf_token": visitor.csrf_token(),
            },
        )
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_the_session_cookie_holds_a_token_that_scripts_and_other_sites_do_not_get(
    people: People, visitor: Visitor
) -> None:
    answer = visitor.post("/login", {"email": people.alice.email, "password": PASSWORD})
    cookie = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith("domus_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_with_tls_every_cookie_is_secure_and_the_browser_is_told_to_stay_with_tls(
    people: People, db: Database
) -> None:
    client = create_app(panel.settings(secure_cookies=True), db).test_client()
    page = client.get("/login", base_url="https://panel.example.org")
    assert page.headers["Strict-Transport-Security"]
    token = panel._TOKEN.search(page.get_data(as_text=True))
    assert token
    answer = client.post(
        "/login",
        data={"email": people.alice.email, "password": PASSWORD, "csrf_token": token[1]},
        base_url="https://panel.example.org",
        headers={"Referer": "https://panel.example.org/login"},
    )
    cookies = answer.headers.getlist("Set-Cookie")
    assert any(cookie.startswith("domus_session=") for cookie in cookies)
    assert all("Secure" in cookie for cookie in cookies)


def test_each_log_in_makes_a_new_session(people: People, app: Flask) -> None:
    first, second = Visitor(app).log_in(people.alice), Visitor(app).log_in(people.alice)
    planted = "chosen-by-an-attacker"
    third = Visitor(app)
    third.client.set_cookie("domus_session", planted)
    third.client.get("/login")
    third.client.delete_cookie("domus_session")
    third.log_in(people.alice)
    tokens = [v.client.get_cookie("domus_session") for v in (first, second, third)]
    values = {cookie.value for cookie in tokens if cookie}
    assert len(values) == 3
    assert planted not in values


def test_logging_out_ends_the_session_on_the_server(people: People, app: Flask) -> None:
    alice = Visitor(app).log_in(people.alice)
    cookie = alice.client.get_cookie("domus_session")
    assert cookie
    alice.post("/logout")
    thief = Visitor(app)
    thief.client.set_cookie("domus_session", cookie.value)
    assert thief.get("/vps", status=303).location.startswith("/login")


def test_logging_in_again_ends_the_session_that_the_browser_had(people: People, app: Flask) -> None:
    alice = Visitor(app).log_in(people.alice)
    before = alice.client.get_cookie("domus_session")
    assert before
    alice.log_in(people.alice)
    old = Visitor(app)
    old.client.set_cookie("domus_session", before.value)
    old.get("/vps", status=303)


def test_logging_out_cannot_be_done_by_a_link(alice: Visitor) -> None:
    alice.get("/logout", status=405)


def test_who_has_to_log_in_comes_back_to_where_he_was(people: People, visitor: Visitor) -> None:
    where = visitor.get("/orders/new?price=3", status=303).location
    answer = visitor.post(where, {"email": people.alice.email, "password": PASSWORD})
    assert answer.location == "/orders/new?price=3"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "evil.example",
        "",
        None,
    ],
)
def test_next_never_leads_to_another_site(target: str | None) -> None:
    assert safe_next(target, "/vps") == "/vps"


@pytest.mark.parametrize("target", ["/", "/orders/new?price=3", "/vps/1/console"])
def test_next_leads_to_pages_of_this_site(target: str) -> None:
    assert safe_next(target, "/vps") == target


def test_signing_up_opens_an_account_and_logs_in(visitor: Visitor) -> None:
    answer = visitor.post(
        "/sign-up", {"name": "Dora", "email": "dora@example.org", "password": "a long enough one"}
    )
    assert answer.location == "/vps"
    assert "Dora" in text_of(visitor.get("/account"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"email": "not an address"}, "address"),
        ({"password": "short"}, "at least 10"),
        ({"name": ""}, "name"),
        ({"email": "alice@example.org"}, "e-mail"),
    ],
)
def test_what_is_wrong_with_a_sign_up_is_said_and_the_rest_is_kept(
    people: People, visitor: Visitor, fields: dict[str, str], message: str
) -> None:
    good = {"name": "Dora", "email": "dora@example.org", "password": "a long enough one"}
    answer = visitor.post("/sign-up", good | fields, status=422)
    body = answer.get_data(as_text=True)
    assert message in text_of(answer)
    assert 'aria-invalid="true"' in body
    assert (good | fields)["email"] in body
    assert "a long enough one" not in body, "passwords are never sent back"


def test_changing_the_password_ends_the_other_sessions(
    people: People, enter: Callable[[User], Visitor]
) -> None:
    here, elsewhere = enter(people.alice), enter(people.alice)
    new = "another good password"
    here.post("/account/password", {"old": PASSWORD, "new": new, "again": new})
    here.get("/vps")
    elsewhere.get("/vps", status=303)


def test_a_wrong_present_password_is_told_at_its_field(alice: Visitor) -> None:
    fields = {"old": "wrong", "new": "another good password", "again": "another good password"}
    answer = alice.post("/account/password", fields, status=422)
    assert 'id="old-error"' in answer.get_data(as_text=True)


def test_two_different_new_passwords_change_nothing(alice: Visitor) -> None:
    answer = alice.post("/account/password", {"old": PASSWORD, "new": "one", "again": "two"}, status=422)
    assert "The two new passwords differ." in text_of(answer)


def test_who_got_his_password_from_somebody_else_changes_it_first(db: Database, app: Flask) -> None:
    first = "made by the installer"
    user = accounts.create_operator(
        db, email="new@example.com", password=first, must_change=True, now=utc_now()
    )
    visitor = Visitor(app).log_in(user, first)
    assert visitor.get("/", status=302).location == "/account/password"
    visitor.post("/account/password", {"old": first, "new": "entirely my own", "again": "entirely my own"})
    visitor.get("/")
