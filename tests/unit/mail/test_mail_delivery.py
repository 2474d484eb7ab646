"""Handing mails over by SMTP, on loopback, and to a folder."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from domus.core.errors import ConfigurationError
from domus.mail.delivery import (
    DeliveryRefused,
    DeliveryUnavailable,
    FolderDelivery,
    SmtpDelivery,
    delivery_from_env,
    sender_from_env,
)
from tests.support.mail_server import running_mail_server


def message(text: str = "Grüße, 张伟\n") -> EmailMessage:
    made = EmailMessage()
    made["Message-ID"] = "<0b9e@example.org>"
    made["From"], made["To"], made["Subject"] = "shop@example.org", "ada@example.org", "Grüße"
    made.set_content(text)
    return made


def send(delivery: SmtpDelivery | FolderDelivery, recipient: str = "ada@example.org") -> None:
    with delivery.open() as courier:
        courier.send(message(), sender="shop@example.org", recipient=recipient)


def plain(port: int, **options: str) -> SmtpDelivery:
    return SmtpDelivery("127.0.0.1", port, "none", **options)


def test_a_server_gets_the_mail() -> None:
    with running_mail_server() as server:
        send(plain(server.port))
    assert server.recipients == ["ada@example.org"]
    assert server.messages[0].get_content().strip() == "Grüße, 张伟"


def test_a_password_is_used() -> None:
    with running_mail_server(password="secret word") as server:
        send(plain(server.port, user="domus", password="secret word"))
        with pytest.raises(DeliveryUnavailable, match=r"cannot be used: .*535"):
            send(plain(server.port, user="domus", password="wrong"))
    assert len(server.messages) == 1
    assert "secret word" not in repr(plain(1, user="domus", password="secret word"))


@pytest.mark.parametrize(("answer", "is_final"), [("550 No such user", True), ("451 Later", False)])
def test_a_recipient_may_be_refused_for_good_or_for_now(answer: str, is_final: bool) -> None:
    with running_mail_server() as server:
        server.refuses["ada@example.org"] = answer
        with pytest.raises(DeliveryRefused, match=answer) as refusal:
            send(plain(server.port))
    assert refusal.value.is_final is is_final


def test_a_mail_may_be_refused_after_it_was_read() -> None:
    with running_mail_server() as server:
        server.answer = "554 Spam"
        with pytest.raises(DeliveryRefused, match="554 Spam") as refusal:
            send(plain(server.port))
    assert refusal.value.is_final


def test_a_server_that_does_not_encrypt_gets_no_password() -> None:
    with running_mail_server() as server, pytest.raises(DeliveryUnavailable, match="STARTTLS"):
        send(SmtpDelivery("127.0.0.1", server.port, "starttls", "domus", "secret word"))
    assert server.messages == []


def test_where_no_server_listens_nothing_is_tried() -> None:
    with running_mail_server() as server:
        port = server.port
    with pytest.raises(DeliveryUnavailable, match=f"127.0.0.1:{port} cannot be used"):
        send(plain(port))


def test_a_folder_holds_files_that_mail_programs_open(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    send(FolderDelivery(folder))
    send(FolderDelivery(folder))
    [file] = folder.iterdir()
    assert file.name == "0b9e.eml"
    assert message_from_bytes(file.read_bytes(), policy=default)["Subject"] == "Grüße"


def test_the_environment_says_how_mails_go(tmp_path: Path) -> None:
    assert delivery_from_env({}) is None
    assert delivery_from_env({"DOMUS_MAIL_FOLDER": str(tmp_path)}) == FolderDelivery(tmp_path)
    assert delivery_from_env({"DOMUS_SMTP_HOST": "mx"}) == SmtpDelivery("mx", 587, "starttls")
    assert delivery_from_env({"DOMUS_SMTP_HOST": "mx", "DOMUS_SMTP_SECURITY": "tls"}) == SmtpDelivery(
        "mx", 465, "tls"
    )
    secret = tmp_path / "password"
    secret.write_text("secret word\n")
    env = {"DOMUS_SMTP_HOST": "mx", "DOMUS_SMTP_USER": "domus", "DOMUS_SMTP_PASSWORD_FILE": str(secret)}
    assert delivery_from_env(env) == SmtpDelivery("mx", 587, "starttls", "domus", "secret word")


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"DOMUS_SMTP_HOST": "mx", "DOMUS_MAIL_FOLDER": "/x"}, "both set"),
        ({"DOMUS_SMTP_HOST": "mx", "DOMUS_SMTP_SECURITY": "ssl"}, "DOMUS_SMTP_SECURITY is 'ssl'"),
        ({"DOMUS_SMTP_HOST": "mx", "DOMUS_SMTP_PORT": "0"}, "DOMUS_SMTP_PORT"),
        ({"DOMUS_SMTP_HOST": "mx", "DOMUS_SMTP_USER": "x"}, "belong together"),
        (
            {
                "DOMUS_SMTP_HOST": "mx",
                "DOMUS_SMTP_USER": "x",
                "DOMUS_SMTP_PASSWORD": "y",
                "DOMUS_SMTP_SECURITY": "none",
            },
            "in the clear",
        ),
    ],
)
def test_a_wrong_setting_stops_the_start(env: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        delivery_from_env(env)


def test_mails_come_from_an_address() -> None:
    assert sender_from_env({"DOMUS_MAIL_FROM": "Shop@Example.org"}) == "shop@example.org"
    assert sender_from_env({"DOMUS_SUPPORT_EMAIL": "help@example.org"}) == "help@example.org"
    for env in ({}, {"DOMUS_MAIL_FROM": "nobody"}):
        with pytest.raises(ConfigurationError, match="DOMUS_MAIL_FROM"):
            sender_from_env(env)
