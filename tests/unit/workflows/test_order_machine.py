"""Orders under everything at once: messages late, doubled and out of order, installations that fail, minds that change.

Hypothesis draws the story; after every step the database must hold together, and at the end, with the dom0 answering again,
everything must come to rest.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domus.core.clock import iso_z
from domus.core.errors import Conflict, NoCapacity
from domus.db.engine import Database
from domus.vps.models import Power, SuspensionReason, VpsState
from domus.workflows import listings, orders, power, work
from tests.support.builders import NOW
from tests.support.database import copy_sqlite
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop


class OrderMachine(RuleBasedStateMachine):
    """One shop with one dom0 that has room for four; ``template`` is set by the test below."""

    template: Path

    placed = Bundle("placed")
    news = Bundle("news")

    @initialize()
    def open_shop(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="domus-machine-"))
        self.db = Database(copy_sqlite(self.template, self.folder))
        self.shop: Shop = make_shop(self.db, memory_capacity_mib=2048, addresses=6)
        self.now = NOW
        self.jids = itertools.count(1)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.come_to_rest()
            self.db.dispose()
            shutil.rmtree(self.folder)

    @invariant()
    def the_database_holds_together(self) -> None:
        if hasattr(self, "db"):
            assert broken(self.db) == []

    @rule(target=placed)
    def place(self) -> uuid.UUID | None:
        with suppress(NoCapacity):
            return self.shop.order(now=self.now).id
        return None

    @rule(target=placed)
    def place_and_pay(self) -> uuid.UUID | None:
        order = self.place()
        if order is not None:
            self.pay(order, "first")
        return order

    @rule(target=placed, error=st.sampled_from([None, None, "disk full"]))
    def bring_to_its_end(self, error: str | None) -> uuid.UUID | None:
        """An order for which all goes the usual way, so that stories reach what comes after."""
        order = self.place_and_pay()
        for _ in range(3):
            self.now += timedelta(minutes=6)
            work.due_dom0s(self.db, now=self.now)
            self.deliver(self.run())
            self.deliver(("jobs", self.shop.machine.end_installs(error=error)))
        return order

    @rule(order=placed, reference=st.sampled_from(["first", "second"]))
    def pay(self, order: uuid.UUID | None, reference: str) -> None:
        alice = self.shop.people.as_alice
        self.allowed(
            order,
            lambda: orders.pay_with_test_gateway(
                self.db, order_id=order, reference=f"{order}-{reference}"[:128], actor=alice, now=self.now
            ),
        )

    @rule(order=placed)
    def cancel(self, order: uuid.UUID | None) -> None:
        alice = self.shop.people.as_alice
        self.allowed(order, lambda: orders.cancel(self.db, order_id=order, actor=alice, now=self.now))

    @rule(order=placed, by_operator=st.booleans())
    def refund(self, order: uuid.UUID | None, by_operator: bool) -> None:
        actor = self.shop.people.as_olga if by_operator else self.shop.people.as_alice
        self.allowed(order, lambda: orders.refund(self.db, order_id=order, actor=actor, now=self.now))

    @rule(order=placed)
    def retry(self, order: uuid.UUID | None) -> None:
        alice = self.shop.people.as_alice
        self.allowed(
            order, lambda: orders.retry(self.db, vps_id=self.vps_id(order), actor=alice, now=self.now)
        )

    @rule(order=placed, action=st.sampled_from([power.start, power.shutdown, power.power_off, power.reboot]))
    def switch(self, order: uuid.UUID | None, action: Callable[..., object]) -> None:
        alice = self.shop.people.as_alice
        self.allowed(order, lambda: action(self.db, vps_id=self.vps_id(order), actor=alice, now=self.now))

    @rule(order=placed, reason=st.sampled_from(SuspensionReason), lift=st.booleans())
    def suspend_or_release(self, order: uuid.UUID | None, reason: SuspensionReason, lift: bool) -> None:
        act, olga = (power.release if lift else power.suspend), self.shop.people.as_olga
        self.allowed(
            order,
            lambda: act(self.db, vps_id=self.vps_id(order), suspension=reason, actor=olga, now=self.now),
        )

    @rule(target=news)
    def run(self) -> tuple[str, Any] | None:
        """Begin a run and have the dom0 do it; its return is told later, if ever."""
        ticket = work.begin_run(self.db, minion_id=self.shop.machine.minion_id, now=self.now)
        if ticket is None:
            return None
        jid = f"jid-{next(self.jids)}"
        report = self.shop.machine.converge(self.now)
        work.run_published(self.db, run_id=ticket.run_id, jid=jid, now=self.now)
        return "return", (jid, report)

    @rule(target=news, error=st.sampled_from([None, "disk full"]))
    def installations_end(self, error: str | None) -> tuple[str, Any]:
        return "jobs", self.shop.machine.end_installs(error=error)

    @rule(target=news, reason=st.sampled_from(["guest", "destroyed"]))
    def guests_go_down(self, reason: str) -> tuple[str, Any]:
        changes = []
        for key, guest in self.shop.machine.guests.items():
            if guest.power == "running":
                guest.power, guest.power_reason = "stopped", reason
                changes.append(
                    {"uuid": key, "power": "stopped", "power_reason": reason, "at": iso_z(self.now)}
                )
        return "power", changes

    @rule(told=news)
    def tell(self, told: tuple[str, Any] | None) -> None:
        """Tell some news, new or old; it may be told again."""
        self.deliver(told)

    @rule(told=consumes(news))
    def lose(self, told: tuple[str, Any] | None) -> None:
        """Some news never comes."""

    @rule()
    def restart_minion(self) -> None:
        work.dom0_started(self.db, minion_id=self.shop.machine.minion_id, now=self.now)

    @rule(wait=st.sampled_from([timedelta(seconds=1), timedelta(minutes=6), timedelta(hours=3)]))
    def time_passes(self, wait: timedelta) -> None:
        self.now += wait
        work.tick(self.db, now=self.now)
        work.due_dom0s(self.db, now=self.now)

    def allowed(self, order: uuid.UUID | None, act: Callable[[], object]) -> None:
        """Do it; that the present state forbids it is an answer too, and nothing else is."""
        if order is not None:
            with suppress(Conflict):
                act()

    def vps_id(self, order: uuid.UUID | None) -> uuid.UUID:
        assert order is not None
        return uuid.UUID(listings.order_status(self.db, order)["vps"])

    def deliver(self, told: tuple[str, Any] | None) -> None:
        minion_id = self.shop.machine.minion_id
        match told:
            case ("return", (jid, report)):
                work.record_run(self.db, minion_id=minion_id, jid=jid, report=report, now=self.now)
            case ("jobs", jobs):
                work.record_jobs(self.db, minion_id=minion_id, jobs=jobs, now=self.now)
            case ("power", changes):
                work.record_power(self.db, minion_id=minion_id, changes=changes, now=self.now)

    def come_to_rest(self) -> None:
        """Let the dom0 answer and time pass: then nothing may be under way any more."""
        for _ in range(12):
            self.now += timedelta(days=1)
            work.tick(self.db, now=self.now)
            for due in work.due_dom0s(self.db, now=self.now):
                assert due.minion_id == self.shop.machine.minion_id
                self.shop.machine.run(self.now)
            self.deliver(("jobs", self.shop.machine.end_installs()))
        assert broken(self.db) == []
        assert work.due_dom0s(self.db, now=self.now) == []
        assert [row for row in listings.jobs(self.db) if row["state"] in ("queued", "running")] == []
        for row in listings.vps(self.db):
            assert row["state"] in ("active", "provision_failed", "removed", "cancelled")
            if row["state"] == VpsState.ACTIVE:
                wanted = "stopped" if row["suspended"] else row["wanted"]
                assert row["observed"] == wanted, row
                assert row["revision"] == row["applied_revision"]
            if row["state"] == VpsState.REMOVED:
                assert self.shop.machine.guests.get(row["uuid"], None) is None or (
                    self.shop.machine.guests[row["uuid"]].power == Power.ABSENT
                )


def test_whatever_happens_the_orders_hold_together(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OrderMachine, "template", sqlite_template, raising=False)
    run_state_machine_as_test(
        OrderMachine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            print_blob=True,
        ),
    )
