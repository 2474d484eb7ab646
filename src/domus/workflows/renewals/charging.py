"""Renewals that are paid without anybody doing something: from the balance, or by charging a saved card, with back-off."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing import services as billing
from domus.billing.models import InvoiceState
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.gateways.models import AttemptKind, AttemptState, PaymentAttempt, SavedMethod
from domus.gateways.registry import Gateways
from domus.workflows.payments import booking, charging

ACTOR = Actor.system("renewals")

#: A card is charged first so many days before its contract runs out,
CHARGE_DAYS_BEFORE = 1
#: and after a refusal again so many days later each time; then the customer has to pay otherwise.
RETRY_AFTER_DAYS = (1, 2, 4, 8)


class CardRefused(Conflict):
    """The saved method was refused, and is still the one that the account's other invoices would be charged to."""


def is_time(*, tries: int, last_try_at: datetime | None, now: datetime) -> bool:
    """Tell whether a card that was refused so many times may be charged again."""
    if tries == 0 or last_try_at is None:
        return True
    if tries > len(RETRY_AFTER_DAYS):
        return False
    return now >= last_try_at + timedelta(days=RETRY_AFTER_DAYS[tries - 1])


def pay_from_balance(db: Database, *, invoice_id: int, now: datetime) -> bool:
    """Pay one renewal from the balance, and bring its VPS back; False when the balance does not cover it (any more)."""
    with db.unit_of_work() as session:
        return booking.pay_invoice_from_balance(session, invoice_id, actor=ACTOR, now=now)


def settle_free(db: Database, *, invoice_id: int, now: datetime) -> bool:
    """Settle a renewal that a coupon leaves nothing to pay of; False when it was settled or withdrawn meanwhile."""
    with db.unit_of_work() as session:
        invoice, follow_up = booking.lock_invoice(session, invoice_id, now=now)
        if invoice is None or invoice.state is not InvoiceState.OPEN:
            return False
        billing.settle_free(session, invoice, now=now)
        follow_up(actor=ACTOR, now=now)
    return True


def charge(db: Database, gateways: Gateways, *, account_id: int, invoice_id: int, now: datetime) -> bool:
    """Charge a renewal to the account's saved method; True when it is paid.

    Raises CardRefused with the reason when it was refused, and Conflict when nothing could be charged; what the
    gateway has not decided yet is no refusal.
    """
    charged = charging.charge(
        db, gateways, account_id=account_id, invoice_id=invoice_id, actor=ACTOR, now=now
    )
    if charged.problem and not charged.pending:
        raise CardRefused(charged.problem) if _was_refused(db, invoice_id, now) else Conflict(charged.problem)
    return charged.paid


def _was_refused(db: Database, invoice_id: int, now: datetime) -> bool:
    """Tell whether a method was charged at this moment and refused, and is not one that was forgotten because of that."""
    query = (
        sa.select(PaymentAttempt.id)
        .join(SavedMethod, SavedMethod.id == PaymentAttempt.method_id)
        .where(
            PaymentAttempt.invoice_id == invoice_id,
            PaymentAttempt.kind == AttemptKind.CHARGE,
            PaymentAttempt.state == AttemptState.FAILED,
            PaymentAttempt.created_at >= now,
            SavedMethod.removed_at.is_(None),
        )
    )
    with db.reading() as session:
        return session.scalar(query.limit(1)) is not None
