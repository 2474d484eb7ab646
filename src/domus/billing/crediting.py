"""Credit notes over a part of an invoice: what is credited goes to the customer's balance.

Each works in the caller's transaction, which holds the invoice locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing import invoicing, ledger
from domus.billing.models import CreditNote, Invoice, InvoiceState
from domus.core.money import Money


def lock(session: Session, invoice_id: int) -> Invoice | None:
    """Return an invoice as it is now, which nobody else credits until this transaction ends."""
    query = sa.select(Invoice).where(Invoice.id == invoice_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def credit_to_balance(
    session: Session, invoice: Invoice, amount: Money, *, reason: str, actor: Actor, now: datetime
) -> CreditNote:
    """Take a part of a paid invoice's gross back by a credit note, and put it into the balance of whom it was made out to.

    Raises Conflict when the invoice has no number, or less than that is left of it.
    """
    note = invoicing.credit(session, invoice, amount=amount, reason=reason, now=now)
    ledger.book(
        session,
        "credit",
        f"credit_note:{note.id}",
        _entries(invoice, Money(note.net_minor, note.currency), Money(note.tax_minor, note.currency)),
        actor=actor,
        now=now,
        details={"reason": reason[:500], "invoice": invoice.id},
    )
    return note


def spread(session: Session, invoices: Sequence[Invoice], amount: Money) -> list[tuple[Invoice, Money]]:
    """Return which part of an amount to credit on which invoice, each as far as something is left of it, in their order."""
    parts, rest = [], amount
    for invoice in invoices:
        part = min(invoicing.credit_left(session, invoice).minor, rest.minor)
        if part > 0:
            parts.append((invoice, Money(part, amount.currency)))
            rest = rest - Money(part, amount.currency)
    return parts


def paid_invoices(session: Session, ids: Sequence[int], account_id: int) -> list[Invoice]:
    """Return those of the invoices that an account paid, the last one first."""
    query = sa.select(Invoice).where(
        Invoice.id.in_(ids), Invoice.account_id == account_id, Invoice.state == InvoiceState.PAID
    )
    return list(session.scalars(query.order_by(Invoice.paid_at.desc(), Invoice.id.desc())))


def take_back(session: Session, invoice: Invoice, *, actor: Actor, now: datetime) -> None:
    """Take out of the balance what parts of an invoice put there, because the whole of it is given back now."""
    totals = sa.select(sa.func.sum(CreditNote.net_minor), sa.func.sum(CreditNote.tax_minor))
    net, tax = session.execute(totals.where(CreditNote.invoice_id == invoice.id)).one()
    if not net and not tax:
        return
    currency = invoice.currency
    entries = _entries(invoice, Money(int(net or 0), currency), Money(int(tax or 0), currency))
    ledger.book(
        session, "uncredit", f"uncredit:{invoice.id}", [(name, -amount) for name, amount in entries],
        actor=actor, now=now, details={"invoice": invoice.id},
    )  # fmt: skip


def _entries(invoice: Invoice, net: Money, tax: Money) -> list[tuple[str, Money]]:
    return [
        (ledger.REVENUE, net),
        (ledger.TAX, tax),
        (ledger.balance(invoice.account_id), -(net + tax)),
    ]
