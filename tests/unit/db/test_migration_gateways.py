"""Payments get an account in a database that has sold already, and the release before goes on booking beside the new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing import receiving
from domus.billing.models import Invoice, Payment
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.db import migrate
from domus.db.engine import Database
from tests.support.builders import NOW
from tests.support.database import PostgresServer

BEFORE = "0008"

ACCOUNT = "INSERT INTO account (id, name, email, country, created_at) VALUES (7, 'Acme', 'a@example.org', 'DE', :now)"
INVOICE = """
    INSERT INTO invoice (id, number, account_id, state, currency, net_minor, tax_minor, gross_minor, issued_at, paid_at)
    VALUES (1, '2026-00001', 7, 'paid', 'EUR', 1000, 0, 1000, :now, :now)
"""
#: As the release before writes it: without the account.
PAYMENT = """
    INSERT INTO payment (invoice_id, gateway, reference, state, currency, amount_minor, received_at)
    VALUES (1, 'operator', :reference, 'confirmed', 'EUR', 1000, :now)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def old_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Offer a database of the release before, with one payment, brought to the present."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.sqlite"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.new_database(migrated=False))
    migrate.upgrade(url, BEFORE)
    database = Database(url)
    with database.engine.begin() as connection:
        for statement in (ACCOUNT, INVOICE):
            connection.execute(sa.text(statement), {"now": NOW.replace(tzinfo=None)})
    pay(database, "before")
    migrate.upgrade(url)
    yield database
    database.dispose()


def pay(db: Database, reference: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text(PAYMENT), {"now": NOW.replace(tzinfo=None), "reference": reference})


def test_payments_that_were_there_belong_to_the_account_of_their_invoice(old_db: Database) -> None:
    with old_db.reading() as session:
        assert session.scalars(sa.select(Payment.account_id)).all() == [7]


def test_what_the_release_before_books_is_known_by_its_reference_too(old_db: Database) -> None:
    pay(old_db, "beside")

    def told_again(amount: int) -> Payment:
        with old_db.unit_of_work() as session:
            return receiving.receive(
                session, session.get_one(Invoice, 1), account_id=7, gateway="operator", reference="beside",
                amount=Money(amount, "EUR"), actor=Actor.system("test"), now=NOW,
            )  # fmt: skip

    assert told_again(1000).account_id is None
    with pytest.raises(Conflict, match="is booked already"):
        told_again(999)
