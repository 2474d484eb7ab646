"""Writing mails into the outbox, and what an operator does with words. Each works in the caller's transaction."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.accounts.models import Account, AccountContact, ContactKind
from domus.core.errors import InvalidInput
from domus.core.languages import DEFAULT_LANGUAGE, parse_language
from domus.core.money import Money
from domus.core.texts import one_line, paragraphs
from domus.core.wording import day_text, money_text
from domus.mail.events import COMMON_EXAMPLE, EVENTS, Event, known_event
from domus.mail.models import MailTemplate, OutgoingMail
from domus.mail.rendering import MAX_LENGTH, MAX_SUBJECT, Words, fill_in


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

    account_id: int
    email: str
    language: str
    data: Mapping[str, Any]
    cause: str
    attachments: Sequence[str] = ()


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
) -> list[OutgoingMail]:
    """Write a mail of an event into the outbox, one for each address; it is sent after the transaction is committed.

    ``data`` has the names that the event's example has; Money and days are written as the account's language does. A
    ``path`` in it becomes ``url``, an address of the panel. Of one ``cause`` (``renewal:12:after:3``) an address gets one
    mail, however often it is told. Who gets it, the account's contacts say, unless ``recipients`` are given.
    """
    kind = EVENTS[event]
    language = DEFAULT_LANGUAGE if account is None else account.language
    plain = _filled(kind, data, language)
    addresses = _addresses(session, kind.contact, account) if recipients is None else recipients
    mails = [
        OutgoingMail(
            account_id=None if account is None else account.id,
            event=event,
            language=language,
            recipient=address,
            cause=cause,
            data=plain,
            attachments=list(attachments),
            next_attempt_at=now,
            created_at=now,
        )
        for address in addresses
        if not _was_told(session, cause, address)
    ]
    session.add_all(mails)
    return mails


def enqueue_many(session: Session, event: str, letters: Sequence[NewMail], *, now: datetime) -> int:
    """Write mails of one event to many accounts in a few statements; return how many were written.

    It is `enqueue` for runs over thousands of contracts; each letter has a cause, and one that was told is passed over.
    """
    if not letters:
        return 0
    kind = EVENTS[event]
    contacts = _contacts(session, kind.contact, {letter.account_id for letter in letters})
    rows = [
        {
            "message_id": uuid.uuid4(),
            "account_id": letter.account_id,
            "event": event,
            "language": letter.language,
            "recipient": address,
            "cause": letter.cause,
            "data": _filled(kind, letter.data, letter.language),
            "attachments": list(letter.attachments),
            "next_attempt_at": now,
            "created_at": now,
        }
        for letter in letters
        for address in contacts.get(letter.account_id) or [letter.email]
    ]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(OutgoingMail).on_conflict_do_nothing().returning(OutgoingMail.id)
    return len(session.scalars(statement, rows).all())


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


def _addresses(session: Session, kind: ContactKind, account: Account | None) -> list[str]:
    if account is None:
        raise ValueError("a mail without an account needs recipients")
    return _contacts(session, kind, {account.id}).get(account.id) or [account.email]


def _contacts(session: Session, kind: ContactKind, account_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the addresses of a kind that accounts name; those that name none are left out."""
    query = sa.select(AccountContact.account_id, AccountContact.email).where(
        AccountContact.account_id.in_(account_ids), AccountContact.kind == kind
    )
    found: dict[int, list[str]] = {}
    for account_id, email in session.execute(query.order_by(AccountContact.id)):
        found.setdefault(account_id, []).append(email)
    return found


def _filled(kind: Event, data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return the data as the outbox keeps it; raise ValueError when a name is missing that the words may use."""
    missing = kind.example.keys() - data.keys()
    if missing:
        raise ValueError(f"mail {kind.name} needs {', '.join(sorted(missing))}")
    return {name: _plain(value, language) for name, value in data.items()}


def _was_told(session: Session, cause: str | None, address: str) -> bool:
    if cause is None:
        return False
    told = sa.exists().where(OutgoingMail.cause == cause, OutgoingMail.recipient == address)
    return bool(session.scalar(sa.select(told)))


def _plain(value: Any, language: str) -> Any:
    """Return a value as the outbox keeps it; texts lose their line ends, which have no place in a subject."""
    if isinstance(value, Money):
        return money_text(value, language)
    if isinstance(value, datetime):
        return day_text(value.date(), language)
    if isinstance(value, date):
        return day_text(value, language)
    return value if isinstance(value, int) else " ".join(str(value).split())
