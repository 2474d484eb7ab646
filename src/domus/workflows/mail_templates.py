"""The words of mails: an operator's own in the place of ours, tried before they are kept. For operators."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.core.languages import parse_language
from domus.db.engine import Database
from domus.mail import services, templates
from domus.mail.composing import Sender, names_for
from domus.mail.events import COMMON_EXAMPLE, known_event
from domus.mail.models import MailTemplate, OutgoingMail
from domus.mail.rendering import Letter, Words, fill_in
from domus.mail.services import TemplateFields
from domus.workflows import editing

__all__ = ["TemplateFields", "delete", "preview", "save", "send_test", "words"]


def words(db: Database, *, event: str, language: str, actor: Actor) -> Words:
    """Return the words that a mail has now; InvalidInput for an event or a language that there is not."""
    actor.require_operator()
    name, code = known_event(event).name, parse_language(language)
    with db.reading() as session:
        return templates.words_for(session, name, code)


def preview(db: Database, *, event: str, language: str, sender: Sender, actor: Actor) -> Letter:
    """Return a mail as a customer would get it, filled in with the event's example."""
    kind = known_event(event)
    return fill_in(
        words(db, event=event, language=language, actor=actor),
        _names(dict(kind.example), language=language, sender=sender),
    )


def save(
    db: Database, *, template_id: int | None, fields: TemplateFields, actor: Actor, now: datetime
) -> MailTemplate:
    """Put an operator's words in the place of ours, or change them; they have to be filled in without a fault."""

    def check(session: Session) -> TemplateFields:
        return services.check_template(session, fields, own_id=template_id)

    return editing.save(
        db, MailTemplate, template_id, check, what="words", created={"changed_at": now}, actor=actor, now=now
    )


def delete(db: Database, *, template_id: int, actor: Actor, now: datetime) -> None:
    """Go back to the words that Domus comes with."""
    editing.delete(
        db, MailTemplate, template_id, what="words", instead="edit them instead", actor=actor, now=now
    )


def send_test(
    db: Database, *, event: str, language: str, recipient: str, actor: Actor, now: datetime
) -> OutgoingMail:
    """Write a mail with the event's example to an operator into the outbox; its subject says that it is a test."""
    actor.require_operator()
    kind, code = known_event(event), parse_language(language)
    mail = OutgoingMail(
        event=kind.name,
        language=code,
        recipient=recipient,
        data={**kind.example, "path": "/", "is_test": True},
        next_attempt_at=now,
        created_at=now,
    )
    with db.unit_of_work() as session:
        session.add(mail)
    return mail


def _names(example: dict[str, Any], *, language: str, sender: Sender) -> dict[str, Any]:
    shown = Sender(
        address=sender.address,
        company_name=sender.company_name,
        support_email=sender.support_email,
        panel_url=sender.panel_url or COMMON_EXAMPLE["url"].rstrip("/"),
    )
    return names_for(
        {**example, "path": "/"}, language=language, account_name=COMMON_EXAMPLE["name"],
        company_name=sender.company_name, sender=shown,
    )  # fmt: skip
