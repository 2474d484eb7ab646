"""What a document says, taken from the rows that were frozen for it. Nothing here looks at how things are now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domus.billing.models import CreditNote, Invoice, InvoiceState
from domus.billing.parties import Party, buyer_of
from domus.core.money import Money


class Kind(StrEnum):
    """Which document it is."""

    INVOICE = "invoice"
    PROFORMA = "proforma"
    """Asks for money and has no number."""
    CREDIT_NOTE = "credit_note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All that stands on the paper."""

    kind: Kind
    number: str
    """Empty on what has none."""
    language: str
    seller: Party
    buyer: Party
    issued_at: datetime
    paid_at: datetime | None
    order: str
    corrects: tuple[str, datetime] | None
    """On a credit note: the invoice's number and day."""
    lines: tuple[tuple[str, Money], ...]
    net: Money
    tax: Money
    gross: Money
    tax_millipercent: int
    tax_country: str
    tax_note: str
    reason: str
    logo: bytes | None = None
    """A PNG; the company's as it is now."""

    @property
    def file_name(self) -> str:
        """Return a name for the file: letters, digits and hyphens."""
        words = {Kind.INVOICE: "invoice", Kind.PROFORMA: "request", Kind.CREDIT_NOTE: "credit-note"}
        return f"{words[self.kind]}-{self.number or f'{self.issued_at:%Y%m%d}'}.pdf"


def of_invoice(invoice: Invoice, *, company_name: str) -> Document:
    """Return what an invoice says. Its lines, account and order have to be loaded.

    What was issued before there were companies carries no parties: then the account stands there as it is now, and
    ``company_name`` sells.
    """
    numbered = invoice.state is InvoiceState.PAID
    return Document(
        kind=Kind.INVOICE if numbered else Kind.PROFORMA,
        number=invoice.number or "",
        language=invoice.language,
        seller=_seller(invoice, company_name),
        buyer=_buyer(invoice),
        # An invoice bears the day on which it got its number.
        issued_at=invoice.paid_at or invoice.issued_at,
        paid_at=invoice.paid_at,
        order="" if invoice.order is None else str(invoice.order),
        corrects=None,
        lines=tuple((line.text, Money(line.net_minor, invoice.currency)) for line in invoice.lines),
        net=Money(invoice.net_minor, invoice.currency),
        tax=Money(invoice.tax_minor, invoice.currency),
        gross=invoice.gross,
        tax_millipercent=invoice.tax_millipercent,
        tax_country=invoice.tax_country,
        tax_note=invoice.tax_note,
        reason="",
        logo=_logo(invoice),
    )


def of_credit_note(note: CreditNote, *, company_name: str) -> Document:
    """Return what a credit note says: the invoice it corrects, and amounts with a minus."""
    invoice = note.invoice
    whole = note.gross_minor == invoice.gross_minor
    lines = tuple((line.text, Money(-line.net_minor, note.currency)) for line in invoice.lines)
    part = ((", ".join(line.text for line in invoice.lines)[:300], Money(-note.net_minor, note.currency)),)
    return Document(
        kind=Kind.CREDIT_NOTE,
        number=note.number,
        language=invoice.language,
        seller=_seller(invoice, company_name),
        buyer=_buyer(invoice),
        issued_at=note.issued_at,
        paid_at=None,
        order="" if invoice.order is None else str(invoice.order),
        corrects=(str(invoice), invoice.paid_at or invoice.issued_at),
        lines=lines if whole else part,
        net=Money(-note.net_minor, note.currency),
        tax=Money(-note.tax_minor, note.currency),
        gross=-note.gross,
        tax_millipercent=invoice.tax_millipercent,
        tax_country=invoice.tax_country,
        tax_note=invoice.tax_note,
        reason=note.reason,
        logo=_logo(invoice),
    )


def _seller(invoice: Invoice, company_name: str) -> Party:
    return Party(name=company_name) if invoice.seller is None else Party.from_stored(invoice.seller)


def _logo(invoice: Invoice) -> bytes | None:
    return None if invoice.company is None else invoice.company.logo


def _buyer(invoice: Invoice) -> Party:
    return buyer_of(invoice.account) if invoice.buyer is None else Party.from_stored(invoice.buyer)
