"""``domus renewals`` at a shell: what it prints, what it exits with, and that a preview changes nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from domus.billing.models import InvoiceState
from domus.cli import renewals as command
from domus.cli.main import cli
from domus.core.errors import DomusError
from domus.vps.models import SuspensionReason, Vps
from tests.support.contracts import contract, due, renewals_of, run, run_daily, steps_of
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


@pytest.fixture
def call(db, monkeypatch):
    """Offer a function that runs the command at a moment."""
    monkeypatch.setenv("DOMUS_DATABASE_URL", db.engine.url.render_as_string())

    def call(*arguments: str, now: datetime) -> Result:
        monkeypatch.setattr(command, "utc_now", lambda: now)
        return CliRunner().invoke(cli, ["renewals", *arguments])

    return call


def test_a_preview_tells_what_a_run_does_and_does_nothing(shop, vps, call):
    now = due(shop, vps, -10)
    would = call("run", "--preview", now=now)
    assert would.output.splitlines() == [
        "1 contract would be asked for their next period.",
        "1 contract would be reminded.",
    ]
    assert (renewals_of(shop, vps), steps_of(shop, vps)) == ([], [])
    done = call("run", now=now)
    assert done.output.splitlines() == ["1 contract asked for their next period.", "1 contract reminded."]
    assert call("run", now=now).output == "Nothing is due.\n"
    assert call("run", "--preview", now=now).output == "Nothing is due.\n"


@pytest.mark.parametrize("day", [-10, -5, 0, 3, 7, 12, 15, 22, 29])
def test_the_preview_of_each_step_counts_what_the_run_then_does(shop, vps, call, day):
    run_daily(shop, vps, -10, day - 1)
    now = due(shop, vps, day)
    plans = json.loads(call("run", "--preview", "--json", now=now).output)
    done = json.loads(call("run", "--json", now=now).output)
    assert {plan["name"]: plan["count"] for plan in plans} == {
        plan["name"]: done[plan["name"]] for plan in plans
    }
    assert sum(plan["count"] for plan in plans)


def test_a_preview_names_whom_it_would_cut_off(shop, vps, call):
    run_daily(shop, vps, -10, 14)
    said = call("run", "--preview", now=due(shop, vps, 15)).output.splitlines()
    until = contract(shop, vps).paid_until
    assert said[-1] == f"  suspended: {vps.name} (www.example.org) of Acme, paid until {until:%Y-%m-%d}"


def test_a_contract_that_had_to_be_left_is_named_and_the_exit_code_says_so(shop, vps, call, monkeypatch):
    def fails(*_arguments, **_options):
        raise DomusError("this\x1b[2Jone")

    monkeypatch.setattr(command.workflow, "open_renewals", fails)
    result = call("run", now=due(shop, vps, -10))
    assert result.exit_code == 1
    assert f"Contract {contract(shop, vps).id}: this[2Jone" in result.output


def test_marking_a_renewal_as_paid_brings_it_back(shop, vps, call):
    now = run_daily(shop, vps, -10, 16)
    [renewal] = renewals_of(shop, vps)
    result = call("mark-paid", str(renewal.invoice_id), "--reason", "transfer of 3 January", now=now)
    assert f"paid until {renewal.ends_on:%Y-%m-%d}" in result.output
    assert shop.vps(vps.id).suspensions == []
    assert renewals_of(shop, vps)[0].invoice.state is InvoiceState.PAID


def test_a_hold_stops_the_steps_and_its_end_lets_them_go_on(shop, vps, call):
    now = run_daily(shop, vps, -10, 14)
    until = (now + timedelta(days=10)).strftime("%Y-%m-%d")
    held = call("hold", vps.name, "--until", until, "--reason", "promised", now=now)
    assert held.output == f"No steps are taken about {vps.name} before {until}.\n"
    assert run(shop, now + timedelta(days=2)).did_nothing
    call("end-hold", vps.name, "--reason", "broke the promise", now=now)
    run(shop, now + timedelta(days=2))
    assert [one.reason for one in shop.vps(vps.id).suspensions] == [SuspensionReason.UNPAID]


def test_a_hold_without_a_reason_or_until_nonsense_is_a_wrong_usage(shop, vps, call):
    now = due(shop, vps)
    assert call("hold", vps.name, "--until", "2027-01-10", now=now).exit_code == 2
    assert call("hold", vps.name, "--until", "tomorrow", "--reason", "x", now=now).exit_code == 2
    refused = call("hold", vps.name, "--until", "2020-01-01", "--reason", "x", now=now)
    assert "A hold ends between" in str(refused.exception)
