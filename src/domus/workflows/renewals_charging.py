"""Renewals that are paid without anybody doing something: from the balance, or by charging a saved card, with back-off."""

from __future__ import annotations

from datetime import datetime, timedelta

from domus.accounts.actor import Actor
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.gateways.registry import Gateways
from domus.workflows import payments_booking, payments_charging

ACTOR = Actor.system("renewals")

#: A card is charged first so many days before its contract runs out,
CHARGE_DAYS_BEFORE = 1
#: and after a refusal again so many days later each time; then the customer has to pay otherwise.
RETRY_AFTER_DAYS = (1, 2, 4, 8)


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
        return payments_booking.pay_invoice_from_balance(session, invoice_id, actor=ACTOR, now=now)


def charge(db: Database, gateways: Gateways, *, account_id: int, invoice_id: int, now: datetime) -> bool:
    """Charge a renewal to the account's saved method; True when it is paid.

    Raises Conflict with the reason when it was refused; one that the gateway has not decided yet is no refusal.
    """
    charged = payments_charging.charge(
        db, gateways, account_id=account_id, invoice_id=invoice_id, actor=ACTOR, now=now
    )
    if charged.problem and not charged.pending:
        raise Conflict(charged.problem)
    return charged.paid
