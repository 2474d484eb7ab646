"""Operators put their own words in the place of ours, see them first, and send themselves a test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domus.accounts.models import Account
from domus.core.errors import InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.mail.models import MailTemplate
from domus.mail.services import enqueue
from domus.workflows import mail_templates
from domus.workflows.mail_templates import TemplateFields
from tests.support.builders import NOW
from tests.support.mails import LOOK, PostOffice
from tests.support.people import People

OWN = TemplateFields(
    event="credit_note",
    language="en",
    subject="Money back: {{ number }}",
    text="Dear {{ name }}: {{ amount }}",
)


def save(
    db: Database, people: People, fields: TemplateFields = OWN, template_id: int | None = None
) -> MailTemplate:
    return mail_templates.save(db, template_id=template_id, fields=fields, actor=people.as_olga, now=NOW)


def subject(db: Database, people: People, language: str = "en") -> str:
    letter = mail_templates.preview(
        db, event="credit_note", language=language, sender=LOOK.sender, actor=people.as_olga
    )
    return letter.subject


def test_own_words_take_the_place_of_ours_in_their_language_until_they_are_deleted(
    db: Database, people: People
) -> None:
    assert subject(db, people) == "Credit note C-2026-00007"
    row = save(db, people)
    assert subject(db, people) == "Money back: C-2026-00007"
    assert subject(db, people, "de") == "Stornorechnung C-2026-00007"
    save(db, people, replace(OWN, subject="Again {{ number }}"), row.id)
    assert subject(db, people) == "Again C-2026-00007"
    mail_templates.delete(db, template_id=row.id, actor=people.as_olga, now=NOW)
    assert subject(db, people) == "Credit note C-2026-00007"


def test_a_mail_is_sent_in_own_words(db: Database, people: People) -> None:
    office = PostOffice(db)
    save(db, people)
    data = {"number": "C-9", "invoice": "1", "amount": "5.00 EUR", "reason": ""}
    with db.unit_of_work() as session:
        enqueue(session, "credit_note", session.get_one(Account, people.acme.id), data, now=NOW)
    office.run()
    assert office.delivery.sent[0][1]["Subject"] == "Money back: C-9"
    assert office.texts() == ["Dear Acme: 5.00 EUR\n"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event": "birthday"}, "event"),
        ({"language": "tlh"}, "language"),
        ({"subject": " "}, "subject"),
        ({"subject": "{{ nobody }}"}, "subject"),
        ({"text": ""}, "text"),
        ({"text": "{{ hostname }}"}, "text"),
        ({"text": "{% if %}"}, "text"),
        ({"text": "x" * 20_001}, "text"),
        ({"html": "<p>{{ ().__class__ }}</p>"}, "html"),
    ],
)
def test_words_that_cannot_be_filled_in_are_refused_at_their_field(
    db: Database, people: People, changes: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        save(db, people, replace(OWN, **changes))
    assert refusal.value.field == field


def test_an_event_has_own_words_once_in_a_language(db: Database, people: People) -> None:
    save(db, people)
    with pytest.raises(InvalidInput, match="own words for this event"):
        save(db, people)
    save(db, people, replace(OWN, language="ru"))


def test_a_test_goes_to_the_operator_and_says_that_it_is_one(db: Database, people: People) -> None:
    office = PostOffice(db)
    for event in ("credit_note", "password_reset"):
        mail_templates.send_test(
            db, event=event, language="fr", recipient="olga@example.com", actor=people.as_olga, now=NOW
        )
    assert office.run() == {"sent": 2}
    (recipient, message), _ = office.delivery.sent
    assert (recipient, message["Subject"]) == ("olga@example.com", "[Test] Avoir C-2026-00007")


def test_customers_neither_read_nor_write_them(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        mail_templates.save(db, template_id=None, fields=OWN, actor=people.as_alice, now=NOW)
    with pytest.raises(NotAllowed):
        mail_templates.words(db, event="invoice", language="en", actor=people.as_alice)
    with pytest.raises(NotAllowed):
        mail_templates.send_test(
            db, event="invoice", language="en", recipient="alice@example.org", actor=people.as_alice, now=NOW
        )
