"""What is being removed on a machine that is lost: an operator ends it, and nothing brings it back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from domus.inventory.models import AddressState, Dom0State, IpAddress
from domus.vps.models import Vps, VpsState
from domus.workflows import inventory, orders, removals, work
from tests.support.builders import NOW
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

LATER = NOW + timedelta(minutes=10)
REST = timedelta(hours=36)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def removing(shop) -> Vps:
    vps = shop.active()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, now=LATER)
    return shop.vps(vps.id)


def set_state(shop: Shop, state: Dom0State) -> None:
    which = {"dom0_id": shop.dom0s[0].id, "actor": shop.people.as_olga, "reason": "it burnt"}
    inventory.set_dom0_state(shop.db, state=state, now=LATER, **which)


def forget(shop: Shop, vps: Vps, actor: str = "as_olga", reason: str = "it burnt") -> None:
    who = getattr(shop.people, actor)
    removals.forget(shop.db, vps_id=vps.id, quarantine=REST, actor=who, reason=reason, now=LATER)


def test_what_is_forgotten_counts_as_removed_and_gives_back_all_that_it_held(shop, removing):
    set_state(shop, Dom0State.LOST)
    forget(shop, removing)
    assert shop.vps(removing.id).state is VpsState.REMOVED
    assert shop.dom0().memory_reserved_mib == 0
    assert not any(job.is_open for job in shop.jobs(removing.id))
    with shop.db.reading() as session:
        resting = sa.select(IpAddress.free_again_at).where(IpAddress.state == AddressState.QUARANTINED)
        assert set(session.scalars(resting)) == {LATER + REST}
        event = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.id.desc())).first()
    assert (event.action, event.reason) == ("vps.forgotten", "it burnt")
    assert broken(shop.db) == []


def test_a_lost_dom0_that_comes_back_brings_nothing_back(shop, removing):
    set_state(shop, Dom0State.LOST)
    late = shop.machine.report(LATER)
    forget(shop, removing)
    set_state(shop, Dom0State.ACTIVE)
    assert shop.machine.pillar()["vps"] == {}
    work.record_report(shop.db, minion_id=shop.machine.minion_id, report=late, now=LATER)
    assert shop.vps(removing.id).state is VpsState.REMOVED


def test_forgetting_twice_changes_nothing(shop, removing):
    set_state(shop, Dom0State.LOST)
    forget(shop, removing)
    before = shop.vps(removing.id).state_since
    forget(shop, removing)
    assert shop.vps(removing.id).state_since == before


@pytest.mark.parametrize("state", [state for state in Dom0State if state is not Dom0State.LOST])
def test_what_its_dom0_can_still_remove_is_not_forgotten(shop, removing, state):
    set_state(shop, state)
    with pytest.raises(Conflict, match="not lost"):
        forget(shop, removing)
    assert shop.vps(removing.id).state is VpsState.REMOVING


def test_what_is_not_being_removed_is_not_forgotten(shop):
    vps = shop.active()
    set_state(shop, Dom0State.LOST)
    with pytest.raises(Conflict, match="active"):
        forget(shop, vps)


def test_customers_forget_nothing_and_operators_only_with_a_reason(shop, removing):
    set_state(shop, Dom0State.LOST)
    for customer in ("as_alice", "as_charlie"):
        with pytest.raises((NotAllowed, NotFound)):
            forget(shop, removing, customer)
    with pytest.raises(InvalidInput):
        forget(shop, removing, reason=" ")
    assert shop.vps(removing.id).state is VpsState.REMOVING
