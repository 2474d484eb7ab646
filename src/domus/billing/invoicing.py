"""Invoices from lines of a price list to a numbered document that is never changed again, and credit notes after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from domus.accounts.models import Account
from domus.billing.invoice_mails import tell_paid
from domus.billing.models import CreditNote, Invoice, InvoiceLine, InvoiceState, Order
from domus.billing.numbers import CREDIT, INVOICE, next_document
from domus.billing.parties import Party, buyer_of, seller_of
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.mail import services as mail
from domus.tax import queries
from domus.tax.amounts import net_and_tax
from domus.tax.models import Company
from domus.tax.reasons import reason
from domus.tax.rules import Buyer, Decision, Rule, decide


def tax_for(session: Session, account: Account, *, now: datetime) -> tuple[Company, Decision]:
    """Return who would invoice the account now, and with which tax; raise PreconditionFailed when no rate is known."""
    company = queries.company_for(session, account.country)
    decision = decide(
        queries.as_seller(company),
        Buyer(country=account.country, vat_number=account.vat_number),
        rates=queries.known_rates(session),
        on=now.date(),
    )
    return company, decision


def draft(
    session: Session,
    account: Account,
    lines: Sequence[tuple[str, Money]],
    *,
    order: Order | None = None,
    now: datetime,
) -> Invoice:
    """Open an invoice over (text, price) lines, with the tax that this account bears now.

    It has no number yet: whoever pays it gets one (``finalise``). The prices are those of the catalogue; whether tax is in
    them already, the company says.
    """
    company, decision = tax_for(session, account, now=now)
    amounts = net_and_tax([price for _, price in lines], decision, include_tax=company.prices_include_tax)
    invoice = Invoice(
        **invoice_columns(account, company, decision, amounts, now=now),
        order=order,
        lines=[
            InvoiceLine(text=text, net_minor=line_net.minor, tax_minor=line_tax.minor)
            for (text, _), (line_net, line_tax) in zip(lines, amounts, strict=True)
        ],
    )
    session.add(invoice)
    session.flush()
    return invoice


def invoice_columns(
    account: Account,
    company: Company,
    decision: Decision,
    amounts: Sequence[tuple[Money, Money]],
    *,
    now: datetime,
) -> dict[str, Any]:
    """Return the columns of an open invoice over lines of these (net, tax), without its order and its lines."""
    zero = Money.zero(amounts[0][0].currency)
    net = sum((net for net, _ in amounts), zero)
    tax = sum((tax for _, tax in amounts), zero)
    return {
        "account_id": account.id,
        "state": InvoiceState.OPEN,
        "currency": zero.currency,
        "net_minor": net.minor,
        "tax_minor": tax.minor,
        "gross_minor": (net + tax).minor,
        "issued_at": now,
        "company_id": company.id,
        "seller": seller_of(company).as_stored(),
        "buyer": buyer_of(account).as_stored(),
        "language": account.language,
        "tax_rule": decision.rule.value,
        "tax_country": decision.country,
        "tax_millipercent": decision.millipercent,
        "tax_note": _note(company, decision, account.language),
    }


def finalise(session: Session, invoice: Invoice, *, now: datetime) -> None:
    """Number a paid invoice; from then on the database refuses to change it.

    Names and addresses are taken as they are at this moment, unless the customer has moved to where another tax is due: then
    those stay that the tax was decided by.
    """
    # Taking the number flushes: the invoice may not be marked paid before it has one.
    number = _next(session, INVOICE, invoice, now)
    _refresh_parties(session, invoice)
    invoice.number = number
    invoice.state = InvoiceState.PAID
    invoice.paid_at = now
    session.flush()
    tell_paid(session, [invoice.id], now=now)


def credit(
    session: Session, invoice: Invoice, *, amount: Money | None = None, reason: str, now: datetime
) -> CreditNote:
    """Take a numbered invoice back, or a part of its gross; the tax goes back in the same proportion.

    Raises Conflict when the invoice has no number, or less of it is left.
    """
    if invoice.number is None:
        raise Conflict("An invoice without a number can be cancelled; nothing has to be credited.")
    left = credit_left(session, invoice)
    gross = left if amount is None else amount
    if gross.minor <= 0 or (gross - left).minor > 0:
        raise Conflict(f"Of invoice {invoice} {left} can be credited; {gross} cannot.")
    note = CreditNote(
        number=_next(session, CREDIT, invoice, now),
        invoice_id=invoice.id,
        currency=gross.currency,
        gross_minor=gross.minor,
        tax_minor=(tax := _tax_in(session, invoice, gross, left).minor),
        net_minor=gross.minor - tax,
        reason=reason[:500],
        issued_at=now,
    )
    session.add(note)
    session.flush()
    mail.enqueue(
        session, "credit_note", session.get_one(Account, invoice.account_id),
        {
            "number": note.number, "invoice": str(invoice), "amount": gross, "reason": note.reason,
            "path": f"/invoices/{invoice.id}",
        },
        cause=f"credit_note:{note.id}", attachments=[f"credit_note:{note.id}"], now=now,
    )  # fmt: skip
    return note


def credit_left(session: Session, invoice: Invoice) -> Money:
    """Return how much of an invoice was not credited yet."""
    return invoice.gross - Money(_credited(session, invoice, CreditNote.gross_minor), invoice.currency)


def _credited(session: Session, invoice: Invoice, column: InstrumentedAttribute[int]) -> int:
    return int(session.scalar(sa.select(sa.func.sum(column)).where(CreditNote.invoice_id == invoice.id)) or 0)


def _tax_in(session: Session, invoice: Invoice, gross: Money, left: Money) -> Money:
    """Return the tax in a part of an invoice; the last part gets what the others left."""
    tax_left = Money(invoice.tax_minor - _credited(session, invoice, CreditNote.tax_minor), invoice.currency)
    if gross == left:
        return tax_left
    return tax_left.times(Fraction(gross.minor, left.minor))


def _next(session: Session, kind: str, invoice: Invoice, now: datetime) -> str:
    company = None if invoice.company_id is None else session.get(Company, invoice.company_id)
    return next_document(session, kind, "" if company is None else company.invoice_prefix, now=now)


def _refresh_parties(session: Session, invoice: Invoice) -> None:
    company = None if invoice.company_id is None else session.get(Company, invoice.company_id)
    account = session.get_one(Account, invoice.account_id)
    if company is None:
        # Opened by the release before this one.
        company = queries.company_for(session, account.country)
        invoice.company_id = company.id
        invoice.buyer = None
    buyer, stored = buyer_of(account), invoice.buyer
    if may_be_renamed(stored, buyer):
        invoice.buyer = buyer.as_stored()
        invoice.seller = seller_of(company).as_stored()


def may_be_renamed(stored: Mapping[str, Any] | None, buyer: Party) -> bool:
    """Tell whether an invoice that is to be numbered takes the customer's name and address as they are by now.

    Not when the customer has moved to where another tax is due: then those stay that the tax was decided by.
    """
    return stored is None or all(stored.get(key) == getattr(buyer, key) for key in ("country", "vat_number"))


def _note(company: Company, decision: Decision, language: str) -> str:
    if decision.rule is Rule.UNTAXED_SELLER:
        return company.untaxed_note
    return reason(decision.rule, language)
