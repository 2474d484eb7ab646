"""Operators edit who sells; what was issued stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from domus.core.errors import Conflict, InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.tax.models import Company
from domus.tax.services import parse_percent
from domus.workflows import companies
from domus.workflows.companies import CompanyFields, InvoicingFields, RateFields
from tests.support.builders import NOW
from tests.support.order_shop import make_shop
from tests.support.people import People

ASIA = CompanyFields(name="Example Asia Ltd", country="SG", invoice_prefix="SG")


def default(db: Database) -> Company:
    with db.reading() as session:
        return session.scalars(sa.select(Company).where(Company.is_default)).one()


def add(db: Database, people: People, fields: CompanyFields = ASIA) -> Company:
    return companies.save_company(db, company_id=None, fields=fields, actor=people.as_olga, now=NOW)


def test_a_new_database_has_one_company_that_charges_no_tax(db: Database) -> None:
    company = default(db)
    assert (company.name, company.invoice_prefix, company.charges_tax) == ("Domus", "", False)


def test_there_is_one_default_company_at_all_times(db: Database, people: People) -> None:
    first, asia = default(db), add(db, people)
    with pytest.raises(Conflict, match="make another the default first"):
        companies.delete_company(db, company_id=first.id, actor=people.as_olga, now=NOW)
    companies.make_default(db, company_id=asia.id, actor=people.as_olga, now=NOW)
    companies.make_default(db, company_id=asia.id, actor=people.as_olga, now=NOW)
    assert default(db).id == asia.id
    companies.delete_company(db, company_id=first.id, actor=people.as_olga, now=NOW)


def test_a_company_that_invoices_a_country_is_not_deleted(db: Database, people: People) -> None:
    asia = add(db, people)
    fields = InvoicingFields(country="cn", company_id=asia.id)
    row = companies.save_invoicing(db, row_id=None, fields=fields, actor=people.as_olga, now=NOW)
    assert row.country == "CN"
    with pytest.raises(InvalidInput, match="taken already"):
        companies.save_invoicing(db, row_id=None, fields=fields, actor=people.as_olga, now=NOW)
    with pytest.raises(Conflict, match="in use"):
        companies.delete_company(db, company_id=asia.id, actor=people.as_olga, now=NOW)
    companies.delete_invoicing(db, row_id=row.id, actor=people.as_olga, now=NOW)
    companies.delete_company(db, company_id=asia.id, actor=people.as_olga, now=NOW)


def test_the_prefix_stays_once_an_invoice_was_numbered(db: Database) -> None:
    shop = make_shop(db)
    company = default(db)
    olga = shop.people.as_olga
    renamed = CompanyFields(name="Domus", invoice_prefix="X")
    companies.save_company(db, company_id=company.id, fields=renamed, actor=olga, now=NOW)
    shop.paid()
    with pytest.raises(InvalidInput, match="without a gap") as refusal:
        companies.save_company(
            db, company_id=company.id, fields=replace(renamed, invoice_prefix="Y"), actor=olga, now=NOW
        )
    assert refusal.value.field == "invoice_prefix"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"country": "XX"}, "country"),
        ({"country": "", "charges_tax": True}, "country"),
        ({"invoice_prefix": "A-1"}, "invoice_prefix"),
        ({"invoice_prefix": ""}, "invoice_prefix"),
        ({"country": "DE", "vat_number": "DE1"}, "vat_number"),
        ({"address": "x" * 501}, "address"),
        ({"bank_details": "a\0b"}, "bank_details"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field(
    db: Database, people: People, changes: dict[str, str | bool], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        add(db, people, replace(ASIA, **changes))  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_rates_hold_from_a_day_that_no_other_rate_of_the_country_has(db: Database, people: People) -> None:
    fields = RateFields(country="de", valid_from=date(2027, 1, 1), millipercent=parse_percent("20,5 %"))
    rate = companies.save_rate(db, rate_id=None, fields=fields, actor=people.as_olga, now=NOW)
    assert (rate.country, rate.millipercent) == ("DE", 20500)
    with pytest.raises(InvalidInput, match="from that day on already"):
        companies.save_rate(db, rate_id=None, fields=fields, actor=people.as_olga, now=NOW)
    companies.save_rate(db, rate_id=rate.id, fields=fields, actor=people.as_olga, now=NOW)
    companies.delete_rate(db, rate_id=rate.id, actor=people.as_olga, now=NOW)


@pytest.mark.parametrize("typed", ["", "-1", "101", "19.1234", "nineteen", "1e1", "١٩"])
def test_what_is_no_rate_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput):
        parse_percent(typed)


def test_customers_edit_nothing_of_this(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        companies.save_company(db, company_id=None, fields=ASIA, actor=people.as_alice, now=NOW)
    with pytest.raises(NotAllowed):
        companies.make_default(db, company_id=default(db).id, actor=people.as_alice, now=NOW)
