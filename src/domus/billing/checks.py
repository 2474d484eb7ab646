"""Does the ledger agree with itself and with the invoices and payments? Each check returns one sentence per problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

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
        _currencies_that_do_not_sum_to_zero,
        _bookings_without_entries,
        _bookings_of_what_is_not_there,
        _invoices_that_differ_from_their_lines,
        _sales_that_are_not_booked,
        _payments_that_are_not_booked,
        _payments_without_their_reference,
        _receivables_that_stay_open,
        _numbers_that_are_missing,
        _numbers_that_are_double,
        _numbers_of_no_series,
        _credit_notes_over_more_than_their_invoice,
        _credit_notes_that_are_not_booked,
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


def _currencies_that_do_not_sum_to_zero(session: Session) -> Iterator[str]:
    total = sa.func.sum(LedgerEntry.amount_minor)
    query = sa.select(LedgerEntry.currency, total).group_by(LedgerEntry.currency).having(total != 0)
    for currency, minor in session.execute(query):
        yield f"All entries in {currency} sum to {Money(int(minor), currency)} instead of zero."


def _bookings_without_entries(session: Session) -> Iterator[str]:
    query = sa.select(LedgerTransaction.reference).where(~LedgerTransaction.entries.any())
    for reference in session.scalars(query):
        yield f"The booking {reference} has no entries."


def _bookings_of_what_is_not_there(session: Session) -> Iterator[str]:
    for kind, thing in (("invoice", Invoice), ("credit", Invoice), ("payment", Payment), ("refund", Payment)):
        named = sa.cast(sa.func.substr(LedgerTransaction.reference, len(kind) + 2), sa.BigInteger)
        query = sa.select(LedgerTransaction.reference).where(
            LedgerTransaction.kind == kind,
            LedgerTransaction.reference.regexp_match(f"^{kind}:[0-9]+$"),
            ~sa.exists().where(thing.id == named),
        )
        for reference in session.scalars(query):
            yield f"The booking {reference} is of something that is not there."


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
    # One over nothing, as after a coupon, moves nothing: there is nothing to book.
    paid = sa.select(Invoice.id, Invoice.gross_minor).where(
        Invoice.state == InvoiceState.PAID, Invoice.gross_minor != 0
    )
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
    """Compare the amount of each thing with the entries of its booking on the accounts that begin with *account*."""
    things_ = things.subquery()
    key, amount = things_.c
    reference = sa.literal(f"{kind}:") + sa.cast(key, sa.String)
    booked = sa.func.sum(LedgerEntry.amount_minor)
    query = (
        sa.select(key, amount, booked)
        .select_from(things_)
        .outerjoin(LedgerTransaction, LedgerTransaction.reference == reference)
        .outerjoin(
            LedgerEntry,
            sa.and_(
                LedgerEntry.transaction_id == LedgerTransaction.id,
                LedgerEntry.ledger_account.startswith(account),
            ),
        )
        .group_by(key, amount)
        .having(sa.or_(booked.is_(None), booked != sign * amount))
        .order_by(key)
    )
    for thing_id, minor, found in session.execute(query):
        if found is None:
            yield f"{kind}:{thing_id} is not booked."
        else:
            yield f"{kind}:{thing_id} is booked with {found} minor units instead of {sign * minor}."


def _payments_without_their_reference(session: Session) -> Iterator[str]:
    blank = sa.select(Payment.id).where(sa.func.trim(Payment.reference) == "").order_by(Payment.id)
    for payment_id in session.scalars(blank):
        yield f"Payment {payment_id} has no reference."
    said, details = sa.literal("payment:") + sa.cast(Payment.id, sa.String), LedgerTransaction.details
    other = (
        sa.select(Payment.id, Payment.gateway, Payment.reference)
        .join(LedgerTransaction, LedgerTransaction.reference == said)
        .where(
            sa.or_(
                details["gateway"].as_string() != Payment.gateway,
                details["reference"].as_string() != Payment.reference,
            )
        )
        .order_by(Payment.id)
    )
    for payment_id, gateway, reference in session.execute(other):
        yield f"Payment {payment_id} ({gateway} {reference}) was booked with another gateway or reference."


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


#: Where the numbers of each kind of document stand.
_NUMBERS = {INVOICE: Invoice.number, CREDIT: CreditNote.number}


def _series(session: Session, kind: str) -> Iterator[tuple[str, int]]:
    """Yield what the numbers of each series of a kind begin with, and the last number that it gave out."""
    query = sa.select(NumberSeries.name, NumberSeries.next_number)
    for name, following in session.execute(query.where(NumberSeries.name.startswith(f"{kind}:"))):
        yield f"{LETTERS[kind]}{name.partition(':')[2]}-", int(following) - 1


def _numbers_that_are_missing(session: Session) -> Iterator[str]:
    for kind, column in _NUMBERS.items():
        for prefix, last in _series(session, kind):
            number = sa.cast(sa.func.substr(column, len(prefix) + 1), sa.BigInteger)
            which = column.startswith(prefix, autoescape=True)
            count, highest = session.execute(
                sa.select(sa.func.count(), sa.func.max(number)).where(which)
            ).one()
            if (count, highest or 0) == (last, last):
                continue
            used = set(session.scalars(sa.select(number).where(which)))
            missing = sorted(set(range(1, last + 1)) - used)
            if missing:
                shown = ", ".join(f"{prefix}{number:05d}" for number in missing[:10])
                yield f"{len(missing)} {kind} numbers of {prefix[:-1]} are missing, beginning with {shown}."
            strange = sorted(used - set(range(1, last + 1)))
            if strange:
                yield f"The {kind} number {prefix}{strange[0]:05d} was never given out."


def _numbers_that_are_double(session: Session) -> Iterator[str]:
    for kind, column in _NUMBERS.items():
        query = sa.select(column).where(column.is_not(None)).group_by(column).having(sa.func.count() > 1)
        for number in session.scalars(query):
            yield f"The {kind} number {number} was given out more than once."


def _numbers_of_no_series(session: Session) -> Iterator[str]:
    for kind, column in _NUMBERS.items():
        known = [column.startswith(prefix, autoescape=True) for prefix, _ in _series(session, kind)]
        query = sa.select(column).where(column.is_not(None), ~sa.or_(sa.false(), *known))
        for number in session.scalars(query.limit(10)):
            yield f"The {kind} number {number} belongs to no series."


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


def _credit_notes_that_are_not_booked(session: Session) -> Iterator[str]:
    # What takes a whole invoice back is booked with the invoice; a part has a booking of its own.
    taken_back = aliased(LedgerTransaction)
    whole = sa.exists().where(
        taken_back.reference == sa.literal("credit:") + sa.cast(CreditNote.invoice_id, sa.String)
    )
    of_note = LedgerTransaction.reference == sa.literal("credit_note:") + sa.cast(CreditNote.id, sa.String)
    to_balance = sa.func.sum(LedgerEntry.amount_minor).filter(
        LedgerEntry.ledger_account.startswith("balance:")
    )
    query = (
        sa.select(
            CreditNote.number, CreditNote.gross_minor, CreditNote.currency, to_balance,
            sa.func.count(LedgerTransaction.id),
        )
        .outerjoin(LedgerTransaction, of_note)
        .outerjoin(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .where(sa.or_(LedgerTransaction.id.is_not(None), ~whole))
        .group_by(CreditNote.id, CreditNote.number, CreditNote.gross_minor, CreditNote.currency)
        .order_by(CreditNote.id)
    )  # fmt: skip
    for number, gross, currency, booked, found in session.execute(query):
        if not found:
            yield f"Credit note {number} is not booked."
        elif -int(booked or 0) != gross:
            yield f"Credit note {number} is over {Money(int(gross), currency)}, and another amount went to the balance."
