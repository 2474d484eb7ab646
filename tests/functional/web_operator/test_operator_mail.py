"""Mails and their words in the operator panel."""

from typing import Any

import sqlalchemy as sa

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.mail.delivery import DeliveryRefused
from domus.mail.models import MailState, MailTemplate, OutgoingMail
from tests.support.mails import PostOffice
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

WHICH = "event=invoice&language=de"
WORDS = {
    "event": "invoice",
    "language": "de",
    "subject": "Ihre {{ number }}",
    "text": "<b>{{ name }}</b>",
    "html": "",
}


def _newest(db: Database, model: type[Any]) -> Any:
    with db.reading() as session:
        return session.scalars(sa.select(model).order_by(model.id.desc())).first()


def test_what_was_sent_can_be_read(olga: Visitor, people: People, shop: Shop, db: Database) -> None:
    shop.order(people.alice)
    office = PostOffice(db, now=utc_now())
    assert "waiting" in text_of(olga.get("/operator/mails/"))
    office.run()
    mail_id = office.mails()[0].id
    page = text_of(olga.get(f"/operator/mails/details/?id={mail_id}"))
    assert "thank you for your order" in page
    assert "Order placed" in text_of(olga.get("/operator/mails/?state=sent&search=alice"))
    assert "Order placed" not in text_of(olga.get("/operator/mails/?search=bob"))


def test_a_mail_that_was_given_up_is_sent_again(
    olga: Visitor, people: People, shop: Shop, db: Database
) -> None:
    shop.order(people.alice)
    office = PostOffice(db, now=utc_now())
    office.delivery.refusal = DeliveryRefused("550 No such user", is_final=True)
    office.run()
    mail_id = office.mails()[0].id
    assert "550 No such user" in text_of(olga.get("/operator/mails/?state=given_up"))
    olga.post(f"/operator/mails/do/send-again/?id={mail_id}")
    assert _newest(db, OutgoingMail).state is MailState.WAITING
    olga.post(f"/operator/mails/do/give-up/?id={mail_id}")
    assert _newest(db, OutgoingMail).state is MailState.GIVEN_UP


def test_words_are_shown_replaced_tried_and_given_back(olga: Visitor, people: People, db: Database) -> None:
    assert "VPS ready" in text_of(olga.get("/operator/mail-templates/"))
    page = text_of(olga.get(f"/operator/mail-templates/words/?{WHICH}"))
    assert "Guten Tag Ada Lovelace" in page
    form = olga.get(f"/operator/mail-templates/new/?{WHICH}").get_data(as_text=True)
    assert "Rechnung {{ number }}" in form
    answer = olga.post(f"/operator/mail-templates/new/?{WHICH}", WORDS)
    row = _newest(db, MailTemplate)
    assert (row.event, row.language, row.subject) == ("invoice", "de", "Ihre {{ number }}")
    page = text_of(olga.get(answer.location))
    assert "Ihre 2026-00042" in page
    assert "<b>Ada Lovelace</b>" in page
    assert olga.get(f"/operator/mail-templates/words/?{WHICH}", status=303).location == answer.location
    olga.post(f"/operator/mail-templates/edit/?id={row.id}", WORDS | {"subject": "Neu {{ number }}"})
    olga.post(f"/operator/mail-templates/test/?{WHICH}")
    office = PostOffice(db, now=utc_now())
    assert office.run() == {"sent": 1}
    assert office.delivery.sent[0][0] == people.olga.email
    assert office.delivery.sent[0][1]["Subject"] == "[Test] Neu 2026-00042"
    olga.post(f"/operator/mail-templates/delete/?id={row.id}")
    assert _newest(db, MailTemplate) is None


def test_words_that_cannot_be_filled_in_are_refused(olga: Visitor, db: Database) -> None:
    page = olga.post(
        f"/operator/mail-templates/new/?{WHICH}", WORDS | {"text": "{{ ''.__class__ }}"}, status=422
    )
    assert "cannot be filled in" in text_of(page)
    assert _newest(db, MailTemplate) is None


def test_the_html_part_can_neither_run_nor_load_anything(olga: Visitor, db: Database) -> None:
    words = WORDS | {"html": "<p>{{ name }}</p><script>alert(1)</script>"}
    olga.post(f"/operator/mail-templates/new/?{WHICH}", words)
    answer = olga.get(f"/operator/mail-templates/html/?{WHICH}")
    assert "Ada Lovelace" in answer.get_data(as_text=True)
    assert (
        answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    )


def test_what_there_is_not_is_not_found(olga: Visitor) -> None:
    for which in ("", "event=invoice", "event=nothing&language=de", "event=invoice&language=xx"):
        for page in ("words", "html", "new"):
            olga.get(f"/operator/mail-templates/{page}/?{which}", status=404)
        olga.post(f"/operator/mail-templates/test/?{which}", status=404)


def test_words_that_a_later_release_cannot_fill_in_are_shown_with_their_fault(
    olga: Visitor, db: Database
) -> None:
    with db.unit_of_work() as session:
        session.add(
            MailTemplate(event="invoice", language="de", subject="x", text="{{ gone }}", changed_at=utc_now())
        )
    row = _newest(db, MailTemplate)
    page = text_of(olga.get(f"/operator/mail-templates/details/?id={row.id}"))
    assert "'gone' is undefined" in page
