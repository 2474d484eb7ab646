"""Editing who sells: companies, which of them invoices whom, and the rates of tax. For operators."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing.models import Invoice
from domus.core.errors import Conflict, InvalidInput
from domus.db.engine import Database
from domus.db.rows import get_row
from domus.tax import services
from domus.tax.logos import parse_logo
from domus.tax.models import Company, InvoicingCountry, TaxRate
from domus.tax.services import CompanyFields, InvoicingFields, RateFields
from domus.workflows import editing

__all__ = [
    "CompanyFields",
    "InvoicingFields",
    "RateFields",
    "delete_company",
    "delete_invoicing",
    "delete_rate",
    "make_default",
    "save_company",
    "save_invoicing",
    "save_rate",
    "set_logo",
]


def save_company(
    db: Database, *, company_id: int | None, fields: CompanyFields, actor: Actor, now: datetime
) -> Company:
    """Add a company, or change one; the invoices that it issued stay as they are."""

    def check(session: Session) -> CompanyFields:
        checked = services.check_company(session, fields, own_id=company_id)
        if company_id is not None:
            _refuse_to_rename_numbers(session, company_id, checked.invoice_prefix)
        return checked

    return editing.save(
        db, Company, company_id, check, what="company", created={"created_at": now}, actor=actor, now=now
    )


def make_default(db: Database, *, company_id: int, actor: Actor, now: datetime) -> Company:
    """Let a company invoice everybody whom no other one does."""
    actor.require_operator()
    with db.unit_of_work() as session:
        company = get_row(session, Company, company_id, what="company")
        if not company.is_default:
            session.execute(sa.update(Company).where(Company.is_default).values(is_default=False))
            company.is_default = True
            audit.record(
                session, actor=actor, action="company.made_default", object_type="company", object_id=company_id, now=now
            )  # fmt: skip
    return company


def set_logo(db: Database, *, company_id: int, content: bytes | None, actor: Actor, now: datetime) -> Company:
    """Put a PNG or JPEG into the head of a company's documents, or take it away with None."""
    actor.require_operator()
    logo = None if content is None else parse_logo(content)
    with db.unit_of_work() as session:
        company = get_row(session, Company, company_id, what="company")
        company.logo = logo
        audit.record(
            session, actor=actor, action="company.logo_set" if logo else "company.logo_removed", object_type="company",
            object_id=company_id, now=now,
        )  # fmt: skip
    return company


def delete_company(db: Database, *, company_id: int, actor: Actor, now: datetime) -> None:
    """Delete a company that issued nothing, invoices no country and is not the default one."""

    def refuse_the_default(_session: Session, company: Company) -> None:
        if company.is_default:
            raise Conflict(
                "Somebody has to invoice the customers whom no other company does; make another the default first."
            )

    editing.delete(
        db,
        Company,
        company_id,
        what="company",
        instead="let another one invoice its countries, and keep it for what it issued",
        first=refuse_the_default,
        actor=actor,
        now=now,
    )


def save_invoicing(
    db: Database, *, row_id: int | None, fields: InvoicingFields, actor: Actor, now: datetime
) -> InvoicingCountry:
    """Let a company invoice the customers of a country."""
    return editing.save(
        db,
        InvoicingCountry,
        row_id,
        lambda session: services.check_invoicing(session, fields, own_id=row_id),
        what="invoicing",
        load=lambda row: row.company,
        actor=actor,
        now=now,
    )


def delete_invoicing(db: Database, *, row_id: int, actor: Actor, now: datetime) -> None:
    """Leave the customers of a country to the default company."""
    editing.delete(
        db, InvoicingCountry, row_id, what="invoicing", instead="edit it instead", actor=actor, now=now
    )  # fmt: skip


def save_rate(
    db: Database, *, rate_id: int | None, fields: RateFields, actor: Actor, now: datetime
) -> TaxRate:
    """Add a rate of tax, or correct one; the invoices that were issued with it stay as they are."""
    return editing.save(
        db,
        TaxRate,
        rate_id,
        lambda session: services.check_rate(session, fields, own_id=rate_id),
        what="rate",
        actor=actor,
        now=now,
    )


def delete_rate(db: Database, *, rate_id: int, actor: Actor, now: datetime) -> None:
    """Delete a rate; the one before it holds on."""
    editing.delete(db, TaxRate, rate_id, what="rate", instead="edit it instead", actor=actor, now=now)


def _refuse_to_rename_numbers(session: Session, company_id: int, prefix: str) -> None:
    company = get_row(session, Company, company_id, what="company")
    if company.invoice_prefix == prefix:
        return
    numbered = sa.exists().where(Invoice.company_id == company_id, Invoice.number.is_not(None))
    # What was issued before there were companies has numbers without a prefix.
    before = sa.exists().where(Invoice.company_id.is_(None), Invoice.number.is_not(None))
    if session.scalar(sa.select(numbered)) or (
        not company.invoice_prefix and session.scalar(sa.select(before))
    ):
        raise InvalidInput(
            "Invoices were issued with the old prefix, so it stays: their numbers have to go on without a gap.",
            field="invoice_prefix",
        )
