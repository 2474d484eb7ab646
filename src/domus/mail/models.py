"""Mails that wait or went out, and the words that an operator put in the place of ours."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.accounts.models import Account
from domus.core.languages import DEFAULT_LANGUAGE
from domus.db.base import Base, big_pk, enum_column


class MailState(StrEnum):
    """How far a mail is."""

    WAITING = "waiting"
    """To be sent at ``next_attempt_at``; while it is being sent that is a little later, in case the sender dies."""
    SENT = "sent"
    """A mail server took it."""
    GIVEN_UP = "given_up"
    """Refused for good, or tried for days; an operator can send it again."""


class OutgoingMail(Base):
    """One mail to one address, written in the transaction of its cause and sent after it."""

    __tablename__ = "outgoing_mail"
    __table_args__ = (
        sa.UniqueConstraint("cause", "recipient"),
        sa.Index("ix_outgoing_mail_state_next_attempt_at", "state", "next_attempt_at"),
        sa.Index("ix_outgoing_mail_state_id", "state", "id"),
        sa.Index(
            "ix_outgoing_mail_recipient_prefix", "recipient", postgresql_ops={"recipient": "text_pattern_ops"}
        ),
    )

    id: Mapped[big_pk]
    message_id: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    """The same at every attempt, so that a mail that arrives twice is known as one."""
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("account.id"), index=True)
    event: Mapped[str] = mapped_column(sa.String(64))
    """What is told (``mail.events``)."""
    language: Mapped[str] = mapped_column(sa.String(8), default=DEFAULT_LANGUAGE)
    recipient: Mapped[str] = mapped_column(sa.String(254))
    cause: Mapped[str | None] = mapped_column(sa.String(128))
    """What it is about, such as ``invoice:12``: of one cause an address gets one mail."""
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the words are filled in with: texts and numbers, never a secret."""
    attachments: Mapped[list[str]] = mapped_column(default=list)
    """Documents that are made when it is sent, such as ``invoice:12``."""
    state: Mapped[MailState] = enum_column(MailState, name="mail_state", default=MailState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None] = mapped_column(index=True)
    problem: Mapped[str] = mapped_column(sa.String(500), default="")
    subject: Mapped[str] = mapped_column(sa.String(300), default="")
    """As it was sent; empty before. The words are made anew at each attempt."""
    text: Mapped[str] = mapped_column(sa.Text, default="")

    account: Mapped[Account | None] = relationship()

    def __str__(self) -> str:
        return f"{self.event.replace('_', ' ')} to {self.recipient}"


class MailTemplate(Base):
    """An operator's words for an event in a language, in the place of those that Domus comes with."""

    __tablename__ = "mail_template"
    __table_args__ = (sa.UniqueConstraint("event", "language"),)

    id: Mapped[big_pk]
    event: Mapped[str] = mapped_column(sa.String(64))
    language: Mapped[str] = mapped_column(sa.String(8))
    subject: Mapped[str] = mapped_column(sa.String(300))
    text: Mapped[str] = mapped_column(sa.Text)
    html: Mapped[str] = mapped_column(sa.Text, default="")
    """Empty: the HTML part is made from the text."""
    changed_at: Mapped[datetime]

    def __str__(self) -> str:
        return f"{self.event} ({self.language})"
