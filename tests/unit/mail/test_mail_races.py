"""Several senders at once send each mail once, and one cause is told once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import EmailMessage

from domus.accounts.models import Account
from domus.db.engine import Database
from domus.mail.delivery import Courier
from domus.mail.models import MailState
from domus.mail.services import enqueue
from domus.workflows import mail
from tests.support.builders import NOW
from tests.support.mails import LOOK, PostOffice
from tests.support.people import make_people

SENDERS, MAILS = 6, 30
DATA = {"number": "C-1", "invoice": "1", "amount": "5.00 EUR", "reason": ""}


class SharedDelivery:
    """Keeps the ids of what it is given, by any number of senders that began at the same moment."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.together = threading.Barrier(SENDERS, timeout=120)

    @contextmanager
    def open(self) -> Iterator[Courier]:
        self.together.wait()
        yield self

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        self.ids.append(str(message["Message-ID"]))


def test_six_senders_send_thirty_mails_once_each(any_db: Database) -> None:
    people = make_people(any_db)
    with any_db.unit_of_work() as session:
        account = session.get_one(Account, people.acme.id)
        for number in range(MAILS):
            enqueue(session, "credit_note", account, DATA, cause=f"credit_note:{number}", now=NOW)
    delivery = SharedDelivery()

    def send(_sender: int) -> int:
        return mail.send_due(any_db, delivery, LOOK, clock=lambda: NOW)["sent"]

    with ThreadPoolExecutor(SENDERS) as pool:
        assert sum(pool.map(send, range(SENDERS))) == MAILS
    assert len(set(delivery.ids)) == len(delivery.ids) == MAILS
    rows = PostOffice(any_db).mails()
    assert {(row.state, row.attempts) for row in rows} == {(MailState.SENT, 1)}


def test_one_cause_told_by_many_at_once_is_one_mail(any_db: Database) -> None:
    people = make_people(any_db)

    def tell(_teller: int) -> int:
        with any_db.unit_of_work() as session:
            account = session.get_one(Account, people.acme.id)
            return enqueue(session, "credit_note", account, DATA, cause="credit_note:1", now=NOW)

    with ThreadPoolExecutor(SENDERS) as pool:
        assert sum(pool.map(tell, range(SENDERS))) == 1
    assert len(PostOffice(any_db).mails()) == 1
