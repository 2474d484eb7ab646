"""Checks what an operator enters about companies, who invoices whom, and rates."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.core.countries import parse_country
from domus.core.errors import InvalidInput
from domus.core.texts import one_line, paragraphs, whole_number
from domus.db.rows import get_row, refuse_taken
from domus.tax.models import Company, InvoicingCountry, TaxRate
from domus.tax.vat_numbers import parse_vat_number

_PREFIX = re.compile(r"[A-Z]{0,8}")
_PERCENT = re.compile(r"[0-9]{1,3}([.,][0-9]{1,3})?")
MAX_MILLIPERCENT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyFields:
    """What an operator decides about a company."""

    name: str
    address: str = ""
    country: str = ""
    email: str = ""
    vat_number: str = ""
    registration: str = ""
    bank_details: str = ""
    invoice_prefix: str = ""
    charges_tax: bool = False
    one_stop_shop: bool = False
    prices_include_tax: bool = False
    untaxed_note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicingFields:
    """Which company invoices the customers of a country."""

    country: str
    company_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFields:
    """A standard rate, in thousandths of a percent."""

    country: str
    valid_from: date
    millipercent: int


def check_company(session: Session, fields: CompanyFields, *, own_id: int | None) -> CompanyFields:
    """Return the fields as they are to be stored; raise InvalidInput with the field that is wrong."""
    country = parse_country(fields.country)
    if fields.charges_tax and not country:
        raise InvalidInput("A company that charges tax is in a country; enter it.", field="country")
    prefix = fields.invoice_prefix.strip().upper()
    if not _PREFIX.fullmatch(prefix):
        raise InvalidInput("A prefix has at most 8 letters A to Z, such as DE.", field="invoice_prefix")
    refuse_taken(session, Company.invoice_prefix, prefix, own_id=own_id, field="invoice_prefix")
    return dataclasses.replace(
        fields,
        name=one_line(fields.name, field="name", maximum=200),
        address=paragraphs(fields.address, field="address", maximum=500),
        country=country,
        email=one_line(fields.email, field="email", maximum=254, required=False),
        vat_number=parse_vat_number(fields.vat_number, country),
        registration=one_line(fields.registration, field="registration", maximum=200, required=False),
        bank_details=paragraphs(fields.bank_details, field="bank_details", maximum=500),
        invoice_prefix=prefix,
        untaxed_note=one_line(fields.untaxed_note, field="untaxed_note", maximum=300, required=False),
    )


def check_invoicing(session: Session, fields: InvoicingFields, *, own_id: int | None) -> InvoicingFields:
    """Return the fields as they are to be stored; raise InvalidInput with the field that is wrong."""
    country = parse_country(fields.country, required=True)
    refuse_taken(session, InvoicingCountry.country, country, own_id=own_id, field="country")
    get_row(session, Company, fields.company_id, what="company", field="company_id")
    return dataclasses.replace(fields, country=country)


def check_rate(session: Session, fields: RateFields, *, own_id: int | None) -> RateFields:
    """Return the fields as they are to be stored; raise InvalidInput with the field that is wrong."""
    country = parse_country(fields.country, required=True)
    whole_number(fields.millipercent, field="millipercent", minimum=0, maximum=MAX_MILLIPERCENT)
    same = sa.select(TaxRate.id).where(TaxRate.country == country, TaxRate.valid_from == fields.valid_from)
    if session.scalar(same.where(TaxRate.id != (own_id or 0))) is not None:
        raise InvalidInput(
            f"There is a rate of {country} from that day on already; edit that one.", field="valid_from"
        )
    return dataclasses.replace(fields, country=country)


def parse_percent(text: str, *, field: str = "percent") -> int:
    """Return a rate such as ``19`` or ``25.5`` in thousandths of a percent; raise InvalidInput for anything else."""
    cleaned = text.strip().removesuffix("%").strip()
    if not _PERCENT.fullmatch(cleaned):
        raise InvalidInput(f"{text!r} is no rate; write it like 19 or 25.5.", field=field)
    thousandths = int(Decimal(cleaned.replace(",", ".")) * 1000)
    return whole_number(thousandths, field=field, minimum=0, maximum=MAX_MILLIPERCENT)
