"""Mails are written with their cause, sent after it, tried again, and go out once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account, AccountContact, ContactKind
from domus.core.errors import Conflict, NotAllowed
from domus.core.money import Money
from domus.db.engine import Database
from domus.mail import outbox
from domus.mail.delivery import DeliveryRefused
from domus.mail.models import MailState, MailTemplate, OutgoingMail
from domus.mail.services import enqueue
from domus.workflows import mail, mail_orders, orders
from domus.workflows.housekeeping import KEEP_MAILS, clean_up
from tests.support.builders import NOW
from tests.support.mails import PostOffice
from tests.support.order_shop import Shop, make_shop
from tests.support.people import People, make_people

CREDIT = {"number": "C-1", "invoice": "2026-00001", "amount": Money(123450, "EUR"), "reason": ""}


@pytest.fixture
def office(db: Database) -> PostOffice:
    return PostOffice(db)


@pytest.fixture
def shop(db: Database) -> Shop:
    return make_shop(db)


def write(db: Database, people: People, data: Mapping[str, Any] = CREDIT, **options: Any) -> None:
    with db.unit_of_work() as session:
        enqueue(session, "credit_note", session.get_one(Account, people.acme.id), data, now=NOW, **options)


def change_account(db: Database, **columns: Any) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Account).values(**columns))


def test_the_story_of_an_order_is_told(shop: Shop, office: PostOffice) -> None:
    vps = shop.active()
    later = NOW + timedelta(minutes=3)
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, reason="moved away", now=later)
    assert office.run(after=timedelta(minutes=3)) == {"sent": 4}
    assert [row.event for row in office.mails()] == ["order_placed", "invoice", "vps_ready", "credit_note"]
    assert all(row.state is MailState.SENT for row in office.mails())
    placed, paid, ready, refunded = office.texts()
    assert "10.00\xa0USD are to be paid" in placed
    assert f"https://panel.example.org/orders/{vps.order_id}" in placed
    assert "Invoice 2026-00001 is attached" in paid
    assert vps.hostname in ready
    assert "192.0.2.10" in ready
    assert "moved away" in refunded


def test_invoice_and_credit_note_are_attached_as_pdf(shop: Shop, office: PostOffice) -> None:
    order = shop.pay(shop.order())
    orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="", now=NOW)
    office.run()
    attached = [
        (part.get_filename(), part.get_content()[:5])
        for _, message in office.delivery.sent
        for part in message.iter_attachments()
    ]
    assert attached == [("invoice-2026-00001.pdf", b"%PDF-"), ("credit-note-C-2026-00001.pdf", b"%PDF-")]


def test_a_cause_that_is_rolled_back_tells_nothing(shop: Shop, office: PostOffice) -> None:
    order = shop.order()
    with pytest.raises(NotAllowed):
        orders.mark_paid(shop.db, order_id=order.id, actor=shop.people.as_alice, now=NOW)
    assert [row.event for row in office.mails()] == ["order_placed"]


def test_an_account_that_places_order_after_order_is_told_so_often_a_day(
    shop: Shop, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_orders, "MOST_A_DAY", 2)
    for _ in range(3):
        shop.order()
    assert len(office.mails()) == 2
    shop.order(now=NOW + timedelta(days=1))
    assert len(office.mails()) == 3


def test_the_same_cause_is_told_once(db: Database, people: People, office: PostOffice) -> None:
    write(db, people, cause="credit_note:1")
    write(db, people, cause="credit_note:1")
    write(db, people)
    write(db, people)
    assert len(office.mails()) == 3


def test_each_address_of_the_kind_gets_one(db: Database, people: People, office: PostOffice) -> None:
    with db.unit_of_work() as session:
        account = session.get_one(Account, people.acme.id)
        for kind, email in (
            ("billing", "a@example.org"),
            ("billing", "b@example.org"),
            ("abuse", "c@example.org"),
        ):
            account.contacts.append(AccountContact(kind=ContactKind(kind), email=email))
    write(db, people)
    office.run()
    assert [recipient for recipient, _ in office.delivery.sent] == ["a@example.org", "b@example.org"]


def test_words_and_amounts_are_in_the_customers_language(
    db: Database, people: People, office: PostOffice
) -> None:
    change_account(db, language="de", name="Jürgen\u2028Groß")
    write(db, people)
    office.run()
    assert "1.234,50\xa0EUR" in office.texts()[0]
    assert office.texts()[0].startswith("Guten Tag Jürgen")
    message = office.delivery.sent[0][1]
    assert message["Subject"] == "Stornorechnung C-1"
    assert message["Content-Language"] == "de"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "Domus <shop@example.org>"
    assert message["Reply-To"] == "help@example.org"


def test_line_ends_in_what_is_filled_in_forge_no_header(
    db: Database, people: People, office: PostOffice
) -> None:
    write(db, people, {**CREDIT, "number": "C-1\r\nBcc: evil@example.org"})
    office.run()
    message = office.delivery.sent[0][1]
    assert message["Subject"] == "Credit note C-1 Bcc: evil@example.org"
    assert message["Bcc"] is None


def test_names_that_an_event_needs_have_to_be_there(db: Database, people: People) -> None:
    with pytest.raises(ValueError, match="mail credit_note needs amount, invoice"):
        write(db, people, {"number": "C-1", "reason": ""})


def test_what_is_refused_for_now_is_tried_again_less_and_less_often(
    db: Database, people: People, office: PostOffice
) -> None:
    write(db, people)
    office.delivery.refusal = DeliveryRefused("451 Later", is_final=False)
    assert office.run() == {"refused": 1}
    assert office.run(after=timedelta(seconds=59)) == {}
    office.now = NOW
    for wait in outbox.BACK_OFF[:-1]:
        assert office.run(after=wait) == {"refused": 1}
        assert office.mails()[0].problem == "451 Later"
    assert office.run(after=outbox.BACK_OFF[-1]) == {"given_up": 1}
    assert office.mails()[0].state is MailState.GIVEN_UP
    assert office.run(after=timedelta(days=30)) == {}


def test_the_next_attempt_sends_it_under_the_same_id(
    db: Database, people: People, office: PostOffice
) -> None:
    write(db, people)
    office.delivery.refusal = DeliveryRefused("451 Later", is_final=False)
    office.run()
    office.delivery.refusal = None
    assert office.run(after=timedelta(minutes=1)) == {"sent": 1}
    row = office.mails()[0]
    assert office.delivery.sent[0][1]["Message-ID"] == f"<{row.message_id}@example.org>"
    assert (row.attempts, row.problem) == (2, "")
    assert row.subject == "Credit note C-1"
    assert "C-1" in row.text


def test_who_does_not_exist_is_not_tried_again_until_an_operator_says_so(
    db: Database, people: People, office: PostOffice
) -> None:
    write(db, people)
    office.delivery.refusal = DeliveryRefused("550 No such user", is_final=True)
    assert office.run() == {"given_up": 1}
    mail_id = office.mails()[0].id
    office.delivery.refusal = None
    with pytest.raises(NotAllowed):
        mail.send_again(db, mail_id=mail_id, actor=people.as_alice, now=office.now)
    mail.send_again(db, mail_id=mail_id, actor=people.as_olga, now=office.now)
    with pytest.raises(Conflict, match="given up"):
        mail.send_again(db, mail_id=mail_id, actor=people.as_olga, now=office.now)
    assert office.run() == {"sent": 1}
    with pytest.raises(Conflict, match="waits"):
        mail.give_up(db, mail_id=mail_id, actor=people.as_olga, now=office.now)


def test_what_an_operator_gives_up_while_it_is_being_sent_stays_given_up(
    db: Database, people: People, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(db, people)
    mail_id = office.mails()[0].id

    def give_up_and_refuse(*_args: object, **_options: object) -> None:
        mail.give_up(db, mail_id=mail_id, actor=people.as_olga, now=NOW)
        raise DeliveryRefused("451 Later", is_final=False)

    monkeypatch.setattr(office.delivery, "send", give_up_and_refuse)
    assert office.run() == {"given_up": 1}
    assert (office.mails()[0].state, office.mails()[0].attempts) == (MailState.GIVEN_UP, 0)
    assert office.run(after=timedelta(days=2)) == {}


def test_a_sender_that_died_loses_the_mail_to_the_next_one_after_a_while(
    any_db: Database,
) -> None:
    people = make_people(any_db)
    office = PostOffice(any_db)
    write(any_db, people)
    mail_id = office.mails()[0].id
    with any_db.unit_of_work() as session:
        assert outbox.claim(session, mail_id, now=NOW) is not None
    with any_db.unit_of_work() as session:
        assert outbox.claim(session, mail_id, now=NOW) is None
    assert office.run() == {}
    assert office.run(after=outbox.LEASE) == {"sent": 1}


def test_words_that_cannot_be_filled_in_keep_one_mail_and_not_the_others(
    db: Database, people: People, office: PostOffice
) -> None:
    with db.unit_of_work() as session:
        session.add(
            MailTemplate(event="credit_note", language="de", subject="x", text="{{ gone }}", changed_at=NOW)
        )
    write(db, people)
    change_account(db, language="de")
    write(db, people)
    assert office.run() == {"sent": 1, "refused": 1}
    assert "'gone' is undefined" in office.mails()[1].problem


def test_a_fault_nobody_thought_of_keeps_one_mail_until_it_is_given_up_and_not_the_others(
    db: Database, people: People, office: PostOffice
) -> None:
    # A reference to a kind of document that there is not: a KeyError where it is made.
    write(db, people, attachments=["drawing:1"])
    write(db, people)
    assert office.run() == {"refused": 1, "sent": 1}
    assert office.mails()[0].problem == "KeyError: 'drawing'"
    for wait in outbox.BACK_OFF[:-1]:
        assert office.run(after=wait) == {"refused": 1}
    assert office.run(after=outbox.BACK_OFF[-1]) == {"given_up": 1}


def test_a_lost_connection_ends_the_run_and_is_no_mails_fault(
    db: Database, people: People, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up(*_args: object, **_options: object) -> None:
        raise ConnectionResetError("hung up")

    write(db, people)
    monkeypatch.setattr(office.delivery, "send", hang_up)
    with pytest.raises(ConnectionResetError):
        office.run()
    assert (office.mails()[0].state, office.mails()[0].problem) == (MailState.WAITING, "")


def test_an_empty_outbox_opens_no_connection(office: PostOffice) -> None:
    assert office.run() == {}
    assert office.delivery.opened == 0


def test_what_was_sent_long_ago_is_forgotten_and_what_waits_is_not(
    db: Database, people: People, office: PostOffice
) -> None:
    write(db, people)
    office.run()
    write(db, people)
    clean_up(db, now=NOW + KEEP_MAILS)
    assert [row.state for row in office.mails()] == [MailState.WAITING]


def test_an_event_that_a_later_release_has_dropped_is_a_problem_of_its_mail(
    db: Database, people: People, office: PostOffice
) -> None:
    write(db, people)
    with db.unit_of_work() as session:
        session.execute(sa.update(OutgoingMail).values(event="gone"))
    assert office.run() == {"refused": 1}
    assert "no mail 'gone'" in office.mails()[0].problem
