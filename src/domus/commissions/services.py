"""Commissions earned, paid and taken back, each with its booking. Each works in the caller's transaction.

What is earned is an expense, and owed to whoever earned it (``commission:<account>``) until it is paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing import ledger
from domus.billing.models import Invoice
from domus.billing.receiving import lock_account
from domus.commissions import queries
from domus.commissions.amounts import earned, to_reverse
from domus.commissions.models import Commission, CommissionState
from domus.core.errors import Conflict, NotFound
from domus.core.money import Money

#: The ledger account of what commissions cost.
EXPENSE = "commission"


def owed(account_id: int) -> str:
    """Return the ledger account of what is owed to somebody for customers that came; a credit is theirs."""
    return f"commission:{account_id}"


def earn(
    session: Session, invoices: Sequence[Any], *, refund_time: timedelta, actor: Actor, now: datetime
) -> int:
    """Write the commissions of invoices (rows of `queries.to_earn`); return how many another run had not written."""
    rows = []
    for row in invoices:
        fixed = Money(int(row.fixed_minor), row.currency)
        amount = earned(
            Money(int(row.net_minor), row.currency), millipercent=int(row.millipercent), fixed=fixed
        )
        if amount:
            rows.append(
                {
                    "invoice_id": row.id,
                    "account_id": row.referrer_id,
                    "product_id": row.product_id,
                    "currency": row.currency,
                    "amount_minor": amount.minor,
                    "reversed_minor": 0,
                    "state": CommissionState.PENDING,
                    "earned_at": now,
                    "payable_at": row.paid_at + refund_time,
                    "reference": "",
                }
            )  # fmt: skip
    if not rows:
        return 0
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(Commission).on_conflict_do_nothing(index_elements=[Commission.invoice_id])
    ids = session.scalars(statement.returning(Commission.id), rows).all()
    written = session.scalars(
        sa.select(Commission).where(Commission.id.in_(ids)).order_by(Commission.id)
    ).all()
    bookings = [
        ledger.Booking(
            "commission", f"commission:{row.id}", row.currency,
            [(EXPENSE, row.amount_minor), (owed(row.account_id), -row.amount_minor)], {"invoice": row.invoice_id},
        )
        for row in written
    ]  # fmt: skip
    ledger.book_many(session, bookings, actor=actor, now=now)
    return len(written)


def lock(session: Session, commission_id: int) -> Commission:
    """Return a commission as it is now, and keep others from changing it; raise NotFound when there is none."""
    query = sa.select(Commission).where(Commission.id == commission_id).with_for_update()
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("There is no such commission.")
    return found


def reverse(session: Session, commission: Commission, *, actor: Actor, now: datetime) -> bool:
    """Take back as much of a locked commission as went back of its invoice; False when that was done already.

    What was paid already is taken from the balance, which may go below zero: it is settled by what is earned next.
    """
    gross = session.scalars(sa.select(Invoice.gross_minor).where(Invoice.id == commission.invoice_id)).one()
    taken = session.scalars(sa.select(queries.taken_back()).where(Commission.id == commission.id)).one()
    if not taken:
        return False
    in_all = to_reverse(commission.amount, gross=int(gross), taken=int(taken))
    part = Money(in_all.minor - commission.reversed_minor, commission.currency)
    if part.minor <= 0:
        return False
    is_pending = commission.state is CommissionState.PENDING
    if not is_pending:
        lock_account(session, commission.account_id)
    source = owed(commission.account_id) if is_pending else ledger.balance(commission.account_id)
    commission.reversed_minor = in_all.minor
    if is_pending and not commission.left:
        commission.state, commission.settled_at = CommissionState.REVERSED, now
    ledger.book(
        session, "commission_back", f"commission_back:{commission.id}:{in_all.minor}",
        [(source, part), (EXPENSE, -part)], actor=actor, now=now, details={"invoice": commission.invoice_id},
    )  # fmt: skip
    return True


def credit(session: Session, commission: Commission, *, actor: Actor, now: datetime) -> None:
    """Put what is left of a locked commission into the balance of whoever earned it."""
    _refuse_unpayable(session, commission, now=now)
    lock_account(session, commission.account_id)
    to = ledger.balance(commission.account_id)
    _settle(session, commission, CommissionState.CREDITED, to, actor=actor, now=now)


def pay_out(session: Session, commission: Commission, *, reference: str, actor: Actor, now: datetime) -> None:
    """Note that an operator has paid what is left of a locked commission."""
    _refuse_unpayable(session, commission, now=now)
    commission.reference = reference
    to = ledger.cash("operator")
    _settle(session, commission, CommissionState.PAID_OUT, to, actor=actor, now=now)


def _settle(
    session: Session, commission: Commission, state: CommissionState, to: str, *, actor: Actor, now: datetime
) -> None:
    commission.state, commission.settled_at = state, now
    left = commission.left
    ledger.book(
        session, "commission_paid", f"commission_paid:{commission.id}",
        [(owed(commission.account_id), left), (to, -left)], actor=actor, now=now,
        details={"reference": commission.reference} if commission.reference else {},
    )  # fmt: skip


def _refuse_unpayable(session: Session, commission: Commission, *, now: datetime) -> None:
    if commission.state is not CommissionState.PENDING:
        raise Conflict(f"This commission is {commission.state.value.replace('_', ' ')} already.")
    if now < commission.payable_at:
        raise Conflict(
            f"The customer can have the money back until {commission.payable_at:%Y-%m-%d}; it is not due before."
        )
    contested = sa.select(sa.exists().where(Commission.id == commission.id, queries.is_contested()))
    if session.scalar(contested):
        raise Conflict("The customer's payment is in dispute; wait until that is decided.")
