"""Writing mails into the outbox, and what an operator does with words. Each works in the caller's transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account, AccountContact
from domus.core.errors import InvalidInput
from domus.core.languages import DEFAULT_LANGUAGE, parse_language
from domus.core.money import Money
from domus.core.texts import one_line, paragraphs
from domus.core.wording import day_text, money_text
from domus.mail.events import COMMON_EXAMPLE, EVENTS, known_event
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
    missing = kind.example.keys() - data.keys()
    if missing:
        raise ValueError(f"mail {event} needs {', '.join(sorted(missing))}")
    plain = {name: _plain(value, language) for name, value in data.items()}
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


def _addresses(session: Session, kind: str, account: Account | None) -> list[str]:
    if account is None:
        raise ValueError("a mail without an account needs recipients")
    contacts = sa.select(AccountContact.email).where(
        AccountContact.account_id == account.id, AccountContact.kind == kind
    )
    return list(session.scalars(contacts.order_by(AccountContact.id))) or [account.email]


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
