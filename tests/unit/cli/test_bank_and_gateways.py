"""``domus bank`` and ``domus gateway``: what they print, and with which exit code."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from domus.cli import main as command_line
from domus.db.engine import Database
from domus.gateways.references import reference_of
from tests.support.till import Till, make_till


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlite_url: str) -> Run:
    """Offer a function that runs the command as a shell would; keywords are its environment."""
    for name in ("DATABASE_URL_FILE", "BANK_IBAN", "BANK_HOLDER", "STRIPE_SECRET_KEY", "TEST_GATEWAY"):
        monkeypatch.delenv(f"DOMUS_{name}", raising=False)

    def run(*arguments: str, **environment: str) -> Outcome:
        for name, value in {"DATABASE_URL": sqlite_url, **environment}.items():
            monkeypatch.setenv(f"DOMUS_{name}", value)
        monkeypatch.setattr(sys, "argv", ["domus", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def till(db: Database) -> Till:
    return make_till(db)


def statement(folder: Path, *rows: str) -> str:
    file = folder / "statement.csv"
    file.write_text("\n".join(["date;amount;currency;payer;text;account", *rows, ""]))
    return str(file)


def test_a_statement_is_imported_and_what_is_left_is_assigned(run: Run, till: Till, tmp_path: Path) -> None:
    order, other = till.order(), till.order()
    file = statement(
        tmp_path,
        f"2026-11-20;10.00;USD;Alice;{reference_of(order.invoice.id)};DE1",
        "2026-11-20;10.00;USD;\x1b[31mBob;thanks;DE1",
        "2026-11-20;-3.00;USD;Bank;fees;DE1",
        "2026-11-20;1.00;USD;Tax office;back;DE1",
    )
    first = run("bank", "import", file)
    assert (first.code, first.out) == (
        1,
        "3 new lines, 0 known, 1 skipped (debits, or not booked yet); 1 booked, 2 to be assigned.\n",
    )
    again = run("bank", "import", file)
    assert again.code == 0
    assert again.out.startswith("This very file was read before.\n0 new lines, 3 known")
    listed = run("bank", "lines").out
    assert "no reference of ours in it" in listed
    assert "\x1b" not in listed
    assigned = run("bank", "assign", "2", "--invoice", str(other.invoice.id), "--reason", "called him")
    assert assigned.out == "10.00 USD settled invoice 2026-00002.\n"
    assert run("bank", "set-aside", "3", "--reason", "tax").out == "Line 3 is set aside.\n"
    assert run("bank", "lines", "--state", "set_aside").out.count("Tax office") == 1
    assert [till.state(one)[1] for one in (order, other)] == ["paid", "paid"]
    assert run("ledger", "check").code == 0


def test_what_cannot_be_done_is_one_line(run: Run, till: Till, tmp_path: Path) -> None:
    file = statement(tmp_path, "2026-11-20;10.00;USD;Alice;x;DE1")
    wrong = run(
        "bank", "import", file, BANK_IBAN="DE89370400440532013000", BANK_HOLDER="Example Hosting"
    )  # fmt: skip
    assert (wrong.code, wrong.err) == (
        1, "domus: The file is a statement of the account DE1; ours is DE89370400440532013000.\n"
    )  # fmt: skip
    assert (
        run("bank", "assign", "7", "--account", "1", "--reason", "x").err
        == "domus: There is no such transfer.\n"
    )
    assert run("bank", "import", str(tmp_path / "nothing.xml")).code == 2


def test_the_gateways_that_are_on_are_listed(run: Run) -> None:
    assert run("gateway", "list", TEST_GATEWAY="yes").out == "balance: payments only\ntest: payments only\n"
    on = run("gateway", "list", STRIPE_SECRET_KEY="sk_test_1", STRIPE_WEBHOOK_SECRET="whsec_1")
    assert "stripe: events, saved cards, refunds, comparing\n" in on.out
    assert "sk_test_1" not in on.out + on.err
    half = run("gateway", "list", STRIPE_SECRET_KEY="sk_test_1", STRIPE_WEBHOOK_SECRET="")
    assert half.code == 1
    assert "DOMUS_STRIPE_WEBHOOK_SECRET is not" in half.err
    assert "sk_test_1" not in half.err


def test_work_and_comparing_say_what_was_done(run: Run, till: Till) -> None:
    assert run("gateway", "work").out == "0 events, 0 refunds, 0 open payments; 0 failed.\n"
    assert run("gateway", "compare").out == "The books and the gateways agree.\n"
