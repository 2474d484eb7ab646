"""Does the ledger agree with itself and with the invoices and payments? Each check returns one sentence per problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing import ledger
from domus.billing.models import (
    CreditNote,
    Invoice,
    InvoiceLine,
    InvoiceState,
    LedgerEntry,
    LedgerTransaction,
    NumberSeries,
    Payment,
    PaymentState,
)
from domus.billing.numbers import CREDIT, INVOICE, LETTERS
from domus.core.money import Money


def all_problems(session: Session) -> list[str]:
    """Return every problem found; none is good."""
    checks: tuple[Callable[[Session], Iterator[str]], ...] = (
        _bookings_that_do_not_balance,
        _bookings_without_entries,
        _invoices_that_differ_from_their_lines,
        _sales_that_are_not_booked,
        _payments_that_are_not_booked,
        _receivables_that_stay_open,
        _numbers_that_are_missing,
        _credit_notes_over_more_than_their_invoice,
    )
    return [problem for check in checks for problem in check(session)]


def _bookings_that_do_not_balance(session: Session) -> Iterator[str]:
    total = sa.func.sum(LedgerEntry.amount_minor)
    query = (
        sa.select(LedgerTransaction.reference, LedgerEntry.currency, total)
        .join(LedgerEntry.transaction)
        .group_by(LedgerTransaction.id, LedgerTransaction.reference, LedgerEntry.currency)
        .having(total != 0)
    )
    for reference, currency, minor in session.execute(query):
        yield f"The booking {reference} sums to {Money(int(minor), currency)} instead of zero."


def _bookings_without_entries(session: Session) -> Iterator[str]:
    query = sa.select(LedgerTransaction.reference).where(~LedgerTransaction.entries.any())
    for reference in session.scalars(query):
        yield f"The booking {reference} has no entries."


def _invoices_that_differ_from_their_lines(session: Session) -> Iterator[str]:
    net = sa.func.coalesce(sa.func.sum(InvoiceLine.net_minor), 0)
    tax = sa.func.coalesce(sa.func.sum(InvoiceLine.tax_minor), 0)
    query = (
        sa.select(Invoice)
        .outerjoin(Invoice.lines)
        .group_by(Invoice.id)
        .having(sa.or_(net != Invoice.net_minor, tax != Invoice.tax_minor))
    )
    for invoice in session.scalars(query):
        yield f"Invoice {invoice} (id {invoice.id}) is not the sum of its lines."


def _sales_that_are_not_booked(session: Session) -> Iterator[str]:
    paid = sa.select(Invoice.id, Invoice.gross_minor).where(Invoice.state == InvoiceState.PAID)
    yield from _missing(session, paid, "invoice", "receivable:")
    refunded = paid.where(Invoice.payments.any(Payment.state == PaymentState.REFUNDED))
    yield from _missing(session, refunded, "credit", "receivable:", sign=-1)


def _payments_that_are_not_booked(session: Session) -> Iterator[str]:
    prepaid = Payment.gateway == ledger.FROM_BALANCE
    for source, condition in (("cash:", ~prepaid), ("balance:", prepaid)):
        payments = sa.select(Payment.id, Payment.amount_minor).where(condition)
        yield from _missing(session, payments, "payment", source)
        refunded = payments.where(Payment.state == PaymentState.REFUNDED)
        yield from _missing(session, refunded, "refund", source, sign=-1)


def _missing(
    session: Session, things: sa.Select[int, int], kind: str, account: str, *, sign: int = 1
) -> Iterator[str]:
    """Compare the amount of each thing with the entry of its booking on the accounts that begin with *account*."""
    query = (
        sa.select(LedgerTransaction.reference, sa.func.sum(LedgerEntry.amount_minor))
        .join(LedgerTransaction.entries)
        .where(LedgerTransaction.kind == kind, LedgerEntry.ledger_account.startswith(account))
        .group_by(LedgerTransaction.id, LedgerTransaction.reference)
    )
    booked = {reference: int(minor) for reference, minor in session.execute(query)}
    for thing_id, minor in session.execute(things):
        reference = f"{kind}:{thing_id}"
        found = booked.get(reference)
        if found is None:
            yield f"{reference} is not booked."
        elif found != sign * minor:
            yield f"{reference} is booked with {found} minor units instead of {sign * minor}."


def _receivables_that_stay_open(session: Session) -> Iterator[str]:
    # A sale is booked together with its payment, so that nobody owes anything in between.
    total = sa.func.sum(LedgerEntry.amount_minor)
    query = (
        sa.select(LedgerEntry.ledger_account, LedgerEntry.currency, total)
        .where(LedgerEntry.ledger_account.startswith("receivable:"))
        .group_by(LedgerEntry.ledger_account, LedgerEntry.currency)
        .having(total != 0)
    )
    for account, currency, minor in session.execute(query):
        yield f"The ledger account {account} stays open with {Money(int(minor), currency)}."


def _numbers_that_are_missing(session: Session) -> Iterator[str]:
    columns = {INVOICE: Invoice.number, CREDIT: CreditNote.number}
    for kind, column in columns.items():
        series = sa.select(NumberSeries).where(NumberSeries.name.startswith(f"{kind}:"))
        for row in session.scalars(series):
            prefix = f"{LETTERS[kind]}{row.name.partition(':')[2]}-"
            numbers = session.scalars(sa.select(column).where(column.startswith(prefix)))
            used = {int(number.removeprefix(prefix)) for number in numbers if number}
            missing = sorted(set(range(1, row.next_number)) - used)
            if missing:
                shown = ", ".join(f"{prefix}{number:05d}" for number in missing[:10])
                yield f"{len(missing)} {kind} numbers of {prefix[:-1]} are missing, beginning with {shown}."


def _credit_notes_over_more_than_their_invoice(session: Session) -> Iterator[str]:
    query = (
        sa.select(Invoice)
        .join(Invoice.credit_notes)
        .group_by(Invoice.id)
        .having(
            sa.or_(
                sa.func.sum(CreditNote.gross_minor) > Invoice.gross_minor,
                sa.func.sum(CreditNote.tax_minor) > Invoice.tax_minor,
            )
        )
    )
    for invoice in session.scalars(query):
        yield f"More than invoice {invoice} was over is credited."
