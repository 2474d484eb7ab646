"""``salt-run domus.renewals_run`` and its like."""

from __future__ import annotations

from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pytest

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.vps.models import Vps
from tests.support.contracts import contract, renewals_of, steps_of
from tests.support.order_shop import Shop, make_shop
from tests.support.salt_doors import load_door


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one dom0."""
    return make_shop(db)


@pytest.fixture
def vps(shop: Shop) -> Vps:
    """Offer a VPS whose contract ran out three days ago."""
    return shop.active(now=utc_now() - timedelta(days=34))


@pytest.fixture
def runner(db: Database) -> ModuleType:
    """Offer the runner, called from Python."""
    opts: dict[str, Any] = {"domus": {"database_url": db.engine.url.render_as_string()}, "id": "master"}
    return load_door("runners/domus_renewals.py", opts=opts)


def test_a_run_says_what_it_did_and_a_second_one_did_nothing(
    shop: Shop, vps: Vps, runner: ModuleType
) -> None:
    would = runner.renewals_run(preview=True)
    assert (would["invoiced"], would["reminded"], renewals_of(shop, vps)) == (1, 1, [])
    done = runner.renewals_run()
    assert (done["invoiced"], done["reminded"], done["failed"]) == (1, 1, 0)
    assert not any(runner.renewals_run().values())
    assert len(steps_of(shop, vps)) == 1


def test_a_renewal_is_booked_as_paid(shop: Shop, vps: Vps, runner: ModuleType) -> None:
    runner.renewals_run()
    [renewal] = renewals_of(shop, vps)
    said = runner.renewal_paid(renewal.invoice_id, reason="transfer")
    assert said["paid_until"] == f"{renewal.ends_on:%Y-%m-%d}"
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert "no such renewal" in runner.renewal_paid(99, reason="x")["error"]


@pytest.mark.parametrize("written", ["text", "date"])
def test_a_hold_is_set_and_ended(shop: Shop, vps: Vps, runner: ModuleType, written: str) -> None:
    day = utc_now().date() + timedelta(days=5)
    until: str | date = day.isoformat() if written == "text" else day
    assert runner.hold(vps.name, until, reason="promised") == {
        "vps": vps.name,
        "held_until": day.isoformat(),
    }
    runner.renewals_run()
    assert steps_of(shop, vps) == []
    runner.end_hold(vps.name, reason="paid nothing")
    runner.renewals_run()
    assert len(steps_of(shop, vps)) == 1


def test_what_is_no_day_is_refused_with_how_to_write_one(vps: Vps, runner: ModuleType) -> None:
    refused = runner.hold(vps.name, "tomorrow", reason="x")
    assert "YYYY-MM-DD" in refused["error"]
    assert refused["retcode"] == 1
