"""Accounts, users, the history and the dashboard."""

from datetime import timedelta

import sqlalchemy as sa
from flask import Flask

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.workflows import work
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def test_an_account_shows_its_users_vps_and_orders(olga: Visitor, shop: Shop, people: People) -> None:
    shop.delivered(people.alice, hostname="mine.example.org")
    page = text_of(olga.get(f"/operator/accounts/details/?id={people.acme.id}"))
    for text in ("alice@example.org", "bob@example.org", "mine.example.org", "10.00 USD"):
        assert text in page
    assert "charlie" not in page


def test_accounts_are_found_by_the_beginning_of_name_or_address(olga: Visitor, people: People) -> None:
    for text in ("Acm", "alice@", "ALICE@example", str(people.acme.id)):
        page = text_of(olga.get("/operator/accounts/", query_string={"search": text}))
        assert "alice@example.org" in page, text
        assert "charlie@example.net" not in page, text


def test_a_disabled_user_is_logged_out_at_once(
    app: Flask, olga: Visitor, alice: Visitor, people: People
) -> None:
    alice.get("/account")
    path = f"/operator/users/do/disable/?id={people.alice.id}"
    assert "logged out everywhere" in text_of(olga.get(path))
    alice.get("/account")
    assert "127.0.0.1" in text_of(olga.get(f"/operator/users/details/?id={people.alice.id}"))
    olga.post(path)
    alice.get("/account", status=303)
    olga.post(f"/operator/users/do/enable/?id={people.alice.id}")
    Visitor(app).log_in(people.alice).get("/account")


def test_operators_do_not_lock_themselves_out(olga: Visitor, people: People) -> None:
    page = olga.post(f"/operator/users/do/disable/?id={people.olga.id}", status=409)
    assert "another operator" in text_of(page)
    olga.get("/operator/")


def test_password_hashes_and_tokens_are_on_no_page(olga: Visitor, alice: Visitor, people: People) -> None:
    for path in ("users/", f"users/details/?id={people.alice.id}", f"accounts/details/?id={people.acme.id}"):
        body = olga.get(f"/operator/{path}").get_data(as_text=True)
        assert "argon2" not in body
    assert people.alice.password_hash not in body


def test_the_history_of_one_thing_is_found(olga: Visitor, shop: Shop, people: People) -> None:
    order, other = shop.order(people.alice), shop.order(people.charlie)
    for search in (str(order.id), f"order {order.id}", f"Order {str(order.id).upper()}"):
        body = olga.get("/operator/audit/", query_string={"search": search}).get_data(as_text=True)
        assert str(order.id) in body
        assert str(other.id) not in body


def test_the_dashboard_of_a_new_business_says_what_comes_first(olga: Visitor) -> None:
    page = text_of(olga.get("/operator/"))
    for step in (
        "Add a location",
        "Add a dom0",
        "Add an IP pool",
        "Add an OS template",
        "Add a product with a price",
    ):
        assert step in page


def test_the_dashboard_shows_what_needs_a_hand_first(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    failed = shop.vps(shop.failed(people.alice))
    waiting = shop.order(people.charlie)
    with db.unit_of_work() as session:
        session.execute(sa.update(Dom0).values(failed_runs=2, problem="no answer in 60 s"))
    page = text_of(olga.get("/operator/"))
    hand, waits = page.index("Needs a hand"), page.index("Waiting for payment")
    assert hand < page.index("no answer in 60 s") < page.index(failed.name) < waits
    assert "The mirror did not answer." in page
    assert waits < page.index(f"{waiting.number} Charlie") < page.index("Capacity")
    assert "Nothing needs a hand" not in page


def test_the_dashboard_adds_up_what_is_given_away_in_a_place(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    builders.make_dom0(db, shop.location)
    shop.order(people.alice)
    page = text_of(olga.get("/operator/")).replace("\xa0", " ")
    assert "Nothing needs a hand" in page
    assert "512 MiB of 16 GiB" in page
    assert "1 of 32" in page
    assert "39 free" in page


def test_runs_and_messages_are_shown(olga: Visitor, db: Database, shop: Shop, people: People) -> None:
    shop.paid(people.alice)
    ticket = work.begin_run(db, minion_id=shop.dom0.minion_id, now=utc_now())
    assert ticket is not None
    work.run_failed(
        db, run_id=ticket.run_id, problem="no answer in 60 s", now=utc_now() + timedelta(seconds=60)
    )
    assert "no answer in 60 s" in text_of(olga.get("/operator/runs/"))
    assert "no answer in 60 s" in text_of(olga.get(f"/operator/dom0s/details/?id={shop.dom0.id}"))
    assert "domus/order/paid" in text_of(olga.get("/operator/messages/?state=waiting"))
    assert "Nothing matches" in text_of(olga.get("/operator/messages/?state=done"))
    assert "does not answer" in text_of(olga.get("/operator/dom0s/?trouble=yes"))
