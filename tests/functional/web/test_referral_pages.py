"""Bringing others: the link, the cookie, and what one sees of it."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from flask import Flask

from domus.accounts.models import Account
from domus.commissions.models import Referral
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.workflows import commissions
from domus.workflows.commissions import Policy, RateFields
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

SIGN_UP = {
    "name": "Dora", "email": "dora@example.org", "country": "DE", "password": "a long enough password",
    "password_again": "a long enough password",
}  # fmt: skip


def link_of(visitor: Visitor) -> str:
    """Make the visitor's link; return its path."""
    visitor.post("/account/referrals")
    body = visitor.get("/account/referrals").get_data(as_text=True)
    return "/r/" + body.split('id="link">')[1].split("<")[0].split("/r/")[1]


def came(db: Database) -> list[tuple[str, int]]:
    with db.reading() as session:
        query = sa.select(Account.email, Referral.referrer_id)
        return [
            tuple(row) for row in session.execute(query.join(Referral, Referral.account_id == Account.id))
        ]


def test_who_signs_up_after_a_link_is_counted_and_not_named(
    db: Database, people: People, alice: Visitor, visitor: Visitor
) -> None:
    link = link_of(alice)
    answer = visitor.get(link, status=302)
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "Max-Age=2592000" in answer.headers["Set-Cookie"]
    visitor.post("/sign-up", SIGN_UP)
    assert came(db) == [("dora@example.org", people.alice.account_id)]
    page = text_of(alice.get("/account/referrals"))
    assert "Signed up 1" in page
    assert "dora" not in page.lower()
    assert visitor.client.get_cookie("domus_referral") is None


def test_the_first_link_counts(
    db: Database, people: People, alice: Visitor, charlie: Visitor, visitor: Visitor
) -> None:
    first, second = link_of(charlie), link_of(alice)
    visitor.get(first, status=302)
    visitor.get(second, status=302)
    visitor.post("/sign-up", SIGN_UP)
    assert came(db) == [("dora@example.org", people.charlie.account_id)]


def test_a_link_of_nobodys_and_a_forged_cookie_change_nothing(db: Database, visitor: Visitor) -> None:
    assert "Set-Cookie" not in visitor.get("/r/nobody-has-this", status=302).headers
    visitor.client.set_cookie("domus_referral", "../../etc/passwd")
    visitor.post("/sign-up", SIGN_UP)
    assert came(db) == []


def test_customers_who_are_logged_in_are_brought_by_nobody(alice: Visitor, charlie: Visitor) -> None:
    assert "domus_referral" not in charlie.get(link_of(alice), status=302).headers.get("Set-Cookie", "")


def test_the_page_shows_what_was_earned(
    app: Flask, db: Database, shop: Shop, people: People, alice: Visitor, visitor: Visitor, olga: Visitor
) -> None:
    _set_rate(db, shop, people)
    visitor.get(link_of(alice), status=302)
    visitor.post("/sign-up", SIGN_UP)
    with db.reading() as session:
        dora = session.scalars(sa.select(Account).where(Account.email == "dora@example.org")).one()
        user = dora.users[0]
    order = shop.paid(user)
    now = utc_now()
    commissions.run(db, policy=Policy(refund_time=timedelta(0), credits=False), now=now)
    page = text_of(alice.get("/account/referrals")).replace("\N{NO-BREAK SPACE}", " ")
    assert "Pending 0.00 USD Payable 1.25 USD Paid to you 0.00 USD" in page
    listed = text_of(olga.get("/operator/commissions/")).replace("\N{NO-BREAK SPACE}", " ")
    assert f"pending Acme 1.25 USD 1.25 USD {order.invoice}" in listed
    where = olga.post("/operator/commissions/do/pay-out/?id=1", {"reference": "SEPA 42"}).location
    said = text_of(olga.get(where))
    assert "noted as paid out" in said
    assert "SEPA 42" in said
    olga.post("/operator/commissions/do/credit/?id=1", status=409)
    assert "Paid to you 1.25 USD" in text_of(alice.get("/account/referrals")).replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_operators_set_what_a_product_earns(db: Database, shop: Shop, olga: Visitor) -> None:
    form = {
        "product_id": shop.price.product.name,
        "currency": "USD",
        "percent": "12.5",
        "fixed": "1.50",
        "on_renewals": "y",
    }
    where = olga.post("/operator/commission-rates/new/", form).headers["Location"]
    assert "12.5 % and 1.50 USD" in text_of(olga.get(where))
    again = olga.post("/operator/commission-rates/new/", form, status=422)
    assert "edit that one" in text_of(again)
    edit = where.replace("details", "edit")
    body = olga.get(edit).get_data(as_text=True)
    assert 'value="12.5"' in body
    assert 'value="1.50"' in body
    nothing = olga.post(edit, {"currency": "USD", "percent": "", "fixed": "0"}, status=422)
    assert "enter one" in text_of(nothing)
    olga.post(where.replace("details", "delete"))
    assert "No product earns anything" in text_of(olga.get("/operator/commission-rates/"))


def _set_rate(db: Database, shop: Shop, people: People) -> None:
    commissions.save_rate(
        db, rate_id=None, fields=RateFields(product_id=shop.price.product_id, currency="USD", millipercent=10_000),
        actor=people.as_olga, now=utc_now() - timedelta(days=1),
    )  # fmt: skip
