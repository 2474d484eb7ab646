"""A process can die between any two statements: what was not committed has left nothing, and the next try succeeds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domus.db.base import Base
from domus.db.engine import Database
from domus.workflows import orders, power, work
from tests.support.builders import NOW
from tests.support.invariants import broken
from tests.support.killing import Killed, killed_at
from tests.support.order_shop import Shop, make_shop

LATER = NOW + timedelta(minutes=10)

#: No step takes as many statements; one that does must be looked at.
MOST_STATEMENTS = 120


def contents(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables."""
    with db.reading() as session:
        return {
            table.name: sorted((tuple(row) for row in session.execute(sa.select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


def place(shop: Shop) -> Callable[[], object]:
    return lambda: shop.order(request_token="form-1")


def pay(shop: Shop) -> Callable[[], object]:
    order = shop.order()
    return lambda: shop.pay(order, reference="ref-1")


def cancel(shop: Shop) -> Callable[[], object]:
    order = shop.order()
    return lambda: orders.cancel(shop.db, order_id=order.id, actor=shop.people.as_alice, now=LATER)


def retry(shop: Shop) -> Callable[[], object]:
    vps = shop.failed()
    return lambda: orders.retry(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)


def refund(shop: Shop) -> Callable[[], object]:
    vps = shop.failed()
    return lambda: orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)


def reboot(shop: Shop) -> Callable[[], object]:
    vps = shop.active()
    return lambda: power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)


def hand_over(shop: Shop) -> Callable[[], object]:
    shop.paid()
    shop.machine.run(NOW)
    shop.machine.end_installs()
    return _return_of_a_run(shop)


def bury(shop: Shop) -> Callable[[], object]:
    vps = shop.failed()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    return _return_of_a_run(shop)


def begin_run(shop: Shop) -> Callable[[], object]:
    shop.paid()
    return lambda: work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=NOW)


def _return_of_a_run(shop: Shop) -> Callable[[], object]:
    minion_id = shop.machine.minion_id
    ticket = work.begin_run(shop.db, minion_id=minion_id, now=LATER, force=True)
    assert ticket is not None
    work.run_published(shop.db, run_id=ticket.run_id, jid="1", now=LATER)
    report = shop.machine.converge(LATER)
    return lambda: work.record_run(shop.db, minion_id=minion_id, jid="1", report=report, now=LATER)


STEPS = [place, pay, cancel, retry, refund, reboot, hand_over, bury, begin_run]


@pytest.mark.parametrize("prepare", STEPS)
def test_a_step_that_dies_anywhere_leaves_nothing_and_can_be_done_again(db, prepare):
    shop = make_shop(db)
    step = prepare(shop)
    before = contents(db)
    deaths = 0
    for statement in range(1, MOST_STATEMENTS):
        try:
            with killed_at(db, statement):
                step()
            break
        except Killed:
            deaths += 1
        after = contents(db)
        if after != before:
            # The commit had come before: only reading followed, and doing it again must change nothing.
            step()
            assert contents(db) == after
            break
    assert deaths > 3
    assert contents(db) != before
    assert broken(db) == []


@pytest.mark.parametrize("prepare", STEPS)
def test_a_step_that_dies_at_its_commit_leaves_nothing(any_db, prepare):
    shop = make_shop(any_db)
    step = prepare(shop)
    before = contents(any_db)
    with pytest.raises(Killed), killed_at(any_db, None):
        step()
    assert contents(any_db) == before
    step()
    assert contents(any_db) != before
    assert broken(any_db) == []
