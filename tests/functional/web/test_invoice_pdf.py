"""Invoices and credit notes as PDF, and the month as CSV, over the panels."""

import pytest
import sqlalchemy as sa

from domus.billing.models import CreditNote, Invoice
from domus.db.engine import Database
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


@pytest.fixture
def note(shop: Shop, people: People) -> CreditNote:
    return shop.credit_note(people.alice)


def test_the_owner_saves_invoice_and_credit_note(alice: Visitor, note: CreditNote) -> None:
    page = alice.get(f"/invoices/{note.invoice_id}")
    assert f"Credit note {note.number} as PDF" in text_of(page)
    for path, name in (
        (f"/invoices/{note.invoice_id}/pdf", "invoice-"),
        (f"/invoices/credit-notes/{note.id}/pdf", f"credit-note-{note.number}.pdf"),
    ):
        answer = alice.get(path)
        assert answer.mimetype == "application/pdf"
        assert answer.data.startswith(b"%PDF-")
        assert answer.headers["Content-Disposition"].startswith(f"attachment; filename={name}")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_open_invoice_is_a_request_for_payment(
    alice: Visitor, people: People, shop: Shop, db: Database
) -> None:
    shop.order(people.alice)
    with db.reading() as session:
        invoice = session.scalars(sa.select(Invoice)).one()
    assert "Request for payment as PDF" in text_of(alice.get(f"/invoices/{invoice.id}"))
    assert "request-" in alice.get(f"/invoices/{invoice.id}/pdf").headers["Content-Disposition"]


def test_the_operator_saves_them_too_and_the_month(olga: Visitor, note: CreditNote) -> None:
    assert olga.get(f"/operator/invoices/pdf/?id={note.invoice_id}").data.startswith(b"%PDF-")
    assert olga.get(f"/operator/credit-notes/pdf/?id={note.id}").data.startswith(b"%PDF-")
    assert note.number in text_of(olga.get(f"/operator/invoices/details/?id={note.invoice_id}"))
    olga.get("/operator/invoices/pdf/?id=999", status=404)
    csv = olga.get(f"/operator/invoices/export/?month={note.issued_at:%Y-%m}")
    assert note.number in csv.get_data(as_text=True)
    assert csv.mimetype == "text/csv"
    olga.get("/operator/invoices/export/?month=x%0d%0aSet-Cookie:%20a=b", status=400)
