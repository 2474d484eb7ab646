"""From a row of the outbox to a message: words, a text and an HTML part, attachments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from domus.mail.models import OutgoingMail
from domus.mail.rendering import Letter
from domus.mail.templates import phrases


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A document that goes with a mail."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who mails come from, and where their links lead; an empty ``panel_url`` makes none."""

    address: str
    company_name: str
    support_email: str = ""
    panel_url: str = ""


def names_for(
    data: Mapping[str, Any], *, language: str, account_name: str, company_name: str, sender: Sender
) -> dict[str, Any]:
    """Return all names that the words of a mail may use: those of its event, and those of every mail."""
    greeting, signature = phrases(language)
    path = str(data.get("path", ""))
    return {
        "name": account_name,
        "company": company_name,
        "support_email": sender.support_email,
        "url": f"{sender.panel_url}{path}" if sender.panel_url and path else "",
        "greeting": greeting.format(name=account_name or company_name),
        "signature": signature.format(company=company_name, support=sender.support_email).strip(),
        **{name: value for name, value in data.items() if name != "path"},
    }


def compose(
    mail: OutgoingMail,
    letter: Letter,
    *,
    company_name: str,
    sender: Sender,
    attachments: Sequence[Attachment],
    now: datetime,
) -> EmailMessage:
    """Return the message. Its id is the same at each attempt."""
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = f"<{mail.message_id}@{sender.address.rpartition('@')[2]}>"
    message["Date"] = format_datetime(now)
    message["From"] = Address(display_name=company_name, addr_spec=sender.address)
    message["To"] = mail.recipient
    if sender.support_email and sender.support_email != sender.address:
        message["Reply-To"] = sender.support_email
    message["Subject"] = letter.subject
    # Absence notices and the like shall not answer.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    for attachment in attachments:
        message.add_attachment(
            attachment.content, maintype="application", subtype="pdf", filename=attachment.name
        )
    # Last, for parts that are added clear what is said about the content.
    message["Content-Language"] = mail.language
    return message
