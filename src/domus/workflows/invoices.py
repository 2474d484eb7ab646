"""Documents of money: invoices and credit notes as PDF, and a month of them for the accountant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.accounts.actor import Actor
from domus.billing.models import CreditNote, Invoice
from domus.core.errors import InvalidInput, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.documents import contents
from domus.documents.contents import Document
from domus.documents.pdf import render
from domus.tax.models import Company, percent_text

EXPORT_COLUMNS = (
    "kind", "number", "date", "company", "customer_id", "customer", "country", "vat_number", "tax_rule", "tax_country",
    "tax_rate", "currency", "net", "tax", "gross", "corrects",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pdf:
    """A file to hand out."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What documents take from the settings."""

    company_name: str
    extra_fonts: Sequence[Path] = ()


def invoice_pdf(db: Database, *, invoice_id: int, look: Look, actor: Actor) -> Pdf:
    """Return an invoice as PDF; strangers get NotFound."""
    with db.reading() as session:
        return as_pdf(invoice_document(session, invoice_id, look=look, actor=actor), look)


def credit_note_pdf(db: Database, *, note_id: int, look: Look, actor: Actor) -> Pdf:
    """Return a credit note as PDF; strangers get NotFound."""
    with db.reading() as session:
        return as_pdf(credit_note_document(session, note_id, look=look, actor=actor), look)


def invoice_document(session: Session, invoice_id: int, *, look: Look, actor: Actor) -> Document:
    """Return what an invoice says."""
    query = sa.select(Invoice).where(Invoice.id == invoice_id).options(*_whole_invoice())
    found = session.scalar(query)
    if found is None:
        raise NotFound("There is no such invoice.")
    actor.require_account(found.account_id, what="invoice")
    return contents.of_invoice(found, company_name=look.company_name)


def credit_note_document(session: Session, note_id: int, *, look: Look, actor: Actor) -> Document:
    """Return what a credit note says."""
    load = joinedload(CreditNote.invoice)
    query = sa.select(CreditNote).where(CreditNote.id == note_id)
    found = session.scalar(
        query.options(
            load.joinedload(Invoice.account),
            load.joinedload(Invoice.order),
            load.selectinload(Invoice.lines),
            load.joinedload(Invoice.company).undefer(Company.logo),
        )
    )
    if found is None:
        raise NotFound("There is no such credit note.")
    actor.require_account(found.invoice.account_id, what="credit note")
    return contents.of_credit_note(found, company_name=look.company_name)


def month_as_csv(db: Database, *, month: str, actor: Actor) -> str:
    """Return the invoices and credit notes that were numbered in a month (``2026-11``, in UTC), one a line.

    Amounts are plain decimals; those of credit notes have a minus. Raises InvalidInput for what is no month.
    """
    actor.require_operator()
    begin, end = _month(month)
    out = io.StringIO()
    writer = csv.DictWriter(out, EXPORT_COLUMNS)
    writer.writeheader()
    with db.reading() as session:
        writer.writerows(_invoice_rows(session, begin, end))
        writer.writerows(_credit_rows(session, begin, end))
    return out.getvalue()


def as_pdf(document: Document, look: Look) -> Pdf:
    """Return a document as a file."""
    return Pdf(document.file_name, render(document, extra_fonts=look.extra_fonts))


def _whole_invoice() -> tuple[sa.sql.base.ExecutableOption, ...]:
    company = joinedload(Invoice.company).undefer(Company.logo)
    return (joinedload(Invoice.account), joinedload(Invoice.order), company, selectinload(Invoice.lines))


def _month(text: str) -> tuple[datetime, datetime]:
    try:
        begin = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        year, month = divmod(begin.year * 12 + begin.month, 12)
        return begin, begin.replace(year=year, month=month + 1)
    except ValueError:
        raise InvalidInput(f"{text!r} is no month; write it like 2026-11.", field="month") from None


def _invoice_rows(session: Session, begin: datetime, end: datetime) -> Iterator[dict[str, str]]:
    query = (
        sa.select(Invoice)
        .where(Invoice.paid_at >= begin, Invoice.paid_at < end, Invoice.number.is_not(None))
        .options(joinedload(Invoice.account))
        .order_by(Invoice.number)
    )
    for invoice in session.scalars(query):
        amounts = (invoice.net_minor, invoice.tax_minor, invoice.gross_minor)
        yield _row(invoice, "invoice", str(invoice), invoice.paid_at or invoice.issued_at, amounts, "")


def _credit_rows(session: Session, begin: datetime, end: datetime) -> Iterator[dict[str, str]]:
    query = (
        sa.select(CreditNote)
        .where(CreditNote.issued_at >= begin, CreditNote.issued_at < end)
        .options(joinedload(CreditNote.invoice).joinedload(Invoice.account))
        .order_by(CreditNote.number)
    )
    for note in session.scalars(query):
        amounts = (-note.net_minor, -note.tax_minor, -note.gross_minor)
        yield _row(note.invoice, "credit_note", note.number, note.issued_at, amounts, str(note.invoice))


def _row(
    invoice: Invoice, kind: str, number: str, at: datetime, amounts: tuple[int, int, int], corrects: str
) -> dict[str, str]:
    buyer, seller = invoice.buyer or {}, invoice.seller or {}
    net, tax, gross = (_decimal(minor, invoice.currency) for minor in amounts)
    customer = buyer.get("company") or buyer.get("name") or invoice.account.name
    row = {
        "kind": kind,
        "number": number,
        "date": f"{at:%Y-%m-%d}",
        "company": str(seller.get("name", "")),
        "customer_id": str(invoice.account_id),
        "customer": str(customer),
        "country": str(buyer.get("country", "")),
        "vat_number": str(buyer.get("vat_number", "")),
        "tax_rule": invoice.tax_rule,
        "tax_country": invoice.tax_country,
        "tax_rate": percent_text(invoice.tax_millipercent).removesuffix(" %"),
        "currency": invoice.currency,
        "net": net,
        "tax": tax,
        "gross": gross,
        "corrects": corrects,
    }
    return {
        name: _cell(value) if name in ("company", "customer", "vat_number") else value
        for name, value in row.items()
    }


def _decimal(minor: int, currency: str) -> str:
    return str(Money(minor, currency)).partition(" ")[0]


def _cell(text: str) -> str:
    """Keep a spreadsheet from taking what a customer typed for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
