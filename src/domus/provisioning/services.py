"""A wish and its consequences, together: the job that people watch and the message that wakes Salt."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.provisioning import jobs, outbox
from domus.provisioning.models import Job, JobKind


def ask_dom0(
    session: Session,
    vps_id: uuid.UUID,
    kind: JobKind,
    *,
    revision: int,
    actor: Actor,
    reason: str = "",
    now: datetime,
    tag: str = outbox.VPS_CHANGED,
) -> Job:
    """Open the job of a revision that is wanted from here on, and tell Salt that the VPS changed."""
    job = jobs.open_job(session, vps_id, kind, revision=revision, actor=actor, reason=reason, now=now)
    tell_vps_changed(session, vps_id, now=now, tag=tag)
    return job


def tell_vps_changed(
    session: Session, vps_id: uuid.UUID, *, now: datetime, tag: str = outbox.VPS_CHANGED
) -> None:
    """Tell Salt that something else is wanted of the VPS; the tag (one of ``outbox.VPS_NEWS``) says why."""
    outbox.put(session, tag, {"vps_id": str(vps_id)}, now=now)


def tell_order_paid(session: Session, order_id: uuid.UUID, *, now: datetime) -> None:
    """Tell Salt that an order is paid."""
    outbox.put(session, outbox.ORDER_PAID, {"order_id": str(order_id)}, now=now)


def tell_console_wanted(session: Session, vps_id: uuid.UUID, *, now: datetime) -> None:
    """Tell Salt that somebody looks at the console."""
    outbox.put(session, outbox.CONSOLE_WANTED, {"vps_id": str(vps_id)}, now=now)
