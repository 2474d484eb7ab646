"""Writing mails into the outbox, and what an operator does with words. Each works in the caller's transaction."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account, AccountContact, ContactKind
from domus.core.errors import InvalidInput
from domus.core.languages import DEFAULT_LANGUAGE, parse_language
from domus.core.texts import one_line, paragraphs
from domus.db.bulk import among, insert_new_rows
from domus.mail.data import as_kept
from domus.mail.events import COMMON_EXAMPLE, EVENTS, Event, known_event
from domus.mail.models import MailState, MailTemplate, OutgoingMail
from domus.mail.rendering import MAX_LENGTH, MAX_SUBJECT, Words, fill_in

_COLUMNS = (
    "message_id", "account_id", "event", "language", "recipient", "cause", "data", "attachments", "state", "attempts",
    "next_attempt_at", "created_at", "problem", "subject", "text",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFields:
    """What an operator decides about the words of an event in a language."""

    event: str
    language: str
    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMail:
    """One account's mail among many; ``email`` is where it goes when the account names no address of the kind."""

    account_id: int | None
    email: str
    language: str
    data: Mapping[str, Any]
    cause: str | None
    attachments: Sequence[str] = ()
    recipients: Sequence[str] | None = None


def enqueue(
    session: Session,
    event: str,
    account: Account | None,
    data: Mapping[str, Any],
    *,
    cause: str | None = None,
    attachments: Sequence[str] = (),
    recipients: Sequence[str] | None = None,
    now: datetime,
) -> int:
    """Write a mail of an event into the outbox, one for each address; it is sent after the transaction is committed.

    ``data`` has the names that the event's example has; Money and days are written as the account's language does. A
    ``path`` in it becomes ``url``, an address of the panel. Of one ``cause`` (``renewal:12:after:3``) an address gets one
    mail, however often it is told. Who gets it, the account's contacts say, unless ``recipients`` are given. Returns how
    many were written.
    """
    if account is None and recipients is None:
        raise ValueError("a mail without an account needs recipients")
    letter = NewMail(
        account_id=None if account is None else account.id,
        email="" if account is None else account.email,
        language=DEFAULT_LANGUAGE if account is None else account.language,
        data=data,
        cause=cause,
        attachments=attachments,
        recipients=recipients,
    )
    return enqueue_many(session, event, [letter], now=now)


def enqueue_many(session: Session, event: str, letters: Sequence[NewMail], *, now: datetime) -> int:
    """Write mails of one event to many accounts in two statements; return how many were written. See `enqueue`."""
    if not letters:
        return 0
    kind = EVENTS[event]
    asked = {one.account_id for one in letters if one.recipients is None and one.account_id is not None}
    contacts = _contacts(session, kind.contact, asked)
    return insert_new_rows(
        session,
        OutgoingMail,
        _COLUMNS,
        (
            (
                uuid.uuid4(), letter.account_id, event, letter.language, address, letter.cause, data,
                list(letter.attachments), MailState.WAITING, 0, now, now, "", "", "",
            )
            for letter, data in zip(letters, (_filled(kind, one.data) for one in letters), strict=True)
            for address in letter.recipients or contacts.get(letter.account_id) or [letter.email]
        ),
    )  # fmt: skip


def check_template(session: Session, fields: TemplateFields, *, own_id: int | None) -> TemplateFields:
    """Return the fields as they are to be stored; raise InvalidInput with the field, also when they cannot be filled in."""
    event = known_event(fields.event)
    language = parse_language(fields.language)
    same = sa.select(MailTemplate.id).where(
        MailTemplate.event == event.name, MailTemplate.language == language, MailTemplate.id != (own_id or 0)
    )
    if session.scalar(same) is not None:
        raise InvalidInput("There are own words for this event in this language already.", field="event")
    checked = dataclasses.replace(
        fields,
        language=language,
        subject=one_line(fields.subject, field="subject", maximum=MAX_SUBJECT),
        text=paragraphs(fields.text, field="text", maximum=MAX_LENGTH),
        html=paragraphs(fields.html, field="html", maximum=MAX_LENGTH),
    )
    if not checked.text:
        raise InvalidInput("A mail without words says nothing.", field="text")
    words = Words(subject=checked.subject, text=checked.text, html=checked.html)
    fill_in(words, {**COMMON_EXAMPLE, **event.example})
    return checked


def _contacts(
    session: Session, kind: ContactKind, account_ids: Collection[int]
) -> dict[int | None, list[str]]:
    """Return the addresses of a kind that accounts name; those that name none are left out."""
    found: dict[int | None, list[str]] = {}
    if not account_ids:
        return found
    query = sa.select(AccountContact.account_id, AccountContact.email).where(
        among(session, AccountContact.account_id, account_ids), AccountContact.kind == kind
    )
    for account_id, email in session.execute(query.order_by(AccountContact.id)):
        found.setdefault(account_id, []).append(email)
    return found


def _filled(kind: Event, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data as the outbox keeps it; raise ValueError when a name is missing that the words may use."""
    missing = kind.example.keys() - data.keys()
    if missing:
        raise ValueError(f"mail {kind.name} needs {', '.join(sorted(missing))}")
    return {name: as_kept(value) for name, value in data.items()}
