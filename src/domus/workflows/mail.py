"""Sending what waits in the outbox, and what operators do with single mails."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from smtplib import SMTPException

from sqlalchemy.orm import Session, joinedload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.core.errors import Conflict, DomusError, InvalidInput
from domus.core.texts import first_line
from domus.db.engine import Database
from domus.db.rows import get_row
from domus.mail import outbox
from domus.mail.composing import Attachment, Sender, compose, names_for
from domus.mail.data import written_out
from domus.mail.delivery import Courier, Delivery, DeliveryRefused
from domus.mail.events import EVENTS
from domus.mail.models import MailState, OutgoingMail
from domus.mail.rendering import MAX_SUBJECT, Letter, fill_in
from domus.mail.templates import words_for
from domus.tax.queries import company_for
from domus.workflows import invoices, password_reset
from domus.workflows.invoices import Look

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

#: So many mails a run; the next one goes on.
BATCH = 500

#: What stands in the place of words that may be kept nowhere.
NOT_KEPT = "(not kept: it carries a secret)"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailLook:
    """What mails take from the settings."""

    sender: Sender
    documents: Look


@dataclass(frozen=True, slots=True)
class _Ready:
    mail: OutgoingMail
    letter: Letter
    company_name: str
    attachments: list[Attachment]


def send_due(
    db: Database, delivery: Delivery, look: MailLook, *, clock: Clock, limit: int = BATCH
) -> Counter[str]:
    """Send what is due; return how many were ``sent``, ``refused`` (they are tried again) and ``given_up``.

    Raises DeliveryUnavailable when there is no way to send at all; what was not tried stays due. Two runs at once are
    harmless. A mail goes out twice only when we end between its being taken and our noting that; its Message-ID is then the
    same.
    """
    done: Counter[str] = Counter()
    with db.reading() as session:
        waiting = outbox.due(session, limit=limit, now=clock())
    if not waiting:
        return done
    with delivery.open() as courier:
        for mail_id in waiting:
            with db.unit_of_work() as session:
                mail = outbox.claim(session, mail_id, now=clock())
            if mail is not None:
                done[_try(db, courier, mail_id, look, clock)] += 1
    return done


def send_again(db: Database, *, mail_id: int, actor: Actor, now: datetime) -> OutgoingMail:
    """Put a mail that was given up back into the outbox."""
    return _change(
        db, mail_id, from_state=MailState.GIVEN_UP, to_state=MailState.WAITING, action="mail.retried",
        refusal="Only a mail that was given up is sent again.", actor=actor, now=now,
    )  # fmt: skip


def give_up(db: Database, *, mail_id: int, actor: Actor, now: datetime) -> OutgoingMail:
    """Try a mail that waits no more."""
    return _change(
        db, mail_id, from_state=MailState.WAITING, to_state=MailState.GIVEN_UP, action="mail.given_up",
        refusal="Only a mail that waits is given up.", actor=actor, now=now,
    )  # fmt: skip


def _try(db: Database, courier: Courier, mail_id: int, look: MailLook, clock: Clock) -> str:
    """Make a mail and hand it over; return what became of it."""
    try:
        ready = _prepare(db, mail_id, look, now=clock())
        message = compose(
            ready.mail, ready.letter, company_name=ready.company_name, sender=look.sender,
            attachments=ready.attachments, now=clock(),
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - whatever a library raises, the mails behind this one are sent
        return _not_made(db, mail_id, error, now=clock())
    try:
        courier.send(message, sender=look.sender.address, recipient=ready.mail.recipient)
    except DeliveryRefused as error:
        return _refused(db, mail_id, str(error), is_final=error.is_final, now=clock())
    except (OSError, SMTPException):
        raise  # the connection is lost, for all of them
    except Exception as error:  # noqa: BLE001 - such as headers that cannot be written
        return _not_made(db, mail_id, error, now=clock())
    kept = NOT_KEPT if EVENTS[ready.mail.event].secret else ready.letter.text
    with db.unit_of_work() as session:
        outbox.note_sent(session, mail_id, subject=ready.letter.subject, text=kept, now=clock())
    return "sent"


def _prepare(db: Database, mail_id: int, look: MailLook, *, now: datetime) -> _Ready:
    with db.unit_of_work() as session:
        mail = session.get_one(OutgoingMail, mail_id, options=[joinedload(OutgoingMail.account)])
        if mail.event not in EVENTS:
            raise InvalidInput(f"There is no mail {mail.event!r} any more.")
        data = written_out(mail.data, mail.language)
        if mail.event == password_reset.EVENT and "reset_id" in data:
            data |= password_reset.make_link(session, int(data["reset_id"]), now=now)
        company_name = _company_name(session, mail, look)
        names = names_for(
            data, language=mail.language, account_name="" if mail.account is None else mail.account.name,
            company_name=company_name, sender=look.sender,
        )  # fmt: skip
        letter = fill_in(words_for(session, mail.event, mail.language), names)
        if "is_test" in data:
            letter = replace(letter, subject=f"[Test] {letter.subject}"[:MAX_SUBJECT])
        attachments = [_attachment(session, reference, look) for reference in mail.attachments]
    return _Ready(mail, letter, company_name, attachments)


def _company_name(session: Session, mail: OutgoingMail, look: MailLook) -> str:
    if mail.account is None:
        return look.sender.company_name
    return company_for(session, mail.account.country).name


def _attachment(session: Session, reference: str, look: MailLook) -> Attachment:
    kind, _, number = reference.partition(":")
    documents = {"invoice": invoices.invoice_document, "credit_note": invoices.credit_note_document}
    document = documents[kind](session, int(number), look=look.documents, actor=Actor.system("mail"))
    pdf = invoices.as_pdf(document, look.documents)
    return Attachment(name=pdf.name, content=pdf.content)


def _not_made(db: Database, mail_id: int, error: Exception, *, now: datetime) -> str:
    """Note why a mail cannot be made: an operator's words that do not fit, a document; it may be put right."""
    is_ours = isinstance(error, DomusError | ValueError)
    problem = first_line(error) if is_ours else f"{type(error).__name__}: {first_line(error)}"
    log.warning("mail %s could not be made: %s", mail_id, problem, exc_info=None if is_ours else error)
    return _refused(db, mail_id, problem, is_final=False, now=now)


def _refused(db: Database, mail_id: int, problem: str, *, is_final: bool, now: datetime) -> str:
    with db.unit_of_work() as session:
        mail = session.get_one(OutgoingMail, mail_id)
        outbox.note_refused(session, mail, problem, is_final=is_final, now=now)
        session.refresh(mail)
    return "given_up" if mail.state is MailState.GIVEN_UP else "refused"


def _change(
    db: Database,
    mail_id: int,
    *,
    from_state: MailState,
    to_state: MailState,
    action: str,
    refusal: str,
    actor: Actor,
    now: datetime,
) -> OutgoingMail:
    actor.require_operator()
    with db.unit_of_work() as session:
        mail = get_row(session, OutgoingMail, mail_id, what="mail")
        session.refresh(mail, with_for_update=True)  # its sender may be at it
        if mail.state is not from_state:
            raise Conflict(refusal)
        mail.state, mail.attempts, mail.next_attempt_at = to_state, 0, now
        audit.record(
            session, actor=actor, action=action, object_type="mail", object_id=mail_id, account_id=mail.account_id, now=now
        )  # fmt: skip
    return mail
