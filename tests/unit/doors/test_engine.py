"""The engine between the database and Salt's bus, with a bus of the test's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import domus_seal
import pytest
import sqlalchemy as sa

from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.inventory.models import AddressState, Dom0, IpAddress
from domus.vps.models import Power
from domus.workflows import orders, work
from tests.support.order_shop import NOW, Shop, make_shop
from tests.support.salt_doors import load_door

JID = "20261120120000000001"


@pytest.fixture(scope="module")
def door() -> ModuleType:
    """Offer the engine's file as a module."""
    return load_door("engines/domus_engine.py")


class Desk:
    """A bus, a caller and a clock in the test's hands, and the engine at work with them."""

    def __init__(self, door: ModuleType, db: Database, **options: Any) -> None:
        self.now: datetime = NOW
        self.events: deque[dict[str, Any]] = deque()
        self.fired: list[tuple[str, dict[str, Any]]] = []
        self.called: list[tuple[str, ...]] = []
        self.engine = door.Engine(
            db, self, lambda *what: self.called.append(what), clock=lambda: self.now, **options
        )

    def get_event(self, **_: Any) -> dict[str, Any] | None:
        return self.events.popleft() if self.events else None

    def fire_event(self, data: dict[str, Any], tag: str) -> bool:
        self.fired.append((tag, data))
        return True

    def turn(self, *, after: timedelta = timedelta(0)) -> list[tuple[str, dict[str, Any]]]:
        """Take a turn, so much later; return what it fired."""
        self.now += after
        self.fired.clear()
        assert self.engine.safe_turn() == 0.0
        return list(self.fired)

    def hear(self, tag: str, data: Any) -> None:
        self.events.append({"tag": tag, "data": data})

    def returns(self, minion_id: str, function: str, value: Any, *, jid: str = JID, **more: Any) -> None:
        data = {"id": minion_id, "fun": function, "return": value, "jid": jid, **more}
        self.hear(f"salt/job/{jid}/ret/{minion_id}", data)


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one dom0."""
    return make_shop(db)


@pytest.fixture
def desk(door: ModuleType, shop: Shop) -> Desk:
    """Offer an engine on the shop's database."""
    return Desk(door, shop.db)


def begin(shop: Shop, now: datetime = NOW, jid: str = JID) -> work.RunTicket:
    ticket = work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=now)
    assert ticket is not None
    work.run_published(shop.db, run_id=ticket.run_id, jid=jid, now=now)
    return ticket


def sealed(shop: Shop, kind: str, body: Mapping[str, Any], minion_id: str | None = None) -> dict[str, Any]:
    with shop.db.reading() as session:
        which = Dom0.minion_id == (minion_id or shop.machine.minion_id)
        key = session.scalars(sa.select(Dom0.report_key).where(which)).one()
    return domus_seal.sealed(key, kind, body)


def test_a_payment_is_fired_with_ids_alone_and_makes_its_dom0_due(shop: Shop, desk: Desk) -> None:
    order = shop.order()
    assert desk.turn() == []
    shop.pay(order)
    fired = dict(desk.turn(after=timedelta(seconds=1)))
    assert fired["domus/order/paid"] == {"order_id": str(order.id), "message_id": 1}
    assert fired["domus/dom0/due"] == {"dom0_id": shop.dom0s[0].id}


def test_a_message_comes_again_until_somebody_acted_on_it(shop: Shop, desk: Desk) -> None:
    order = shop.order()
    shop.pay(order)
    assert next(tag for tag, _ in desk.turn()) == "domus/order/paid"
    assert "domus/order/paid" not in dict(desk.turn(after=timedelta(seconds=29)))
    assert "domus/order/paid" in dict(desk.turn(after=timedelta(seconds=2)))
    work.order_paid(shop.db, message_id=1, order_id=order.id, now=desk.now)
    assert "domus/order/paid" not in dict(desk.turn(after=timedelta(seconds=60)))


def test_a_sealed_return_of_a_run_is_taken(shop: Shop, desk: Desk) -> None:
    vps = shop.paid()
    begin(shop)
    desk.returns(shop.machine.minion_id, "dom0.converge", sealed(shop, "run", shop.machine.converge(NOW)))
    desk.turn()
    assert work.open_runs(shop.db) == []
    assert shop.jobs(vps.id)[0].percent == 40


def test_a_return_without_a_seal_of_its_dom0_brings_no_facts(shop: Shop, desk: Desk) -> None:
    vps = shop.paid()
    begin(shop)
    desk.returns(shop.machine.minion_id, "dom0.converge", {**shop.machine.converge(NOW), "seal": "0" * 64})
    desk.turn()
    assert shop.jobs(vps.id)[0].percent == 0
    assert "seal" in shop.dom0().problem


def test_a_return_that_names_another_minion_in_its_tag_is_not_heard(shop: Shop, desk: Desk) -> None:
    begin_after_payment(shop)
    report = sealed(shop, "run", shop.machine.converge(NOW))
    desk.hear(
        f"salt/job/{JID}/ret/somebody",
        {"id": shop.machine.minion_id, "fun": "dom0.converge", "return": report},
    )
    desk.turn()
    assert len(work.open_runs(shop.db)) == 1


def begin_after_payment(shop: Shop) -> None:
    shop.paid()
    begin(shop)


def test_the_end_of_an_installation_makes_its_dom0_due_at_once(shop: Shop, desk: Desk) -> None:
    shop.paid()
    shop.machine.run(NOW)
    desk.turn()
    jobs = shop.machine.end_installs()
    minion_id = shop.machine.minion_id
    desk.hear(
        f"salt/beacon/{minion_id}/domus_jobs/", {"id": minion_id, **sealed(shop, "jobs", {"jobs": jobs})}
    )
    assert "domus/dom0/due" in dict(desk.turn())


def test_a_beacon_without_a_seal_changes_nothing(shop: Shop, desk: Desk) -> None:
    vps = shop.active()
    minion_id = shop.machine.minion_id
    change = {
        "uuid": str(vps.id),
        "name": vps.name,
        "power": "crashed",
        "power_reason": "",
        "at": "2030-01-01T00:00:00Z",
    }
    desk.hear(f"salt/beacon/{minion_id}/domus_power/", {"id": minion_id, "changes": [change]})
    desk.turn()
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    body = sealed(shop, "power", {"changes": [change]})
    desk.hear(f"salt/beacon/{minion_id}/domus_power/", {"id": minion_id, **body})
    desk.now += timedelta(hours=1)
    desk.turn()
    assert shop.vps(vps.id).observed_power is Power.CRASHED


@pytest.mark.parametrize("data", [None, [], "text", {}, {"id": 7}, {"changes": 1}])
def test_an_event_that_is_no_map_of_its_minion_is_passed_over(shop: Shop, desk: Desk, data: Any) -> None:
    minion_id = shop.machine.minion_id
    desk.hear(f"salt/beacon/{minion_id}/domus_power/", data)
    desk.hear(f"salt/job/{JID}/ret/{minion_id}", data)
    desk.hear(f"salt/beacon/{minion_id}/domus_jobs/", {"id": minion_id, "jobs": "many"})
    desk.turn()


def test_a_run_that_takes_long_is_asked_for_and_given_up_when_its_dom0_stays_silent(
    shop: Shop, desk: Desk
) -> None:
    vps = shop.paid()
    begin(shop)
    desk.turn(after=timedelta(seconds=2))
    assert desk.called == []
    desk.turn(after=timedelta(seconds=1))
    assert desk.called == [(shop.machine.minion_id, "saltutil.find_job", JID)]
    desk.turn(after=timedelta(seconds=11))
    assert len(work.open_runs(shop.db)) == 1
    desk.turn(after=timedelta(seconds=1))
    assert work.open_runs(shop.db) == []
    assert "does not answer" in shop.jobs(vps.id)[0].note


def test_a_slow_dom0_is_not_asked_again_before_it_could_answer(door: ModuleType, shop: Shop) -> None:
    desk = Desk(door, shop.db, give_up_after=timedelta(minutes=5))
    begin_after_payment(shop)
    question = (shop.machine.minion_id, "saltutil.find_job", JID)
    desk.turn(after=timedelta(seconds=60))
    desk.turn(after=timedelta(seconds=119))
    assert desk.called == [question]
    desk.turn(after=timedelta(seconds=1))
    assert desk.called == [question] * 2
    desk.returns(shop.machine.minion_id, "saltutil.find_job", {"fun": "dom0.converge"}, fun_args=[JID])
    desk.turn(after=timedelta(seconds=60))
    assert desk.called == [question] * 3
    assert len(work.open_runs(shop.db)) == 1


def test_a_dom0_that_knows_the_run_is_given_time(shop: Shop, desk: Desk) -> None:
    begin_after_payment(shop)
    for _ in range(12):
        desk.returns(shop.machine.minion_id, "saltutil.find_job", {"fun": "dom0.converge"}, fun_args=[JID])
        desk.turn(after=timedelta(seconds=5))
    assert len(work.open_runs(shop.db)) == 1


def test_a_run_that_its_dom0_denies_twice_is_given_up(shop: Shop, desk: Desk) -> None:
    begin_after_payment(shop)
    desk.returns(shop.machine.minion_id, "saltutil.find_job", {}, fun_args=[JID], jid="1")
    desk.turn(after=timedelta(seconds=4))
    # The return itself may be on its way.
    assert len(work.open_runs(shop.db)) == 1
    desk.returns(shop.machine.minion_id, "saltutil.find_job", {}, fun_args=[JID], jid="2")
    desk.turn(after=timedelta(seconds=4))
    assert work.open_runs(shop.db) == []
    assert "does not know the run" in shop.dom0().problem


@pytest.mark.parametrize(
    "said",
    ["'dom0.converge' is not available.", "ERROR: This minion has no pillar `domus`, so it is no dom0"],
)
def test_a_dom0_without_our_modules_or_its_pillar_is_told_to_fetch_them(
    shop: Shop, desk: Desk, said: str
) -> None:
    begin_after_payment(shop)
    desk.returns(shop.machine.minion_id, "dom0.converge", said)
    desk.turn()
    assert desk.called == [(shop.machine.minion_id, "saltutil.sync_all")]
    desk.returns(shop.machine.minion_id, "saltutil.sync_all", {"modules": ["dom0"]}, jid="2")
    assert "domus/dom0/due" in dict(desk.turn())


def test_of_a_traceback_only_the_last_line_is_kept(shop: Shop, desk: Desk) -> None:
    begin_after_payment(shop)
    trace = 'Traceback (most recent call last):\n  File "x", line 1\nKeyError: secret-free\n'
    desk.returns(shop.machine.minion_id, "dom0.converge", trace)
    desk.turn()
    assert shop.dom0().problem == "KeyError: secret-free"


def test_what_comes_while_the_database_is_away_is_written_when_it_is_back(
    shop: Shop, desk: Desk, door: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_after_payment(shop)
    desk.returns(shop.machine.minion_id, "dom0.converge", sealed(shop, "run", shop.machine.converge(NOW)))

    def away(*_: Any, **__: Any) -> bool:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(door.work, "record_run", away)
        pauses = [desk.engine.safe_turn() for _ in range(6)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert len(work.open_runs(shop.db)) == 1
    desk.turn()
    assert work.open_runs(shop.db) == []


def test_an_event_that_the_house_refuses_does_not_stop_the_next(
    shop: Shop, desk: Desk, door: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_after_payment(shop)
    genuine = work.record_run

    def refuse_first(*arguments: Any, jid: str, **options: Any) -> bool:
        if jid == "1":
            raise Conflict("no")
        return genuine(*arguments, jid=jid, **options)

    monkeypatch.setattr(door.work, "record_run", refuse_first)
    desk.returns(shop.machine.minion_id, "dom0.converge", "broken", jid="1")
    desk.returns(shop.machine.minion_id, "dom0.converge", sealed(shop, "run", shop.machine.converge(NOW)))
    desk.turn()
    assert work.open_runs(shop.db) == []


def test_what_time_makes_due_is_done_every_ten_seconds(shop: Shop, desk: Desk) -> None:
    order = shop.order()
    desk.turn()
    desk.turn(after=timedelta(days=3))
    assert shop.vps_of(order).state.value == "cancelled"


@pytest.mark.parametrize(("hours", "free_until"), [(48, NOW + timedelta(hours=48)), (0, None)])
def test_the_addresses_of_a_removed_vps_rest_as_long_as_the_engine_was_told(
    shop: Shop, door: ModuleType, hours: int, free_until: datetime | None
) -> None:
    desk = Desk(door, shop.db, quarantine=timedelta(hours=hours))
    vps = shop.failed()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=NOW)
    begin(shop)
    desk.returns(shop.machine.minion_id, "dom0.converge", sealed(shop, "run", shop.machine.converge(NOW)))
    desk.turn()
    with shop.db.reading() as session:
        rested = session.scalars(
            sa.select(IpAddress.free_again_at).where(IpAddress.state == AddressState.QUARANTINED)
        ).all()
    assert rested == ([free_until] if free_until else [])
