"""Do contracts agree with what was paid for them? Each check returns one sentence per problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import CreditNote, Invoice, InvoiceState, Subscription
from domus.renewals.models import Renewal


def all_problems(session: Session) -> list[str]:
    """Return every problem found; none is good."""
    checks: tuple[Callable[[Session], Iterator[str]], ...] = (
        _renewals_that_differ_from_their_invoices,
        _contracts_that_differ_from_what_was_paid,
        _periods_that_do_not_follow_one_another,
    )
    return [problem for check in checks for problem in check(session)]


def _renewals_that_differ_from_their_invoices(session: Session) -> Iterator[str]:
    expected = sa.case(
        (Renewal.settled_at.is_not(None), InvoiceState.PAID.value),
        (Renewal.withdrawn_at.is_not(None), InvoiceState.CANCELLED.value),
        else_=InvoiceState.OPEN.value,
    )
    query = (
        sa.select(Renewal.invoice_id, Invoice.state, expected)
        .join(Invoice, Invoice.id == Renewal.invoice_id)
        .where(sa.cast(Invoice.state, sa.String) != expected, ~_given_back())
        .order_by(Renewal.invoice_id)
    )
    for invoice_id, state, other in session.execute(query):
        yield f"Invoice {invoice_id} is {state.value}, and the renewal that it is for looks {other}."


def _given_back() -> sa.ColumnElement[bool]:
    """Ask for renewals that were paid, and taken back with all of their money before they began."""
    credited = (
        sa.select(sa.func.sum(CreditNote.gross_minor))
        .where(CreditNote.invoice_id == Invoice.id)
        .correlate(Invoice)
        .scalar_subquery()
    )
    return sa.and_(
        Renewal.withdrawn_at.is_not(None),
        Invoice.state == InvoiceState.PAID,
        sa.func.coalesce(credited, 0) == Invoice.gross_minor,
    )


def _contracts_that_differ_from_what_was_paid(session: Session) -> Iterator[str]:
    last = sa.func.max(Renewal.ends_on)
    query = (
        sa.select(Subscription.id, Subscription.paid_until, last)
        .join(Renewal, Renewal.subscription_id == Subscription.id)
        .where(Renewal.settled_at.is_not(None))
        .group_by(Subscription.id, Subscription.paid_until)
        .having(last != Subscription.paid_until)
        .order_by(Subscription.id)
    )
    for contract_id, until, paid in session.execute(query):
        yield f"Contract {contract_id} counts as paid until {until}; its last payment was until {paid}."


def _periods_that_do_not_follow_one_another(session: Session) -> Iterator[str]:
    earlier = sa.func.lag(Renewal.ends_on, type_=sa.Date())
    before = earlier.over(partition_by=Renewal.subscription_id, order_by=Renewal.starts_on)
    paid = (
        sa.select(Renewal.subscription_id, Renewal.starts_on, before.label("before"))
        .where(Renewal.settled_at.is_not(None))
        .subquery()
    )
    query = sa.select(paid).where(paid.c.before != paid.c.starts_on).order_by(paid.c.subscription_id)
    for contract_id, starts_on, ended_on in session.execute(query):
        what = "twice from" if ended_on > starts_on else "not at all from"
        first, last = sorted((starts_on, ended_on))
        yield f"Contract {contract_id} was paid {what} {first} to {last}."
