"""``domus mail run`` and ``domus invoice export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from domus.accounts.models import Account
from domus.cli.main import cli
from domus.core.clock import utc_now
from domus.core.errors import ConfigurationError, InvalidInput
from domus.db.engine import Database
from domus.mail.delivery import DeliveryUnavailable
from domus.mail.services import enqueue
from tests.support.order_shop import make_shop
from tests.support.people import make_people

DATA = {"number": "C-1", "invoice": "1", "amount": "5.00 EUR", "reason": ""}


@pytest.fixture
def runner(sqlite_url: str, tmp_path: Path) -> CliRunner:
    return CliRunner(
        env={
            "DOMUS_DATABASE_URL": sqlite_url,
            "DOMUS_MAIL_FOLDER": str(tmp_path / "mail"),
            "DOMUS_MAIL_FROM": "shop@example.org",
            "DOMUS_SMTP_HOST": "",
        }
    )


def test_mails_that_wait_are_sent_and_counted(runner: CliRunner, db: Database, tmp_path: Path) -> None:
    people = make_people(db)
    with db.unit_of_work() as session:
        enqueue(session, "credit_note", session.get_one(Account, people.acme.id), DATA, now=utc_now())
    for sent in (1, 0):
        answer = runner.invoke(cli, ["mail", "run"], catch_exceptions=False)
        assert json.loads(answer.stdout) == {"sent": sent, "refused": 0, "given_up": 0}
    [file] = (tmp_path / "mail").iterdir()
    assert b"Subject: Credit note C-1" in file.read_bytes()


def test_without_a_way_to_go_it_is_said_what_to_set(runner: CliRunner) -> None:
    with pytest.raises(ConfigurationError, match="set DOMUS_SMTP_HOST, or DOMUS_MAIL_FOLDER"):
        runner.invoke(cli, ["mail", "run"], env={"DOMUS_MAIL_FOLDER": ""}, catch_exceptions=False)


def test_a_folder_that_cannot_be_written_keeps_the_mails(
    runner: CliRunner, db: Database, tmp_path: Path
) -> None:
    people = make_people(db)
    (tmp_path / "mail").write_text("a file is in the way")
    with db.unit_of_work() as session:
        enqueue(session, "credit_note", session.get_one(Account, people.acme.id), DATA, now=utc_now())
    with pytest.raises(DeliveryUnavailable, match="cannot be written"):
        runner.invoke(cli, ["mail", "run"], catch_exceptions=False)
    (tmp_path / "mail").unlink()
    answer = runner.invoke(cli, ["mail", "run"], catch_exceptions=False)
    assert json.loads(answer.stdout)["sent"] == 1


def test_a_month_is_printed_as_csv(runner: CliRunner, db: Database) -> None:
    shop = make_shop(db)
    shop.paid()
    answer = runner.invoke(cli, ["invoice", "export", "--month", "2026-11"], catch_exceptions=False)
    assert answer.stdout.splitlines()[0].startswith("kind,number,date,company")
    assert "invoice,2026-00001,2026-11-20" in answer.stdout
    with pytest.raises(InvalidInput):
        runner.invoke(cli, ["invoice", "export", "--month", "x"], catch_exceptions=False)
