"""How far a dom0 is with overwriting the disks of a VPS that is to go stands on the job of its removal."""

from __future__ import annotations

from typing import Any

import pytest

from domus.db.engine import Database
from domus.provisioning.models import Job, JobKind, JobState
from domus.vps.models import Vps, VpsState
from domus.workflows import orders, work
from tests.support.order_shop import NOW, Shop, make_shop


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one dom0."""
    return make_shop(db)


def tell(shop: Shop, vps: Vps, **changes: Any) -> bool:
    """Tell what the beacon says about the removal of a VPS."""
    job = {
        "uuid": str(vps.id),
        "install_id": str(vps.install_id),
        "kind": "remove",
        "state": "running",
        "step": "wipe",
        "percent": 40,
        "steps": [{"name": "wipe", "title": "Overwriting the volumes", "state": "running", "seconds": None}],
        "attempt": vps.install_attempt,
        "log_tail": ["Overwriting the volumes ..."],
    }
    return work.record_jobs(shop.db, minion_id=shop.machine.minion_id, jobs=[job | changes], now=NOW)


def removed(shop: Shop, vps: Vps | None = None) -> Vps:
    """Return a VPS that is to go at once."""
    vps = vps or shop.failed()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=NOW)
    return shop.vps(vps.id)


def removal(shop: Shop, vps: Vps) -> Job:
    """Return the job of its removal."""
    (job,) = (job for job in shop.jobs(vps.id) if job.kind is JobKind.REMOVE)
    return job


def test_progress_stands_on_the_job_of_the_removal_alone(shop: Shop) -> None:
    vps = removed(shop)
    before = [(job.state, job.percent) for job in shop.jobs(vps.id) if job.kind is not JobKind.REMOVE]
    assert tell(shop, vps) is False
    job = removal(shop, vps)
    assert (job.state, job.percent, job.step) == (JobState.RUNNING, 40, "wipe")
    assert before == [(j.state, j.percent) for j in shop.jobs(vps.id) if j.kind is not JobKind.REMOVE]


def test_removal_that_waits_says_for_what(shop: Shop) -> None:
    both = shop.failed(), shop.failed()
    first, second = (removed(shop, vps) for vps in both)
    tell(shop, second, state="queued", percent=0)
    assert removal(shop, second).note == "is about to begin"
    tell(shop, first)
    tell(shop, second, state="queued", percent=0)
    waits = "waits for its turn: the disks of another VPS are overwritten on its dom0"
    assert removal(shop, second).note == waits


@pytest.mark.parametrize("state", ["done", "failed"])
def test_end_of_overwriting_calls_for_a_run_and_is_not_yet_the_end_of_the_removal(
    shop: Shop, state: str
) -> None:
    vps = removed(shop)
    assert tell(shop, vps, state=state, error=None if state == "done" else "bad sectors") is True
    assert shop.vps(vps.id).state is VpsState.REMOVING
    assert removal(shop, vps).state is JobState.RUNNING


def test_word_of_a_removal_that_nobody_wants_changes_nothing(shop: Shop) -> None:
    vps = shop.paid()
    tell(shop, vps, state="failed", error="bad sectors")
    assert shop.vps(vps.id).state is VpsState.PROVISIONING
    assert shop.jobs(vps.id)[0].percent == 0


def test_kind_that_is_not_known_is_passed_over(shop: Shop) -> None:
    vps = removed(shop)
    assert tell(shop, vps, kind="shred") is False
    assert removal(shop, vps).percent == 0
