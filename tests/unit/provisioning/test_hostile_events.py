"""Whatever a minion puts on the bus: the engine goes on, and nobody else's dom0 pays for it."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections import deque
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.provisioning import reports
from domus.vps.models import VpsTransition
from domus.workflows import work
from tests.support.order_shop import NOW, Shop, make_shop
from tests.support.salt_doors import load_door

JID = "20261120120000000001"
#: Times that Python reads and cannot bring to UTC.
BEFORE_TIME, AFTER_TIME = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"


def seal_of(key: str, kind: str, body: dict[str, Any]) -> str:
    """Return the seal as docs/contracts.md 6 describes it."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key.encode(), f"{kind}\n{text}".encode(), hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def door() -> ModuleType:
    return load_door("engines/domus_engine.py")


class Bus:
    """A bus with what a test puts on it."""

    def __init__(self) -> None:
        self.events: deque[dict[str, Any]] = deque()

    def get_event(self, **_: Any) -> dict[str, Any] | None:
        return self.events.popleft() if self.events else None

    def fire_event(self, data: dict[str, Any], tag: str) -> bool:
        return True


class Attack:
    """An engine, and somebody who may say anything in any dom0's name."""

    def __init__(self, door: ModuleType, db: Database) -> None:
        self.bus = Bus()
        self.calls: list[tuple[str, ...]] = []
        self.db, self.now = db, NOW
        self.engine = door.Engine(db, self.bus, lambda *what: self.calls.append(what), clock=lambda: self.now)

    def returns(self, minion_id: str, function: Any, value: Any, *, jid: str = JID, **more: Any) -> None:
        data = {"id": minion_id, "fun": function, "return": value, **more}
        self.bus.events.append({"tag": f"salt/job/{jid}/ret/{minion_id}", "data": data})

    def beacon(self, minion_id: str, topic: str, body: dict[str, Any]) -> None:
        tag = f"salt/beacon/{minion_id}/domus_{topic}/"
        self.bus.events.append({"tag": tag, "data": {"id": minion_id, **self.sealed(minion_id, topic, body)}})

    def sealed(self, minion_id: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with the true seal: this dom0 itself is in the attacker's hands."""
        with self.db.reading() as session:
            key = session.scalars(sa.select(Dom0.report_key).where(Dom0.minion_id == minion_id)).one()
        return {**body, "seal": seal_of(key, kind, body)}

    def turn(self) -> None:
        assert self.engine.safe_turn() == 0.0
        assert not self.bus.events


@pytest.fixture
def shop(db: Database) -> Shop:
    return make_shop(db)


@pytest.fixture
def attack(door: ModuleType, shop: Shop) -> Attack:
    return Attack(door, shop.db)


ODD = [{"0": JID}, 7, "text", [[]], [None], [{}], True]


@pytest.mark.parametrize("function", ["saltutil.find_job", "dom0.console", "dom0.converge", ["a"]])
@pytest.mark.parametrize("arguments", ODD)
def test_no_forged_return_ends_the_engine(shop: Shop, attack: Attack, function: Any, arguments: Any) -> None:
    for value in (None, {}, {"seal": 7}, {"seal": "\ud800"}, {1: 2, "a": 3, "seal": "x"}, *ODD):
        attack.returns(shop.machine.minion_id, function, value, fun_args=arguments)
    attack.turn()


@pytest.mark.parametrize(
    "body",
    [{}, {"uuid": None, "lines": []}, {"lines": 5}, {"lines": None}, {"lines": [{}]}, {"lines": {"a": 1}}],
)
def test_no_console_of_a_dom0_that_lies_ends_the_engine(
    shop: Shop, attack: Attack, body: dict[str, Any]
) -> None:
    vps, minion_id = shop.active(), shop.machine.minion_id
    whole = {"uuid": str(vps.id), **body}
    attack.returns(
        minion_id, "dom0.console", attack.sealed(minion_id, "console", whole), fun_args=[str(vps.id)]
    )
    attack.turn()


@pytest.mark.parametrize("at", [BEFORE_TIME, AFTER_TIME, None, 7, "soon"])
def test_no_time_that_a_dom0_names_ends_the_engine(shop: Shop, attack: Attack, at: Any) -> None:
    vps, minion_id = shop.active(), shop.machine.minion_id
    change = {"uuid": str(vps.id), "power": "running", "power_reason": "", "at": at}
    attack.beacon(minion_id, "power", {"changes": [change]})
    report = shop.machine.report(NOW)
    report["vps"][str(vps.id)]["look_again_at"] = at
    attack.returns(minion_id, "dom0.report", attack.sealed(minion_id, "report", report))
    attack.returns(minion_id, "dom0.report", attack.sealed(minion_id, "report", report | {"at": at}))
    attack.turn()


def test_a_number_that_no_database_keeps_spoils_nothing_but_itself() -> None:
    step = {"name": "unpack", "title": "", "state": "running", "seconds": float("nan")}
    job = {"uuid": str(uuid.uuid4()), "install_id": str(uuid.uuid4()), "state": "running", "steps": [step]}
    assert reports.parse_job(job).steps[0]["seconds"] is None


def test_what_a_dom0_says_can_neither_steer_a_terminal_nor_begin_a_line() -> None:
    evil = "a\x1b[2J\x07\u202eb"
    job = {
        "uuid": str(uuid.uuid4()), "install_id": str(uuid.uuid4()), "state": "failed",
        "step": evil, "error": f"{evil}\nforged", "log_tail": [f"{evil}\nforged", "\tindented"],
    }  # fmt: skip
    seen = reports.parse_job(job)
    assert (seen.step, seen.error) == ("a[2Jb", "a[2Jb forged")
    assert seen.log == "a[2Jb forged\n\tindented"


def test_a_report_keeps_no_more_capacities_and_complaints_than_a_dom0_can_have() -> None:
    report = {
        "schema_version": 1, "minion_id": "dom0-a", "at": "2026-11-20T12:00:00Z",
        "capacity": {f"size_{n}": n for n in range(5000)},
        "vps": {f"no uuid\n{n}": {} for n in range(5000)},
    }  # fmt: skip
    read = reports.parse_report(report, minion_id="dom0-a", now=NOW)
    assert len(read.capacity) <= 32
    assert len(read.refused) <= 21
    assert not any("\n" in line for line in read.refused)


def test_a_flood_of_power_changes_is_one_line_of_history(shop: Shop, attack: Attack) -> None:
    vps, minion_id = shop.active(), shop.machine.minion_id
    attack.now = NOW + timedelta(days=1)
    changes = [
        {
            "uuid": str(vps.id),
            "power": ("crashed", "running")[n % 2],
            "power_reason": "",
            "at": f"2026-11-20T13:{n:02}:00Z",
        }
        for n in range(60)
    ]
    with shop.db.reading() as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(VpsTransition))
    attack.beacon(minion_id, "power", {"changes": changes})
    attack.turn()
    with shop.db.reading() as session:
        after = session.scalar(sa.select(sa.func.count()).select_from(VpsTransition))
    assert after - before <= 1


def test_names_that_somebody_makes_up_do_not_fill_the_memory(attack: Attack) -> None:
    for number in range(1000):
        attack.returns(f"nobody-{number}", "test.ping", True)
    for _ in range(10):
        attack.engine.safe_turn()
    attack.now += timedelta(hours=1)
    attack.turn()
    assert len(attack.engine._watch) <= 1


def test_a_forged_failure_of_a_run_that_is_not_on_makes_the_master_call_nobody(
    shop: Shop, attack: Attack
) -> None:
    for number in range(20):
        attack.returns(
            shop.machine.minion_id, "dom0.converge", "dom0.converge is not available", jid=str(number)
        )
    attack.turn()
    assert attack.calls == []


def test_forged_news_of_a_start_does_not_end_a_run_that_has_just_begun(shop: Shop, attack: Attack) -> None:
    """Else any minion could have another dom0 begin runs as fast as it can forge."""
    shop.paid()
    ticket = work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=NOW)
    assert ticket is not None
    attack.now = NOW + timedelta(seconds=1)
    attack.returns(shop.machine.minion_id, "saltutil.sync_all", {})
    attack.turn()
    assert [run.run_id for run in work.open_runs(shop.db)] == [ticket.run_id]
    attack.now = NOW + timedelta(seconds=6)
    attack.returns(shop.machine.minion_id, "saltutil.sync_all", {})
    attack.turn()
    assert work.open_runs(shop.db) == []
