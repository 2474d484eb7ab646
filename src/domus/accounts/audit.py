"""The record of what was done, by whom, to what, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import AuditEvent

MAX_REASON_LENGTH = 500


def record(
    session: Session,
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: object,
    account_id: int | None = None,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
    now: datetime,
) -> AuditEvent:
    """Write one event, in the transaction of what it tells about. Details are small JSON values and never a secret."""
    event = AuditEvent(
        at=now,
        actor=actor.name,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        account_id=account_id,
        # PostgreSQL has no place for a NUL in a text.
        reason=reason.replace("\0", "")[:MAX_REASON_LENGTH],
        details=dict(details or {}),
    )
    session.add(event)
    return event
