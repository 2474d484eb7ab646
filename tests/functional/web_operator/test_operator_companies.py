"""Companies, who invoices whom, and rates of tax, in the operator panel."""

import io
from typing import Any

import sqlalchemy as sa
from PIL import Image

from domus.accounts.models import Account, AuditEvent
from domus.db.engine import Database
from domus.tax.models import Company, InvoicingCountry, TaxRate
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

COMPANY = {
    "name": "Example Asia Ltd", "address": "1 Raffles Place\nSingapore", "country": "SG", "invoice_prefix": "sg",
    "charges_tax": "", "bank_details": "DBS\n123-456",
}  # fmt: skip


def _newest(db: Database, model: type[Any]) -> Any:
    with db.reading() as session:
        return session.scalars(sa.select(model).order_by(model.id.desc())).first()


def test_a_company_is_made_and_invoices_a_country(olga: Visitor, db: Database) -> None:
    olga.post("/operator/companies/new/", COMPANY)
    company = _newest(db, Company)
    assert (company.invoice_prefix, company.address) == ("SG", "1 Raffles Place\nSingapore")
    olga.post("/operator/invoicing/new/", {"country": "CN", "company": company.name})
    assert _newest(db, InvoicingCountry).company_id == company.id
    assert "Example Asia Ltd" in text_of(olga.get("/operator/invoicing/"))


def test_another_company_becomes_the_default(olga: Visitor, db: Database) -> None:
    olga.post("/operator/companies/new/", COMPANY)
    company = _newest(db, Company)
    olga.post(f"/operator/companies/do/make-default/?id={company.id}")
    assert _newest(db, Company).is_default
    page = olga.post(f"/operator/companies/delete/?id={company.id}", status=409)
    assert "make another the default first" in text_of(page)


def test_a_refusal_stands_at_its_field(olga: Visitor) -> None:
    page = olga.post("/operator/companies/new/", COMPANY | {"charges_tax": "y", "country": ""}, status=422)
    assert "A company that charges tax is in a country" in text_of(page)
    page = olga.post("/operator/invoicing/new/", {"country": "CN", "company": "Nobody"}, status=422)
    assert "no company called 'Nobody'" in text_of(page)


def test_a_rate_is_entered_in_percent(olga: Visitor, db: Database) -> None:
    olga.post("/operator/tax-rates/new/", {"country": "FI", "percent": "26,5", "valid_from": "2027-01-01"})
    rate = _newest(db, TaxRate)
    assert (rate.country, rate.millipercent) == ("FI", 26500)
    assert 'value="26.5"' in olga.get(f"/operator/tax-rates/edit/?id={rate.id}").get_data(as_text=True)
    assert "26.5 %" in text_of(olga.get("/operator/tax-rates/?search=fi"))
    for wrong in ({"percent": "lots"}, {"valid_from": "soon"}, {"country": "Finland"}):
        olga.post(
            "/operator/tax-rates/new/",
            {"country": "FI", "percent": "1", "valid_from": "2028-01-01"} | wrong,
            status=422,
        )


def test_a_vat_number_is_removed_with_a_reason(olga: Visitor, people: People, db: Database) -> None:
    path = f"/operator/accounts/do/remove-vat-number/?id={people.acme.id}"
    assert "Remove VAT number" not in text_of(olga.get(f"/operator/accounts/details/?id={people.acme.id}"))
    with db.unit_of_work() as session:
        session.get_one(Account, people.acme.id).vat_number = "DE136695976"
    assert "Remove VAT number" in text_of(olga.get(f"/operator/accounts/details/?id={people.acme.id}"))
    olga.post(path, {"reason": ""}, status=422)
    olga.post(path, {"reason": "not in the register"})
    olga.post(path, {"reason": "again"}, status=409)
    assert _newest(db, AuditEvent).reason == "not in the register"


def test_a_logo_is_put_into_documents_and_taken_away(
    olga: Visitor, people: People, shop: Shop, db: Database
) -> None:
    invoice_id = shop.paid(people.alice).invoice.id
    made = io.BytesIO()
    Image.new("RGB", (60, 20), "navy").save(made, "PNG")
    path = f"/operator/companies/do/logo/?id={_newest(db, Company).id}"

    def has_picture() -> bool:
        return b"/Subtype /Image" in olga.get(f"/operator/invoices/pdf/?id={invoice_id}").data

    assert not has_picture()
    page = olga.post(path, {"logo": (io.BytesIO(b"no picture"), "logo.png")}, status=422)
    assert "no PNG or JPEG" in text_of(page)
    olga.post(path, {"logo": (io.BytesIO(made.getvalue()), "logo.png")})
    assert has_picture()
    olga.post(path)
    assert not has_picture()
