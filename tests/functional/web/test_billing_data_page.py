"""The customer's billing data, and the tax that follows from it."""

from typing import Any

import sqlalchemy as sa

from domus.accounts.models import Account
from domus.db.engine import Database
from domus.tax.models import Company
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

FORM = {
    "name": "Alice <b>& Söhne</b>", "company": "", "address": "Weg 1\n12345 Ort", "country": "FR", "vat_number": "",
    "language": "de", "billing": "books@example.org", "technical": "", "abuse": "",
}  # fmt: skip


def _set_company(db: Database, **columns: Any) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Company).values(**columns))


def test_what_is_saved_is_shown(alice: Visitor, people: People) -> None:
    alice.post("/account/billing", FORM)
    page = text_of(alice.get("/account"))
    assert "Alice <b>& Söhne</b>" in page
    assert "France" in page
    assert "books@example.org (billing)" in page


def test_a_wrong_number_is_shown_at_its_field(alice: Visitor, db: Database) -> None:
    page = alice.post("/account/billing", FORM | {"vat_number": "FR1"}, status=422)
    assert "no VAT number of FR" in text_of(page)
    with db.reading() as session:
        assert session.scalar(sa.select(Account.name).where(Account.email == "alice@example.org")) == "Acme"


def test_a_country_that_is_not_offered_is_refused(alice: Visitor) -> None:
    alice.post("/account/billing", FORM | {"country": "XX"}, status=422)


def test_the_order_page_shows_the_total_with_tax(alice: Visitor, shop: Shop, db: Database) -> None:
    _set_company(db, country="DE", charges_tax=True, one_stop_shop=True)
    page = text_of(alice.get(f"/orders/new?price={shop.price.id}"))
    assert "Including 19 % VAT (Germany)." in page.replace("\xa0", " ")
    alice.post("/account/billing", FORM)
    page = text_of(alice.get(f"/orders/new?price={shop.price.id}"))
    assert "Including 20 % VAT (France)." in page.replace("\xa0", " ")


def test_nothing_is_offered_at_a_rate_that_is_not_known(alice: Visitor, shop: Shop, db: Database) -> None:
    _set_company(db, country="AU", charges_tax=True)
    page = alice.get("/orders/new", status=409)
    assert "No tax rate of AU" in text_of(page)


def test_a_country_can_be_named_at_sign_up(visitor: Visitor, db: Database) -> None:
    fields = {
        "name": "Dora",
        "email": "dora@example.org",
        "password": "correct horse battery",
        "country": "AT",
    }
    visitor.post("/sign-up", fields)
    with db.reading() as session:
        assert session.scalar(sa.select(Account.country).where(Account.email == "dora@example.org")) == "AT"
