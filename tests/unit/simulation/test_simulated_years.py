"""Small years, played whole: nothing is wrong in them, and the same seed is the same year."""

from __future__ import annotations

import json
from datetime import date

import pytest
from click.testing import CliRunner

from domus.cli.main import cli
from domus.core.errors import InvalidInput, PreconditionFailed
from domus.db.engine import Database
from domus.simulation.plan import Plan, check_plan
from domus.simulation.year import simulate
from tests.support.builders import make_location
from tests.support.people import make_people


def test_the_same_seed_is_the_same_year_and_another_one_is_not() -> None:
    first, again = (simulate(Plan(accounts=4, days=24, seed=7)).numbers for _ in range(2))
    assert first == again
    assert first["orders"] >= 4
    assert simulate(Plan(accounts=4, days=24, seed=8)).numbers != first | {"seed": 8}


@pytest.mark.postgres
def test_a_year_on_postgresql_is_the_same_as_on_sqlite(postgres_url: str) -> None:
    plan = Plan(accounts=3, days=14, seed=11)
    assert simulate(plan, url=postgres_url).numbers == simulate(plan).numbers


def test_the_last_line_of_the_command_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOMUS_DATABASE_URL", raising=False)
    done = CliRunner().invoke(
        cli, ["simulate", "--accounts", "2", "--days", "10", "--seed", "1", "--start", "2028-02-25"]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["accounts"], said["days"], said["seed"], said["start"]) == (2, 10, 1, "2028-02-25")
    assert said["ledger_balanced"] is True
    for name in (
        "double_charges", "lost_payments", "running_unpaid_beyond_grace", "suspended_though_paid", "invoice_gaps",
        "leaked_addresses",
    ):  # fmt: skip
        assert said[name] == 0
    assert "10 of 10 days" in done.stderr
    assert "ledger balanced" in done.stdout


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--accounts", "0"),
        ("--accounts", "20001"),
        ("--accounts", "many"),
        ("--days", "0"),
        ("--days", "4001"),
        ("--seed", "-1"),
        ("--seed", "9223372036854775808"),
        ("--start", "tomorrow"),
        ("--start", "2028-02-30"),
    ],
)
def test_bad_arguments_are_named(option: str, value: str) -> None:
    done = CliRunner().invoke(cli, ["simulate", option, value])
    assert done.exit_code == 2
    assert option in done.stderr
    assert value in done.stderr


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"accounts": 0}, "accounts"),
        ({"days": 4001}, "days"),
        ({"seed": -1}, "seed"),
        ({"start": date(1999, 1, 1)}, "start"),
        ({"start": date(2090, 1, 1)}, "start"),
    ],
)
def test_a_plan_out_of_range_is_refused_by_name(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_plan(Plan(**{"accounts": 1, "days": 1, "seed": 1} | changes))
    assert refused.value.field == field


def test_nothing_is_simulated_in_somebodys_shop(db: Database, sqlite_url: str) -> None:
    make_people(db)
    with pytest.raises(PreconditionFailed, match="has accounts or places already"):
        simulate(Plan(accounts=1, days=1, seed=1), url=sqlite_url)


def test_nor_where_somebody_has_begun_to_open_one(db: Database, sqlite_url: str) -> None:
    make_location(db)
    with pytest.raises(PreconditionFailed, match="has accounts or places already"):
        simulate(Plan(accounts=1, days=1, seed=1), url=sqlite_url)
