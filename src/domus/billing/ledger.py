"""Double entry: every booking sums to zero, and nothing that was booked is ever changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing.models import LedgerEntry, LedgerTransaction
from domus.core.money import Money
from domus.db.bulk import insert_rows, take_ids

REVENUE = "revenue"
TAX = "tax"
#: What gateways keep for themselves.
FEES = "fees"

#: The gateway that pays from what an account has prepaid.
FROM_BALANCE = "balance"


def receivable(account_id: int) -> str:
    """Return the ledger account of what a customer owes; a debit is owed, a credit was paid."""
    return f"receivable:{account_id}"


def cash(gateway: str) -> str:
    """Return the ledger account of the money that came through a gateway."""
    return f"cash:{gateway}"


def balance(account_id: int) -> str:
    """Return the ledger account of what a customer has prepaid; a credit is the customer's, a debit is owed to us."""
    return f"balance:{account_id}"


def disputed(account_id: int) -> str:
    """Return the ledger account of money that a gateway holds back until a dispute is decided."""
    return f"disputed:{account_id}"


def source(gateway: str, account_id: int) -> str:
    """Return the ledger account that a payment came out of, and that a refund of it goes back to."""
    return balance(account_id) if gateway == FROM_BALANCE else cash(gateway)


def book(
    session: Session,
    kind: str,
    reference: str,
    entries: Sequence[tuple[str, Money]],
    *,
    actor: Actor,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> LedgerTransaction:
    """Write one booking: ``entries`` are (ledger account, amount), debits positive; those of nothing are left out.

    The reference is unique for ever, so the database refuses to book the same thing twice. Raises ValueError when the
    entries do not sum to zero in each currency: that is a fault of the caller, never of a person.
    """
    kept = [(account, amount) for account, amount in entries if amount]
    sums: dict[str, Money] = {}
    for _, amount in kept:
        sums[amount.currency] = sums.get(amount.currency, Money.zero(amount.currency)) + amount
    if not kept or any(sums.values()):
        raise ValueError(
            f"booking {reference} does not balance: {', '.join(map(str, sums.values())) or 'no entries'}"
        )
    transaction = LedgerTransaction(
        at=now,
        kind=kind,
        reference=reference,
        actor=actor.name,
        details=dict(details or {}),
        entries=[
            LedgerEntry(ledger_account=account, currency=amount.currency, amount_minor=amount.minor)
            for account, amount in kept
        ],
    )
    session.add(transaction)
    session.flush()
    return transaction


@dataclass(frozen=True, slots=True)
class Booking:
    """One booking of many: entries are (ledger account, minor units), debits positive, all of one currency."""

    kind: str
    reference: str
    currency: str
    entries: Sequence[tuple[str, int]]
    details: Mapping[str, Any]


def book_many(session: Session, bookings: Sequence[Booking], *, actor: Actor, now: datetime) -> None:
    """Write many bookings at once, each as `book` does; raise ValueError when one of them does not sum to zero."""
    for booking in bookings:
        if sum(minor for _, minor in booking.entries) or not any(minor for _, minor in booking.entries):
            raise ValueError(f"booking {booking.reference} does not balance")
    keys = take_ids(session, LedgerTransaction, len(bookings))
    insert_rows(
        session,
        LedgerTransaction,
        ("id", "at", "kind", "reference", "actor", "details"),
        (
            (key, now, booking.kind, booking.reference, actor.name, dict(booking.details))
            for key, booking in zip(keys, bookings, strict=True)
        ),
    )
    insert_rows(
        session,
        LedgerEntry,
        ("transaction_id", "ledger_account", "currency", "amount_minor"),
        (
            (key, account, booking.currency, minor)
            for key, booking in zip(keys, bookings, strict=True)
            for account, minor in booking.entries
            if minor
        ),
    )


def is_booked(session: Session, reference: str) -> bool:
    """Tell whether something is booked."""
    return (
        session.scalar(sa.select(LedgerTransaction.id).where(LedgerTransaction.reference == reference))
        is not None
    )


def balance_of(session: Session, account_id: int, currency: str) -> Money:
    """Return what an account has prepaid in a currency; negative when money was taken back that had been spent."""
    total = sa.select(sa.func.sum(LedgerEntry.amount_minor)).where(
        LedgerEntry.ledger_account == balance(account_id), LedgerEntry.currency == currency
    )
    return Money(-int(session.scalar(total) or 0), currency)


def balances_of(session: Session, account_id: int) -> list[Money]:
    """Return what an account has prepaid, in every currency in which that is not nothing."""
    total = sa.func.sum(LedgerEntry.amount_minor)
    query = (
        sa.select(LedgerEntry.currency, total)
        .where(LedgerEntry.ledger_account == balance(account_id))
        .group_by(LedgerEntry.currency)
        .having(total != 0)
        .order_by(LedgerEntry.currency)
    )
    return [Money(-int(minor), currency) for currency, minor in session.execute(query)]


def balances(session: Session) -> dict[str, list[Money]]:
    """Return the balance of every ledger account in each currency that it was used with."""
    total = sa.func.sum(LedgerEntry.amount_minor)
    query = (
        sa.select(LedgerEntry.ledger_account, LedgerEntry.currency, total)
        .group_by(LedgerEntry.ledger_account, LedgerEntry.currency)
        .order_by(LedgerEntry.ledger_account, LedgerEntry.currency)
    )
    found: dict[str, list[Money]] = {}
    for account, currency, minor in session.execute(query):
        found.setdefault(account, []).append(Money(int(minor), currency))
    return found
