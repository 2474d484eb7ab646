"""Handing mails to a mail server, or, in a demonstration, to a folder."""

from __future__ import annotations

import smtplib
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from domus.accounts.services import parse_email
from domus.core.errors import ConfigurationError, DomusError, InvalidInput
from domus.core.settings import number, text
from domus.core.texts import first_line

TIMEOUT_SECONDS = 30.0
_SECURITY = ("starttls", "tls", "none")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class DeliveryRefused(DomusError):
    """A mail was not taken. ``is_final`` tells whether trying again is of no use."""

    code = "delivery_refused"

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class DeliveryUnavailable(DomusError):
    """The mail server cannot be reached, or does not want us; no mail was tried."""

    code = "delivery_unavailable"


class Courier(Protocol):
    """Takes mails while it is open."""

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand one mail over; raise DeliveryRefused when it is not taken."""


class Delivery(Protocol):
    """A way for mails to go."""

    @contextmanager
    def open(self) -> Iterator[Courier]:
        """Yield a courier for some mails; raise DeliveryUnavailable when there is none."""
        ...  # pragma: no cover


@dataclass(frozen=True, slots=True)
class FolderDelivery:
    """Writes each mail as a file that mail programs open, and sends nothing."""

    folder: Path

    @contextmanager
    def open(self) -> Iterator[Courier]:
        """Yield ourselves; the folder is made when it is missing."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield self
        except OSError as error:
            raise DeliveryUnavailable(f"Mails cannot be written to {self.folder}: {error}") from error

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Write one mail under the name of its id: a second attempt overwrites the first."""
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
            file.write(message.as_bytes())
        Path(file.name).replace(self.folder / f"{name}.eml")


@dataclass(frozen=True, slots=True)
class SmtpDelivery:
    """Hands mails to a mail server. Certificates are checked."""

    host: str
    port: int
    security: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @contextmanager
    def open(self) -> Iterator[Courier]:
        """Connect, encrypt and log in; all of it anew when the server hung up in between."""
        try:
            with self._connection() as connection:
                yield _Smtp(connection)
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryUnavailable(
                f"The mail server {self.host}:{self.port} cannot be used: {first_line(error)}"
            ) from error

    def _connection(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            if self.security == "starttls":
                connection.starttls(context=context)
            if self.user is not None:
                connection.login(self.user, self.password or "")
        except (OSError, smtplib.SMTPException):
            connection.close()
            raise
        return connection


@dataclass(frozen=True, slots=True)
class _Smtp:
    connection: smtplib.SMTP

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand one mail over."""
        try:
            self.connection.send_message(message, sender, [recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            raise DeliveryRefused(_said(code, reply), is_final=code >= 500) from error
        except smtplib.SMTPDataError as error:
            raise DeliveryRefused(
                _said(error.smtp_code, error.smtp_error), is_final=error.smtp_code >= 500
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryRefused(f"The mail server cannot do this: {error}", is_final=True) from error
        except smtplib.SMTPResponseException as error:
            # Our own address was refused, or the server is in trouble: the recipient is not at fault.
            raise DeliveryRefused(_said(error.smtp_code, error.smtp_error), is_final=False) from error


def delivery_from_env(env: Mapping[str, str]) -> Delivery | None:
    """Read how mails go: None when nothing is set. Raises ConfigurationError that names the variable and the rule."""
    folder, host = text(env, "DOMUS_MAIL_FOLDER"), text(env, "DOMUS_SMTP_HOST")
    if folder and host:
        raise ConfigurationError("DOMUS_MAIL_FOLDER and DOMUS_SMTP_HOST are both set; set one of them.")
    if folder:
        return FolderDelivery(Path(folder))
    if host is None:
        return None
    security = text(env, "DOMUS_SMTP_SECURITY") or "starttls"
    if security not in _SECURITY:
        raise ConfigurationError(f"DOMUS_SMTP_SECURITY is {security!r}; allowed are {', '.join(_SECURITY)}.")
    user, password = text(env, "DOMUS_SMTP_USER"), text(env, "DOMUS_SMTP_PASSWORD")
    if (user is None) != (password is None):
        raise ConfigurationError("DOMUS_SMTP_USER and DOMUS_SMTP_PASSWORD belong together; set both or none.")
    if user is not None and security == "none":
        raise ConfigurationError("DOMUS_SMTP_PASSWORD would be sent in the clear; set DOMUS_SMTP_SECURITY.")
    port = number(env, "DOMUS_SMTP_PORT", _PORTS[security], minimum=1, maximum=65535)
    return SmtpDelivery(host, port, security, user, password)


def sender_from_env(env: Mapping[str, str]) -> str:
    """Read the address that mails come from; raise ConfigurationError when it is none."""
    given = text(env, "DOMUS_MAIL_FROM") or text(env, "DOMUS_SUPPORT_EMAIL")
    if given is None:
        raise ConfigurationError("DOMUS_MAIL_FROM is not set; set it to the address that mails come from.")
    try:
        return parse_email(given)
    except InvalidInput as error:
        raise ConfigurationError(f"DOMUS_MAIL_FROM: {error}") from error


def _said(code: int, reply: bytes | str) -> str:
    shown = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(f"{code} {shown}".split())[:400]
