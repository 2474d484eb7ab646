"""Attempts to have an invoice paid, and the methods that were saved with them. Each works in the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.core.errors import TooManyAttempts
from domus.core.money import Money
from domus.gateways.interface import Method
from domus.gateways.models import AttemptKind, AttemptState, PaymentAttempt, SavedMethod

#: When to ask by ourselves how an attempt stands, after it was begun or asked about last.
FIRST_LOOK = timedelta(minutes=10)
MAX_LOOKS = 12

#: So many times an hour a customer may begin to pay or to save a card. Nobody needs more; who tries out stolen cards does.
MAX_AN_HOUR = 20
#: What only customers begin. Charges are begun by renewal runs, too, and those keep nobody from paying by hand.
BY_CUSTOMERS = (AttemptKind.PAY, AttemptKind.SAVE)


def open_attempt(
    session: Session,
    *,
    account_id: int,
    invoice_id: int | None,
    gateway: str,
    kind: AttemptKind,
    amount: Money,
    method_id: int | None = None,
    now: datetime,
) -> PaymentAttempt:
    """Write down what will be asked of a gateway, before it is."""
    attempt = PaymentAttempt(
        account_id=account_id,
        invoice_id=invoice_id,
        gateway=gateway,
        kind=kind,
        currency=amount.currency,
        amount_minor=amount.minor,
        method_id=method_id,
        created_at=now,
        next_look_at=now + FIRST_LOOK,
    )
    session.add(attempt)
    session.flush()
    return attempt


def refuse_too_many(
    session: Session, account_id: int, *, now: datetime, kinds: Collection[AttemptKind] = BY_CUSTOMERS
) -> None:
    """Raise TooManyAttempts when an account has begun to pay often enough for this hour."""
    hour = timedelta(hours=1)
    begun = sa.select(PaymentAttempt.created_at).where(
        PaymentAttempt.account_id == account_id,
        PaymentAttempt.created_at > now - hour,
        PaymentAttempt.kind.in_(kinds),
    )
    moments = session.scalars(begun.order_by(PaymentAttempt.created_at.desc()).limit(MAX_AN_HOUR)).all()
    if len(moments) >= MAX_AN_HOUR:
        wait = moments[-1] + hour - now
        raise TooManyAttempts(
            f"You have begun {MAX_AN_HOUR} payments within an hour. Please wait a little, or ask us for help.",
            retry_after_seconds=max(1, int(wait.total_seconds())),
        )


def end(
    session: Session,
    attempt_id: uuid.UUID,
    state: AttemptState,
    *,
    reference: str = "",
    problem: str = "",
    now: datetime,
) -> bool:
    """End an attempt. What is done stays done; what failed may turn out done after all."""
    from_states = [AttemptState.OPEN] + ([AttemptState.FAILED] if state is AttemptState.DONE else [])
    attempt = session.get(PaymentAttempt, attempt_id, with_for_update=True, populate_existing=True)
    if attempt is None or attempt.state not in from_states:
        return False
    attempt.state = state
    attempt.problem = problem[:500]
    attempt.reference = reference or attempt.reference
    attempt.next_look_at = None
    attempt.ended_at = now
    return True


def due(session: Session, *, now: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return the open attempts that nobody heard of for a while."""
    query = (
        sa.select(PaymentAttempt.id)
        .where(PaymentAttempt.state == AttemptState.OPEN, PaymentAttempt.next_look_at <= now)
        .order_by(PaymentAttempt.next_look_at, PaymentAttempt.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def look_later(session: Session, attempt_id: uuid.UUID, *, now: datetime) -> None:
    """Have an attempt that is still open looked at again, each time after twice as long; give it up at last."""
    row = session.get(PaymentAttempt, attempt_id, with_for_update=True, populate_existing=True)
    if row is None or row.state is not AttemptState.OPEN:
        return
    if row.looks >= MAX_LOOKS:
        end(session, row.id, AttemptState.FAILED, problem="never finished", now=now)
        return
    row.looks += 1
    row.next_look_at = now + FIRST_LOOK * (1 << row.looks)


def save_method(session: Session, *, account_id: int, gateway: str, method: Method, now: datetime) -> None:
    """Remember a method. One that the customer removed stays removed, however late the gateway tells of it."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    values = {
        "account_id": account_id,
        "gateway": gateway,
        "customer": method.customer,
        "method": method.method,
        "label": method.label[:100] or "Card",
        "valid_until": method.valid_until,
        "created_at": now,
    }
    insert = postgresql.insert(SavedMethod) if is_postgresql else sqlite.insert(SavedMethod)
    session.execute(
        insert.values(**values).on_conflict_do_nothing(
            index_elements=[SavedMethod.gateway, SavedMethod.method]
        )
    )


def methods_of(session: Session, account_id: int) -> Sequence[SavedMethod]:
    """Return the methods that an account lets us charge, the newest first: that is the one renewals take."""
    query = (
        sa.select(SavedMethod)
        .where(SavedMethod.account_id == account_id, SavedMethod.removed_at.is_(None))
        .order_by(SavedMethod.created_at.desc(), SavedMethod.id.desc())
    )
    return session.scalars(query).all()


def customer_of(session: Session, account_id: int, gateway: str) -> str:
    """Return what a gateway calls the account, from any method that it ever saved; empty when it has none."""
    query = (
        sa.select(SavedMethod.customer)
        .where(SavedMethod.account_id == account_id, SavedMethod.gateway == gateway)
        .order_by(SavedMethod.id)
        .limit(1)
    )
    return session.scalar(query) or ""
