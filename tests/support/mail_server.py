"""A mail server on loopback that keeps what it is given, and refuses whom a test names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

LIMIT_SECONDS = 60


@dataclass
class MailServer:
    """What came, and how it answers."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    #: Address > answer to RCPT, such as ``550 No such user``.
    refuses: dict[str, str] = field(default_factory=dict)
    #: Answer to DATA in the place of taking it.
    answer: str = ""

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer:
            return self.answer
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.extend(envelope.rcpt_tos)
        return "250 taken"


@contextmanager
def running_mail_server(*, password: str | None = None) -> Iterator[MailServer]:
    """Run a server on a free port in a thread of its own; with a password, it takes mails from ``domus`` only."""
    mailbox = MailServer()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login, data.password) == (b"domus", (password or "").encode())
        # "handled" would mean that we have answered already.
        return AuthResult(success=is_right, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            mailbox, hostname="mail.example.org", enable_SMTPUTF8=True,
            auth_require_tls=False, authenticator=authenticate if password is not None else None, loop=loop,
        )  # fmt: skip

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    mailbox.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(LIMIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(LIMIT_SECONDS)
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
