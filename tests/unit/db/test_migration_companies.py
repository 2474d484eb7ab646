"""Companies come to a database that has sold already, and the release before goes on selling beside the new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from domus.accounts.actor import Actor
from domus.billing import checks, services
from domus.billing.models import Invoice
from domus.db import migrate
from domus.db.engine import Database
from tests.support.builders import NOW
from tests.support.database import PostgresServer

BEFORE = "0007"

ACCOUNT = "INSERT INTO account (id, name, email, country, created_at) VALUES (1, 'Acme', 'a@example.org', 'DE', :now)"
#: As the release before writes it: without any of the columns that it does not know.
INVOICE = """
    INSERT INTO invoice (id, number, account_id, state, currency, net_minor, tax_minor, gross_minor, issued_at, paid_at)
    VALUES (:id, :number, 1, :state, 'EUR', 1000, 0, 1000, :now, :paid_at)
"""
LINE = "INSERT INTO invoice_line (invoice_id, text, net_minor, tax_minor) VALUES (:id, 'VPS', 1000, 0)"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def old_db(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """Offer a database of the release before, with one paid and one open invoice, brought to the present."""
    monkeypatch.setenv("DOMUS_COMPANY_NAME", "Example Hosting")
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.sqlite"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.new_database(migrated=False))
    migrate.upgrade(url, BEFORE)
    database = Database(url)
    with database.engine.begin() as connection:
        connection.execute(sa.text(ACCOUNT), {"now": NOW.replace(tzinfo=None)})
        _add(connection, 1, "2026-00001")
        _add(connection, 2, None)
        connection.execute(
            sa.text("INSERT INTO number_series (name, next_number) VALUES ('invoice:2026', 2)")
        )
    migrate.upgrade(url)
    yield database
    database.dispose()


def _add(connection: sa.Connection, invoice_id: int, number: str | None) -> None:
    now = NOW.replace(tzinfo=None)
    values = {"id": invoice_id, "number": number, "state": "paid" if number else "open", "now": now}
    connection.execute(sa.text(INVOICE), {**values, "paid_at": now if number else None})
    if number is None:
        connection.execute(sa.text(LINE), {"id": invoice_id})


def _pay(db: Database, invoice_id: int) -> Invoice:
    with db.unit_of_work() as session:
        invoice = session.get_one(Invoice, invoice_id)
        services.settle(
            session, invoice, gateway="test", reference=f"r{invoice_id}", amount=invoice.gross,
            actor=Actor.system("test"), now=NOW,
        )  # fmt: skip
    with db.reading() as session:
        return session.get_one(Invoice, invoice_id)


def test_the_default_company_goes_on_with_the_numbers_that_were_given_out(old_db: Database) -> None:
    paid = _pay(old_db, 2)
    assert paid.number == "2026-00002"
    assert paid.seller is not None
    assert paid.seller["name"] == "Example Hosting"
    with old_db.reading() as session:
        assert "invoice:1 is not booked." in checks.all_problems(session)
        assert not [problem for problem in checks.all_problems(session) if "missing" in problem]


def test_the_release_before_goes_on_opening_and_numbering_invoices(old_db: Database) -> None:
    with old_db.engine.begin() as connection:
        _add(connection, 3, None)
        connection.execute(
            sa.text("UPDATE invoice SET number = '2026-00002', state = 'paid', paid_at = :now WHERE id = 3"),
            {"now": NOW.replace(tzinfo=None)},
        )
        connection.execute(sa.text("UPDATE number_series SET next_number = 3"))
    assert _pay(old_db, 2).number == "2026-00003"


def test_what_was_numbered_before_cannot_be_changed_any_more(old_db: Database) -> None:
    with pytest.raises(IntegrityError, match="never changed"), old_db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE invoice SET gross_minor = 1, net_minor = 1 WHERE id = 1"))
