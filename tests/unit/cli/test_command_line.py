"""The ``domus`` command: what it prints, where, and with which exit code."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent, User
from domus.cli import main as command_line
from domus.db.engine import Database
from domus.workflows import listings
from tests.support.builders import make_dom0, make_location


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlite_url: str) -> Run:
    """Offer a function that runs the command as a shell would, on a migrated SQLite database."""
    monkeypatch.delenv("DOMUS_DATABASE_URL_FILE", raising=False)

    def run(*arguments: str, url: str = sqlite_url) -> Outcome:
        monkeypatch.setenv("DOMUS_DATABASE_URL", url)
        monkeypatch.setattr(sys, "argv", ["domus", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


def test_a_database_is_made_and_checked(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite"
    early = run("db", "check", url=url)
    assert (early.code, early.out) == (1, "")
    assert early.err.startswith("domus: The database is at revision none")
    assert run("db", "upgrade", url=url).out.startswith("Upgraded from nothing to ")
    assert run("db", "upgrade", url=url).out.endswith(" already.\n")
    assert run("db", "check", url=url).code == 0


def test_nothing_else_is_done_on_an_old_database(run: Run, tmp_path: Path) -> None:
    outcome = run("seed", url=f"sqlite:///{tmp_path}/new.sqlite")
    assert outcome.code == 1
    assert "run `domus db upgrade`" in outcome.err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "DOMUS_DATABASE_URL is not set"),
        ("mysql://root:hunter2@db/domus", "not supported"),
        ("nonsense", "not one"),
        ("sqlite:////does/not/exist/domus.sqlite", "unable to open database file"),
        ("postgresql://domus:hunter2@127.0.0.1:1/domus", "The database cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(
    run: Run, url: str, why: str
) -> None:
    outcome = run("vps", "list", url=url)
    assert outcome.code == 1
    assert why in outcome.err
    assert outcome.err.count("\n") == 1
    assert "hunter2" not in outcome.err


def test_wrong_usage_is_exit_code_2(run: Run) -> None:
    assert run("nonsense").code == 2
    assert run("order", "list", "--limit", "0").code == 2
    assert run("--help").code == 0


def test_an_unexpected_fault_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(listings, "dom0s", broken)
    with pytest.raises(ZeroDivisionError):
        run("dom0", "list")


def test_an_operator_is_added_with_a_password_from_standard_input(
    run: Run, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Input("a long password\n"))
    outcome = run("operator", "add", "Olga@Example.com", "--password-stdin", "--must-change")
    assert outcome.out == "Added the operator olga@example.com.\n"
    with db.reading() as session:
        user = session.scalars(sa.select(User)).one()
        event = session.scalars(sa.select(AuditEvent)).one()
    assert (user.is_operator, user.must_change_password) == (True, True)
    assert event.actor.startswith("cli:")


def test_a_short_password_is_refused_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Input("short\n"))
    outcome = run("operator", "add", "olga@example.com", "--password-stdin")
    assert (outcome.code, outcome.err) == (1, "domus: A password needs at least 10 characters; this has 5.\n")


def test_a_password_is_no_argument(run: Run) -> None:
    assert run("operator", "add", "olga@example.com", "--password", "a long password").code == 2


def test_the_sample_is_loaded_once(run: Run) -> None:
    first = run("seed")
    assert first.code == 0
    assert "4 products, 12 prices" in first.out
    assert run("seed").out == "Everything was there already.\n"


def test_a_catalogue_of_ones_own_is_loaded_and_its_faults_are_named(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text("locations: [{name: Moon, country: Moonland}]")
    outcome = run("seed", str(file))
    assert outcome.code == 1
    assert outcome.err.startswith("domus: locations, entry 1: 'country': ")
    file.write_text("locations: [{name: Moon}]")
    assert run("seed", str(file)).out == "Added 1 location.\n"
    assert run("seed", str(tmp_path / "missing")).code == 2


def test_the_books_of_an_empty_business_agree(run: Run) -> None:
    assert run("ledger", "check").out == "The books agree.\n"


def test_books_that_do_not_agree_are_exit_code_1(run: Run, db: Database) -> None:
    with db.unit_of_work() as session:
        session.execute(
            sa.text(
                "INSERT INTO ledger_transaction (id, at, kind, reference, actor, details) "
                "VALUES (1, '2026-11-20 12:00:00', 'test', 'test:1', 'test', '{}')"
            )
        )
    outcome = run("ledger", "check")
    assert (outcome.code, outcome.out) == (1, "The booking test:1 has no entries.\n")


@pytest.mark.parametrize(
    "listing", [("order", "list"), ("vps", "list"), ("job", "list"), ("dom0", "list"), ("capacity",)]
)
def test_every_list_is_there_as_a_table_and_as_json(run: Run, listing: tuple[str, ...]) -> None:
    assert run(*listing).code == 0
    assert json.loads(run(*listing, "--json").out) == []


def test_what_customers_and_machines_say_is_shown_as_it_is(run: Run, db: Database) -> None:
    make_dom0(
        db, make_location(db, name="[red]:smile: Moon[/red]"), minion_id="dom0-a", problem="no [bold]disk"
    )
    table = run("dom0", "list").out
    assert "[red]:smile: Moon[/red]" in table
    assert "no [bold]disk" in table
    (row,) = json.loads(run("dom0", "list", "--json").out)
    assert row["location"] == "[red]:smile: Moon[/red]"


def test_an_order_that_is_not_there_is_refused(run: Run) -> None:
    assert run("order", "show", "nonsense").code == 1
    outcome = run("order", "show", "00000000-0000-0000-0000-000000000000")
    assert (outcome.code, outcome.err) == (1, "domus: There is no such order.\n")


class Input:
    """Standard input with one line."""

    def __init__(self, line: str) -> None:
        self._line = line

    def readline(self) -> str:
        return self._line
