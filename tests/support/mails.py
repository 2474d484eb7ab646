"""Mails in tests: a delivery that keeps them, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage

import sqlalchemy as sa

from domus.db.engine import Database
from domus.mail.composing import Sender
from domus.mail.delivery import Courier, DeliveryRefused
from domus.mail.models import OutgoingMail
from domus.workflows import mail
from domus.workflows.invoices import Look
from domus.workflows.mail import MailLook
from tests.support.builders import NOW

LOOK = MailLook(
    sender=Sender(
        address="shop@example.org", company_name="Example Hosting", support_email="help@example.org",
        panel_url="https://panel.example.org",
    ),
    documents=Look(company_name="Example Hosting"),
)  # fmt: skip


@dataclass
class FakeDelivery:
    """Keeps what it is given, or refuses it."""

    sent: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refusal: DeliveryRefused | None = None
    opened: int = 0

    @contextmanager
    def open(self) -> Iterator[Courier]:
        self.opened += 1
        yield self

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        assert sender == LOOK.sender.address
        if self.refusal is not None:
            raise self.refusal
        self.sent.append((recipient, message))


@dataclass
class PostOffice:
    """The outbox of a database, run by hand."""

    db: Database
    delivery: FakeDelivery = field(default_factory=FakeDelivery)
    now: datetime = NOW

    def run(self, *, after: timedelta = timedelta(0)) -> dict[str, int]:
        """Send what is due then."""
        self.now += after
        return dict(mail.send_due(self.db, self.delivery, LOOK, clock=lambda: self.now))

    def mails(self) -> list[OutgoingMail]:
        """Return all rows, the oldest first."""
        with self.db.reading() as session:
            return list(session.scalars(sa.select(OutgoingMail).order_by(OutgoingMail.id)))

    def texts(self) -> list[str]:
        """Return the text parts that were sent."""
        return [text_of(message) for _, message in self.delivery.sent]


def text_of(message: EmailMessage) -> str:
    """Return the text part of a message."""
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())
