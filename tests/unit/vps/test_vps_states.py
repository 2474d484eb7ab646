"""The life of a VPS: the table, and the one function that walks it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.core.errors import Conflict, NotFound
from domus.vps import services
from domus.vps.models import Vps, VpsState, VpsTransition
from domus.vps.states import HOLDING, ON_DOM0, VPS_TRANSITIONS
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

ACTOR = Actor.system("test")


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def test_every_state_can_be_reached_from_reserved():
    reached, edge = {VpsState.RESERVED}, {VpsState.RESERVED}
    while edge:
        edge = {VPS_TRANSITIONS.after(s, e) for s in edge for e in VPS_TRANSITIONS.events(s)} - reached
        reached |= edge
    assert reached == set(VpsState)


def test_only_removed_and_cancelled_are_final():
    final = {state for state in VpsState if not VPS_TRANSITIONS.events(state)}
    assert final == {VpsState.REMOVED, VpsState.CANCELLED}


def test_what_is_final_holds_nothing_and_stands_in_no_pillar():
    assert set(HOLDING) == set(VpsState) - {VpsState.REMOVED, VpsState.CANCELLED}
    assert set(ON_DOM0) == set(HOLDING) - {VpsState.RESERVED}


def test_only_a_vps_wanted_absent_can_become_removed():
    sources = {source for (source, _), target in VPS_TRANSITIONS.arrows.items() if target is VpsState.REMOVED}
    assert sources == {VpsState.REMOVING}


def test_a_transition_writes_state_time_and_history_together(shop):
    vps = shop.vps_of(shop.order())
    later = NOW + timedelta(hours=1)
    with shop.db.unit_of_work() as session:
        assert services.transition(
            session, vps.id, "cancel", actor=ACTOR, reason="changed my mind", now=later
        )
    with shop.db.reading() as session:
        row = session.get_one(Vps, vps.id)
        assert (row.state, row.state_since) == (VpsState.CANCELLED, later)
        history = session.scalars(sa.select(VpsTransition).where(VpsTransition.vps_id == vps.id)).one()
    assert (history.kind, history.old, history.new) == ("state", "reserved", "cancelled")
    assert (history.actor, history.reason, history.at) == ("system:test", "changed my mind", later)


def test_an_event_that_comes_again_changes_nothing(shop):
    vps = shop.vps_of(shop.order())
    with shop.db.unit_of_work() as session:
        services.transition(session, vps.id, "cancel", actor=ACTOR, now=NOW)
    with shop.db.unit_of_work() as session:
        assert not services.transition(session, vps.id, "cancel", actor=ACTOR, now=NOW + timedelta(hours=1))
    with shop.db.reading() as session:
        assert session.get_one(Vps, vps.id).state_since == NOW
        assert session.scalar(sa.select(sa.func.count(VpsTransition.id))) == 1


def test_a_forbidden_event_is_refused_with_what_is_possible(shop):
    vps = shop.vps_of(shop.order())
    with pytest.raises(Conflict, match="cancel, provision"), shop.db.unit_of_work() as session:
        services.transition(session, vps.id, "activate", actor=ACTOR, now=NOW)
    assert shop.vps(vps.id).state is VpsState.RESERVED


def test_a_vps_that_is_not_there_is_not_found(shop):
    with pytest.raises(NotFound), shop.db.unit_of_work() as session:
        services.transition(session, uuid.uuid4(), "cancel", actor=ACTOR, now=NOW)


def test_a_transition_that_was_overtaken_looks_again(shop, monkeypatch):
    """Between the look and the swap somebody else cancels: the swap must miss, and the second look finds it done."""
    vps = shop.vps_of(shop.order())
    swaps = []

    def overtaken(session, statement):
        if not swaps:
            swaps.append("missed")
            session.execute(sa.update(Vps).where(Vps.id == vps.id).values(state=VpsState.CANCELLED))
        return real(session, statement)

    real = services.changed_rows
    monkeypatch.setattr(services, "changed_rows", overtaken)
    with shop.db.unit_of_work() as session:
        assert not services.transition(session, vps.id, "cancel", actor=ACTOR, now=NOW)
        assert session.scalar(sa.select(sa.func.count(VpsTransition.id))) == 0
    assert swaps == ["missed"]
