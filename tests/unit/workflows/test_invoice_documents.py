"""PDFs and the accountant's export, from orders that were really paid."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account
from domus.billing.models import CreditNote, Invoice
from domus.core.errors import InvalidInput, NotAllowed, NotFound
from domus.db.engine import Database
from domus.tax.models import Company
from domus.workflows import invoices, orders
from domus.workflows.invoices import Look
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

LOOK = Look(company_name="Fallback")


@pytest.fixture
def shop(db: Database) -> Shop:
    shop = make_shop(db)
    with db.unit_of_work() as session:
        session.execute(sa.update(Company).values(name="Example GmbH", country="DE", charges_tax=True))
        session.execute(sa.update(Account).values(language="de", company="=HYPERLINK(1)"))
    return shop


def the(shop: Shop, model: type[Any]) -> Any:
    with shop.db.reading() as session:
        return session.scalars(sa.select(model)).one()


def refunded(shop: Shop) -> None:
    order = shop.pay(shop.order())
    orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="broken", now=NOW)


def rows(shop: Shop, month: str = "2026-11") -> list[dict[str, str]]:
    text = invoices.month_as_csv(shop.db, month=month, actor=shop.people.as_olga)
    return list(csv.DictReader(io.StringIO(text)))


def test_lines_are_in_the_customers_language(shop: Shop) -> None:
    shop.paid()
    with shop.db.reading() as session:
        document = invoices.invoice_document(
            session, the(shop, Invoice).id, look=LOOK, actor=shop.people.as_alice
        )
    assert document.lines[0][0].endswith(", 1 Monat")
    assert (document.seller.name, document.buyer.company) == ("Example GmbH", "=HYPERLINK(1)")
    assert document.order == "#1"


def test_owner_and_operator_get_the_pdf_and_strangers_do_not(shop: Shop) -> None:
    refunded(shop)
    invoice_id, note_id = the(shop, Invoice).id, the(shop, CreditNote).id
    for actor in (shop.people.as_bob, shop.people.as_olga):
        pdf = invoices.invoice_pdf(shop.db, invoice_id=invoice_id, look=LOOK, actor=actor)
        assert (pdf.name, pdf.content[:5]) == ("invoice-2026-00001.pdf", b"%PDF-")
        pdf = invoices.credit_note_pdf(shop.db, note_id=note_id, look=LOOK, actor=actor)
        assert pdf.name == "credit-note-C-2026-00001.pdf"
    for wrong_id, actor in ((invoice_id, shop.people.as_charlie), (999, shop.people.as_olga)):
        with pytest.raises(NotFound):
            invoices.invoice_pdf(shop.db, invoice_id=wrong_id, look=LOOK, actor=actor)
    for wrong_id, actor in ((note_id, shop.people.as_charlie), (999, shop.people.as_olga)):
        with pytest.raises(NotFound):
            invoices.credit_note_pdf(shop.db, note_id=wrong_id, look=LOOK, actor=actor)


def test_a_part_that_is_credited_is_one_line(shop: Shop) -> None:
    refunded(shop)
    with shop.db.reading() as session:
        note = session.scalars(sa.select(CreditNote)).one()
        document = invoices.credit_note_document(session, note.id, look=LOOK, actor=shop.people.as_olga)
        note.gross_minor, note.net_minor, note.tax_minor = 119, 100, 19
        part = invoices.contents.of_credit_note(note, company_name="x")
    assert (document.gross.minor, document.tax.minor, document.corrects) == (-1190, -190, ("2026-00001", NOW))
    assert [amount.minor for _, amount in part.lines] == [-100]


def test_a_month_for_the_accountant_has_what_was_numbered_in_it(shop: Shop) -> None:
    refunded(shop)
    shop.order()
    shop.paid(now=datetime(2026, 12, 1, tzinfo=UTC))
    invoice, note = rows(shop)
    assert (invoice["number"], invoice["net"], invoice["tax"], invoice["gross"]) == (
        "2026-00001",
        "10.00",
        "1.90",
        "11.90",
    )
    assert (note["number"], note["gross"], note["corrects"]) == ("C-2026-00001", "-11.90", "2026-00001")
    assert (invoice["tax_rate"], invoice["tax_rule"], invoice["country"]) == ("19", "domestic", "DE")
    assert [row["number"] for row in rows(shop, "2026-12")] == ["2026-00002"]
    assert rows(shop, "2027-01") == []


def test_names_do_not_become_formulas_in_a_spreadsheet(shop: Shop) -> None:
    shop.paid()
    assert rows(shop)[0]["customer"] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "november", "9999-12", "2026-11-20"])
def test_what_is_no_month_is_refused(shop: Shop, month: str) -> None:
    with pytest.raises(InvalidInput, match="write it like 2026-11"):
        rows(shop, month)


def test_customers_get_no_export(shop: Shop) -> None:
    with pytest.raises(NotAllowed):
        invoices.month_as_csv(shop.db, month="2026-11", actor=shop.people.as_alice)
