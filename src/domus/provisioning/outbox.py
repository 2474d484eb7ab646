"""The outbox: what Salt must be told, kept with what made it true and told until somebody acted on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.db.rows import changed_rows
from domus.provisioning.models import OutboxMessage

#: Where PostgreSQL wakes the engine up.
CHANNEL = "domus_outbox"

ORDER_PAID = "domus/order/paid"
VPS_CHANGED = "domus/vps/changed"
CONSOLE_WANTED = "domus/console/wanted"
RENEWAL_PAID = "domus/renewal/paid"
SUBSCRIPTION_SUSPENDED = "domus/subscription/suspended"
SUBSCRIPTION_RELEASED = "domus/subscription/released"
SUBSCRIPTION_ENDED = "domus/subscription/ended"
SUBSCRIPTION_CHANGED = "domus/subscription/changed"

#: The same news with another cause each: something else is wanted of a VPS.
VPS_NEWS = (
    VPS_CHANGED,
    RENEWAL_PAID,
    SUBSCRIPTION_SUSPENDED,
    SUBSCRIPTION_RELEASED,
    SUBSCRIPTION_ENDED,
    SUBSCRIPTION_CHANGED,
)


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message to fire now; nobody else fires it before the lease ends."""

    id: int
    tag: str
    payload: dict[str, Any]
    """With ``message_id`` in it, as the event carries it."""


def put(session: Session, tag: str, payload: dict[str, str], *, now: datetime) -> None:
    """Write a message in the caller's transaction, and wake the engine when that commits."""
    session.add(OutboxMessage(tag=tag, payload=payload, created_at=now, next_attempt_at=now))
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


def claim(session: Session, *, now: datetime, limit: int, lease: timedelta) -> list[ClaimedMessage]:
    """Take up to *limit* messages that nobody holds, oldest first, for the time of the lease."""
    due = (
        sa.select(OutboxMessage)
        .where(OutboxMessage.done_at.is_(None), OutboxMessage.next_attempt_at <= now)
        .order_by(OutboxMessage.next_attempt_at, OutboxMessage.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for message in session.scalars(due).all():
        message.next_attempt_at = now + lease
        message.attempts += 1
        claimed.append(ClaimedMessage(message.id, message.tag, {**message.payload, "message_id": message.id}))
    return claimed


def finish(
    session: Session, message_id: int, *, tag: str, payload: dict[str, str], outcome: str, now: datetime
) -> bool:
    """Record the outcome of a message; False when it is done, about something else, or not there.

    An event can be forged by any minion, so the message must be the very one that the event speaks of.
    """
    message = session.get(OutboxMessage, message_id)
    if message is None or message.tag != tag or message.payload != payload:
        return False
    pending = (OutboxMessage.id == message_id, OutboxMessage.done_at.is_(None))
    done = sa.update(OutboxMessage).where(*pending).values(done_at=now, outcome=outcome[:500])
    return bool(changed_rows(session, done))
