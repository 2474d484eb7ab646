"""Throws away what nobody needs any more. What history is made of is kept for ever and is not touched here."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from domus.accounts import throttle
from domus.accounts.models import LoginFailure, LoginSession, PasswordReset
from domus.db.engine import Database
from domus.db.rows import changed_rows
from domus.gateways.models import EventState, GatewayEvent, GatewayRefusal
from domus.mail.models import OutgoingMail
from domus.provisioning.models import Dom0Run, OutboxMessage
from domus.workflows.password_reset import REQUEST_LIFE

#: How long what was told to Salt, and what came of it, can be looked up.
KEEP = timedelta(days=30)

#: How long it can be looked up which mails went out, and what stood in them. Whether one was told is known only as long.
KEEP_MAILS = timedelta(days=400)


def clean_up(db: Database, *, now: datetime) -> int:
    """Delete log-ins and failures that ran out, and messages and state runs that ended long ago; return how many."""
    old = now - KEEP
    # What a gateway said about ours is kept, since the books refer to it; with whom and what, only as long as mails.
    words = sa.update(GatewayEvent).where(
        GatewayEvent.received_at <= now - KEEP_MAILS, GatewayEvent.body != ""
    )
    with db.unit_of_work() as session:
        session.execute(words.values(body="", headers={}))
    gone = (
        sa.delete(LoginFailure).where(LoginFailure.at <= now - throttle.WINDOW),
        sa.delete(LoginSession).where(LoginSession.expires_at <= now),
        sa.delete(PasswordReset).where(PasswordReset.requested_at <= now - REQUEST_LIFE),
        sa.delete(OutgoingMail).where(OutgoingMail.sent_at <= now - KEEP_MAILS),
        sa.delete(GatewayEvent).where(
            GatewayEvent.state == EventState.IGNORED, GatewayEvent.received_at <= old
        ),
        sa.delete(GatewayRefusal).where(GatewayRefusal.last_at <= now - KEEP_MAILS),
        sa.delete(OutboxMessage).where(OutboxMessage.done_at <= old),
        sa.delete(Dom0Run).where(Dom0Run.ended_at <= old),
    )
    deleted = 0
    for statement in gone:
        # Each on its own: a long one keeps nobody waiting at the others' tables.
        with db.unit_of_work() as session:
            deleted += changed_rows(session, statement)
    return deleted
