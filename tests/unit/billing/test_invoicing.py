"""Invoices carry their tax, their parties and a number, and are never changed once they have it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import checks, invoicing, ledger, services
from domus.billing.crediting import credit_to_balance
from domus.billing.models import CreditNote, Invoice, InvoiceState, Order
from domus.core.errors import Conflict, PreconditionFailed
from domus.core.money import Money
from domus.db.engine import Database
from domus.tax.models import Company, InvoicingCountry
from tests.support.builders import NOW, make_product_with_price
from tests.support.people import People

ACTOR = Actor.system("test")

PlaceOrder = Callable[..., Order]


def set_company(db: Database, **columns: Any) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Company).where(Company.is_default).values(**columns))


def set_account(db: Database, account_id: int, **columns: Any) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Account).where(Account.id == account_id).values(**columns))


def german(db: Database, **columns: Any) -> None:
    set_company(db, country="DE", charges_tax=True, one_stop_shop=True, **columns)


def pay(db: Database, invoice: Invoice, *, now: datetime = NOW) -> Invoice:
    with db.unit_of_work() as session:
        services.settle(
            session, invoice, gateway="test", reference=f"r{invoice.id}", amount=invoice.gross,
            actor=Actor.system("test"), now=now,
        )  # fmt: skip
    return read(db, invoice)


def read(db: Database, invoice: Invoice) -> Invoice:
    with db.reading() as session:
        found = session.get_one(Invoice, invoice.id)
        _ = found.lines, found.credit_notes
        return found


def give_back(db: Database, invoice: Invoice) -> CreditNote:
    with db.unit_of_work() as session:
        services.refund(session, invoice, actor=Actor.system("test"), reason="broken", now=NOW)
    return read(db, invoice).credit_notes[0]


def test_a_company_that_was_not_set_up_charges_no_tax(any_db: Database, place: PlaceOrder) -> None:
    invoice = place().invoice
    assert (invoice.tax_rule, invoice.tax_minor, invoice.gross_minor) == ("untaxed_seller", 0, 1000)


def test_domestic_customers_pay_the_tax_on_top_of_net_prices(any_db: Database, place: PlaceOrder) -> None:
    german(any_db)
    invoice = place(
        make_product_with_price(any_db, price={"amount_minor": 1000, "setup_fee_minor": 495})
    ).invoice
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (1495, 284, 1779)
    assert [(line.net_minor, line.tax_minor) for line in invoice.lines] == [(1000, 190), (495, 94)]
    assert (invoice.tax_rule, invoice.tax_country, invoice.tax_millipercent) == ("domestic", "DE", 19000)


def test_gross_prices_are_what_is_paid(any_db: Database, place: PlaceOrder) -> None:
    german(any_db, prices_include_tax=True)
    invoice = place().invoice
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (840, 160, 1000)


def test_a_business_abroad_pays_no_tax_and_reads_why_in_its_language(
    any_db: Database, cast: People, place: PlaceOrder
) -> None:
    german(any_db)
    set_account(any_db, cast.acme.id, country="FR", vat_number="FR40303265045", language="fr")
    invoice = place().invoice
    assert (invoice.tax_rule, invoice.tax_minor, invoice.gross_minor) == ("reverse_charge", 0, 1000)
    assert invoice.tax_note.startswith("Autoliquidation")


def test_nothing_is_invoiced_at_a_rate_that_is_not_known(
    any_db: Database, cast: People, place: PlaceOrder
) -> None:
    german(any_db)
    with any_db.unit_of_work() as session:
        session.execute(sa.text("DELETE FROM tax_rate WHERE country = 'DE'"))
    with pytest.raises(PreconditionFailed, match="No tax rate of DE"):
        place()


def test_each_company_has_its_customers_and_its_numbers(
    any_db: Database, cast: People, place: PlaceOrder
) -> None:
    with any_db.unit_of_work() as session:
        asia = Company(name="Example Asia Ltd", country="SG", invoice_prefix="SG", created_at=NOW)
        session.add_all([asia, InvoicingCountry(country="CN", company=asia)])
    at_home = place().invoice
    set_account(any_db, cast.acme.id, country="CN")
    numbers = [pay(any_db, invoice).number for invoice in (place().invoice, at_home, place().invoice)]
    assert numbers == ["SG-2026-00001", "2026-00001", "SG-2026-00002"]
    next_year = pay(any_db, place().invoice, now=datetime(2027, 1, 1, tzinfo=UTC))
    assert next_year.number == "SG-2027-00001"
    assert next_year.seller is not None
    assert next_year.seller["name"] == "Example Asia Ltd"


def test_a_numbered_invoice_keeps_the_names_that_it_was_issued_with(
    any_db: Database, cast: People, place: PlaceOrder
) -> None:
    invoice = place().invoice
    set_account(any_db, cast.acme.id, company="Acme Ltd", address="1 Old Street\n12345 Oldtown")
    paid = pay(any_db, invoice)
    set_account(any_db, cast.acme.id, company="Newer Ltd", address="9 New Street", country="FR")
    set_company(any_db, name="Renamed")
    again = read(any_db, invoice)
    assert again.buyer == paid.buyer
    assert again.buyer is not None
    assert (again.buyer["company"], again.buyer["country"]) == ("Acme Ltd", "DE")
    assert again.seller is not None
    assert again.seller["name"] != "Renamed"


def test_who_moves_abroad_before_paying_keeps_the_party_that_the_tax_was_decided_by(
    any_db: Database, cast: People, place: PlaceOrder
) -> None:
    german(any_db)
    invoice = place().invoice
    set_account(any_db, cast.acme.id, country="FR", name="Acme of France")
    paid = pay(any_db, invoice)
    assert paid.buyer is not None
    assert (paid.buyer["country"], paid.buyer["name"], paid.tax_minor) == ("DE", "Acme", 190)


def test_an_invoice_of_the_release_before_gets_its_parties_when_it_is_paid(
    any_db: Database, place: PlaceOrder
) -> None:
    invoice = place().invoice
    with any_db.unit_of_work() as session:
        session.execute(
            sa.update(Invoice)
            .where(Invoice.id == invoice.id)
            .values(company_id=None, seller=None, buyer=None, tax_rule="")
        )
    paid = pay(any_db, invoice)
    assert paid.buyer is not None
    assert paid.buyer["name"] == "Acme"
    assert (paid.number, paid.company_id is None) == ("2026-00001", False)


@pytest.mark.parametrize(
    "change", ["gross_minor = gross_minor + 1", "number = 'X-1'", "buyer = '{}'", "tax_note = 'x'"]
)
def test_the_database_refuses_to_change_a_numbered_invoice(
    any_db: Database, invoice: Invoice, change: str
) -> None:
    pay(any_db, invoice)
    statements = (
        f"UPDATE invoice SET {change}, net_minor = gross_minor - tax_minor + 0",
        "DELETE FROM invoice_line",
        "UPDATE invoice_line SET text = 'other'",
        f"INSERT INTO invoice_line (invoice_id, text, net_minor, tax_minor) VALUES ({invoice.id}, 'x', 1, 0)",
    )
    for statement in statements:
        with pytest.raises(IntegrityError), any_db.unit_of_work() as session:
            session.execute(sa.text(statement))


def test_an_open_invoice_may_still_be_cancelled(any_db: Database, invoice: Invoice) -> None:
    with any_db.unit_of_work() as session:
        services.cancel_invoice(session, invoice)
    assert read(any_db, invoice).state is InvoiceState.CANCELLED


def test_a_refund_makes_a_numbered_credit_note(any_db: Database, place: PlaceOrder) -> None:
    german(any_db)
    invoice = pay(any_db, place().invoice)
    note = give_back(any_db, invoice)
    assert (note.number, note.net_minor, note.tax_minor, note.gross_minor) == (
        "C-2026-00001",
        1000,
        190,
        1190,
    )
    assert note.reason == "broken"
    assert read(any_db, invoice).number == "2026-00001"


def test_a_refund_that_is_asked_for_twice_makes_one_credit_note(any_db: Database, invoice: Invoice) -> None:
    pay(any_db, invoice)
    give_back(any_db, invoice)
    give_back(any_db, invoice)
    assert len(read(any_db, invoice).credit_notes) == 1


def test_parts_are_credited_with_their_share_of_the_tax_until_nothing_is_left(
    any_db: Database, place: PlaceOrder
) -> None:
    german(any_db)
    invoice = pay(any_db, place().invoice)
    with any_db.unit_of_work() as session:
        row = session.get_one(Invoice, invoice.id)
        for minor in (400, 400):
            credit_to_balance(session, row, Money(minor, "USD"), reason="part", actor=ACTOR, now=NOW)
        with pytest.raises(Conflict, match=r"3\.90 USD can be credited; 4\.00 USD cannot"):
            invoicing.credit(session, row, amount=Money(400, "USD"), reason="too much", now=NOW)
        credit_to_balance(session, row, Money(390, "USD"), reason="the rest", actor=ACTOR, now=NOW)
        with pytest.raises(Conflict, match="can be credited"):
            invoicing.credit(session, row, reason="again", now=NOW)
    notes = read(any_db, invoice).credit_notes
    assert [(note.gross_minor, note.tax_minor) for note in notes] == [(400, 64), (400, 64), (390, 62)]
    assert [note.number for note in notes] == [f"C-2026-0000{place}" for place in (1, 2, 3)]
    with any_db.reading() as session:
        assert checks.all_problems(session) == []
        assert ledger.balance_of(session, invoice.account_id, "USD") == Money(1190, "USD")


def test_a_part_that_was_credited_and_not_booked_is_found(any_db: Database, invoice: Invoice) -> None:
    pay(any_db, invoice)
    with any_db.unit_of_work() as session:
        row = session.get_one(Invoice, invoice.id)
        invoicing.credit(session, row, amount=Money(1, "USD"), reason="part", now=NOW)
        assert checks.all_problems(session) == ["Credit note C-2026-00001 is not booked."]


def test_an_invoice_without_a_number_is_not_credited(any_db: Database, invoice: Invoice) -> None:
    with pytest.raises(Conflict, match="without a number"), any_db.unit_of_work() as session:
        invoicing.credit(session, session.get_one(Invoice, invoice.id), reason="", now=NOW)


def test_the_rates_that_domus_comes_with_hold_from_their_days(any_db: Database) -> None:
    with any_db.reading() as session:
        rates = invoicing.queries.known_rates(session, "EE", "FI")
    assert {(rate.country, rate.valid_from, rate.millipercent) for rate in rates} == {
        ("EE", date(2025, 1, 1), 22000),
        ("EE", date(2025, 7, 1), 24000),
        ("FI", date(2025, 1, 1), 25500),
    }
