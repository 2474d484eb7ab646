"""A run that its dom0 is at work on is not lost because it takes long; and none lasts for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domus.provisioning import runs
from domus.workflows import work
from tests.support.order_shop import NOW, Shop, make_shop

JID = "20261120120000000001"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def shop(db) -> Shop:
    shop = make_shop(db)
    shop.paid()
    ticket = work.begin_run(db, minion_id=shop.machine.minion_id, now=NOW)
    assert ticket is not None
    work.run_published(db, run_id=ticket.run_id, jid=JID, now=NOW)
    return shop


def open_after(shop: Shop, minutes: int, *, minion_id: str, jid: str = JID) -> bool:
    """Let a minion say every minute that it is at work on a run; tell whether the run is still open then."""
    for minute in range(minutes):
        work.run_goes_on(shop.db, minion_id=minion_id, jid=jid, now=NOW + minute * MINUTE)
        work.due_dom0s(shop.db, now=NOW + minute * MINUTE)
    return bool(work.open_runs(shop.db))


def test_a_run_that_its_dom0_is_at_work_on_goes_on(shop):
    assert open_after(shop, 60, minion_id=shop.machine.minion_id)


def test_a_run_does_not_go_on_because_another_minion_says_so(shop):
    assert not open_after(shop, 8, minion_id="dom0-x")
    assert not open_after(shop, 8, minion_id=shop.machine.minion_id, jid="1")


def test_no_run_lasts_for_ever(shop):
    minutes = int((runs.LONGEST_RUN + runs.LEASE) / MINUTE)
    assert not open_after(shop, minutes + 1, minion_id=shop.machine.minion_id)
