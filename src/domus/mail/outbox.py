"""Taking mails out of the outbox: each is tried by one sender at a time, again after a while, and not for ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.db.rows import changed_rows
from domus.mail.models import MailState, OutgoingMail

#: How long after each attempt that failed the next one comes. After the last the mail is given up: some three days in all.
BACK_OFF = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720, 1440, 1440)
)  # fmt: skip

#: For so long a mail is its sender's. One that died loses it then, and another may send the mail again.
LEASE = timedelta(minutes=15)

MAX_PROBLEM = 500


def due(session: Session, *, limit: int, now: datetime) -> Sequence[int]:
    """Return the ids of mails that are to be tried now, those that wait longest first."""
    query = sa.select(OutgoingMail.id).where(
        OutgoingMail.state == MailState.WAITING, OutgoingMail.next_attempt_at <= now
    )
    return session.scalars(query.order_by(OutgoingMail.next_attempt_at, OutgoingMail.id).limit(limit)).all()


def claim(session: Session, mail_id: int, *, now: datetime) -> OutgoingMail | None:
    """Take a mail to try it; None when another sender has it, or it is not due any more."""
    taken = changed_rows(
        session,
        sa.update(OutgoingMail)
        .where(
            OutgoingMail.id == mail_id,
            OutgoingMail.state == MailState.WAITING,
            OutgoingMail.next_attempt_at <= now,
        )
        .values(attempts=OutgoingMail.attempts + 1, next_attempt_at=now + LEASE),
    )
    return session.get(OutgoingMail, mail_id, populate_existing=True) if taken else None


def note_sent(session: Session, mail_id: int, *, subject: str, text: str, now: datetime) -> None:
    """Note that a server took it, with the words that went out."""
    session.execute(
        sa.update(OutgoingMail)
        .where(OutgoingMail.id == mail_id)
        .values(state=MailState.SENT, sent_at=now, problem="", subject=subject, text=text)
    )


def note_refused(
    session: Session, mail: OutgoingMail, problem: str, *, is_final: bool, now: datetime
) -> None:
    """Note why an attempt failed, and when the next one is, if there is one; one given up meanwhile stays given up."""
    attempts = mail.attempts
    is_over = is_final or attempts > len(BACK_OFF)
    values = {
        "problem": problem[:MAX_PROBLEM],
        "state": MailState.GIVEN_UP if is_over else MailState.WAITING,
        "next_attempt_at": now if is_over else now + BACK_OFF[attempts - 1],
    }
    waiting = sa.update(OutgoingMail).where(
        OutgoingMail.id == mail.id, OutgoingMail.state == MailState.WAITING
    )
    session.execute(waiting.values(**values))
