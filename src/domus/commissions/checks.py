"""Do the commissions agree with the ledger? Each check returns one sentence per problem."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import LedgerEntry, LedgerTransaction
from domus.commissions.models import Commission, CommissionState
from domus.commissions.services import EXPENSE
from domus.core.money import Money


def all_problems(session: Session) -> list[str]:
    """Return every problem found; none is good."""
    return [*_not_booked(session), *_expense(session), *_owed(session)]


def _not_booked(session: Session) -> Iterator[str]:
    """Name commissions whose booking is missing or over another amount."""
    reference = sa.literal("commission:") + sa.cast(Commission.id, sa.String)
    booked = sa.func.sum(LedgerEntry.amount_minor)
    query = (
        sa.select(Commission.id, Commission.amount_minor, Commission.currency, booked)
        .outerjoin(LedgerTransaction, LedgerTransaction.reference == reference)
        .outerjoin(
            LedgerEntry,
            sa.and_(
                LedgerEntry.transaction_id == LedgerTransaction.id, LedgerEntry.ledger_account == EXPENSE
            ),
        )
        .group_by(Commission.id, Commission.amount_minor, Commission.currency)
        .having(sa.or_(booked.is_(None), booked != Commission.amount_minor))
        .order_by(Commission.id)
    )
    for commission_id, minor, currency, found in session.execute(query):
        said = "is not booked" if found is None else f"is booked with {Money(int(found), currency)}"
        yield f"Commission {commission_id} over {Money(int(minor), currency)} {said}."


def _expense(session: Session) -> Iterator[str]:
    """Name currencies in which commissions cost something else than was earned and not taken back."""
    left = sa.func.sum(Commission.amount_minor - Commission.reversed_minor)
    query = sa.select(Commission.currency, left).group_by(Commission.currency)
    earned = {currency: int(minor) for currency, minor in session.execute(query)}
    total = sa.func.sum(LedgerEntry.amount_minor)
    entries = (
        sa.select(LedgerEntry.currency, total)
        .where(LedgerEntry.ledger_account == EXPENSE)
        .group_by(LedgerEntry.currency)
    )
    booked = {currency: int(minor) for currency, minor in session.execute(entries)}
    for currency in sorted(earned.keys() | booked.keys()):
        if earned.get(currency, 0) != booked.get(currency, 0):
            yield (
                f"Commissions come to {Money(earned.get(currency, 0), currency)}, and the ledger has "
                f"{Money(booked.get(currency, 0), currency)}."
            )


def _owed(session: Session) -> Iterator[str]:
    """Name accounts to whom something else is owed than their pending commissions."""
    name = sa.literal(f"{EXPENSE}:") + sa.cast(Commission.account_id, sa.String)
    left = sa.func.sum(Commission.amount_minor - Commission.reversed_minor)
    pending = (
        sa.select(name, Commission.currency, left)
        .where(Commission.state == CommissionState.PENDING)
        .group_by(Commission.account_id, Commission.currency)
    )
    due = {(who, currency): int(minor) for who, currency, minor in session.execute(pending) if minor}
    total = sa.func.sum(LedgerEntry.amount_minor)
    entries = (
        sa.select(LedgerEntry.ledger_account, LedgerEntry.currency, total)
        .where(LedgerEntry.ledger_account.startswith(f"{EXPENSE}:"))
        .group_by(LedgerEntry.ledger_account, LedgerEntry.currency)
        .having(total != 0)
    )
    booked = {(who, currency): -int(minor) for who, currency, minor in session.execute(entries)}
    for key in sorted(due.keys() | booked.keys()):
        if due.get(key, 0) != booked.get(key, 0):
            who, currency = key
            yield (
                f"{who} has {Money(booked.get(key, 0), currency)} in the ledger, and "
                f"{Money(due.get(key, 0), currency)} of commissions are pending."
            )
