"""Simulated dom0s: each fetches its pillar, brings it about, and reports through the functions that Salt's returns take."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domus.core.clock import iso_z
from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.pillar.services import pillar_for
from domus.provisioning import outbox
from domus.provisioning.models import OutboxMessage
from domus.simulation.clock import Agenda
from domus.vps.models import Vps
from domus.workflows import work


@dataclass
class Guest:
    """What a dom0 knows of one VPS."""

    wish: dict[str, Any]
    power: str = "absent"
    reason: str = ""
    boot_serial: int = 0
    install: dict[str, Any] | None = None
    removed_token: str | None = None
    since: datetime | None = None
    """When it was switched on or off last."""

    @property
    def is_installed(self) -> bool:
        """Tell whether what is wanted on its disk is there."""
        return self._answers() and self.install is not None and self.install["state"] == "done"

    @property
    def wants_install(self) -> bool:
        """Tell whether an installation has to be begun."""
        return not self._answers()

    def _answers(self) -> bool:
        job, system = self.install, self.wish["os"]
        if job is None or job["install_id"] != system["install_id"]:
            return False
        return bool(job["state"] == "done" or job["attempt"] == system["attempt"])


@dataclass
class Machine:
    """One dom0."""

    minion_id: str
    guests: dict[str, Guest] = field(default_factory=dict)
    away_until: datetime | None = None
    absences: list[tuple[datetime, datetime]] = field(default_factory=list)
    problem: str | None = None

    def leave(self, now: datetime, until: datetime) -> None:
        """Be away until then."""
        self.away_until = until
        self.absences.append((now, until))

    def is_away(self, now: datetime) -> bool:
        """Tell whether nobody reaches it."""
        return self.away_until is not None and now < self.away_until

    def converge(self, pillar: dict[str, Any], now: datetime) -> list[Guest]:
        """Bring about what the pillar wants; return the guests whose installation has just begun."""
        limit = pillar["dom0"]["max_removals_per_run"]
        due = [
            key
            for key, wish in pillar["vps"].items()
            if _is_due(wish, now) and self.guests.get(key, Guest(wish)).removed_token != wish["tombstone"]["token"]
        ]  # fmt: skip
        self.problem = None
        if len(due) > limit:
            self.problem = f"{len(due)} removals are due at once, and at most {limit} may be."
        begun = []
        for key, wish in pillar["vps"].items():
            guest = self.guests.setdefault(key, Guest(wish))
            guest.wish = wish
            if wish["wanted"] == "absent":
                self._take_away(guest, now, may_wipe=self.problem is None)
            elif guest.wants_install:
                guest.install = _new_job(wish)
                begun.append(guest)
            elif guest.is_installed:
                _switch(guest, wish["wanted"], now)
                guest.boot_serial = wish["boot_serial"]
        return begun

    def report(self, now: datetime) -> dict[str, Any]:
        """Say what is (``docs/contracts.md`` 2)."""
        entries = {key: self._entry(guest, now) for key, guest in self.guests.items()}
        return {
            "schema_version": 1, "minion_id": self.minion_id, "boot_id": "simulated", "at": iso_z(now),
            "capacity": {}, "problem": self.problem, "vps": entries, "unknown": [],
            "states": {"succeeded": len(entries), "changed": 0, "failed": 0},
        }  # fmt: skip

    def _take_away(self, guest: Guest, now: datetime, *, may_wipe: bool) -> None:
        if guest.power == "running":
            _switch(guest, "stopped", now)
        if may_wipe and _is_due(guest.wish, now):
            guest.power, guest.install, guest.since = "absent", None, now
            guest.removed_token = guest.wish["tombstone"]["token"]

    def _entry(self, guest: Guest, now: datetime) -> dict[str, Any]:
        wish, again = guest.wish, None
        if wish["wanted"] == "absent":
            holds = guest.removed_token == wish["tombstone"]["token"]
            again = None if holds else wish["tombstone"]["not_before"]
        else:
            holds = guest.is_installed and guest.power == wish["wanted"]
        failed = guest.install is not None and guest.install["state"] == "failed"
        return {
            "name": wish["name"],
            "revision": wish["revision"] if holds else None,
            "seen_revision": wish["revision"],
            "power": guest.power,
            "power_reason": guest.reason,
            "boot_serial": guest.boot_serial,
            "install": None if guest.install is None else dict(guest.install),
            "problem": "the installation failed" if failed else None,
            "removed_token": guest.removed_token,
            "look_again_at": again,
        }


def _is_due(wish: dict[str, Any], now: datetime) -> bool:
    return bool(wish["wanted"] == "absent" and wish["tombstone"]["not_before"] <= iso_z(now))


def _switch(guest: Guest, power: str, now: datetime) -> None:
    if guest.power != power:
        guest.power, guest.reason, guest.since = power, "shutdown" if power == "stopped" else "", now


def _new_job(wish: dict[str, Any]) -> dict[str, Any]:
    return {
        "uuid": wish["uuid"], "name": wish["name"], "install_id": wish["os"]["install_id"], "kind": "install",
        "state": "running", "step": "unpack", "percent": 40, "steps": [], "error": None,
        "attempt": wish["os"]["attempt"], "tries": 1, "log_tail": [],
    }  # fmt: skip


@dataclass
class Fleet:
    """All dom0s, and the engine that wakes them, as the one on the Salt master does."""

    db: Database
    agenda: Agenda
    stream: Callable[..., random.Random]
    machines: dict[str, Machine] = field(default_factory=dict)
    runs: int = 0
    lost_runs: int = 0
    installs_failed: int = 0
    failed: set[str] = field(default_factory=set)
    """VPSs whose owners have not heard of their failed installation yet."""
    _woken: set[datetime] = field(default_factory=set)

    def wake_soon(self, moment: datetime | None = None) -> None:
        """Have the engine look at its outbox at the next full hour, or the one after a moment: many changes make one run."""
        moment = max(self.agenda.now, moment or self.agenda.now)
        whole = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if whole not in self._woken:
            self._woken.add(whole)
            self.agenda.at(whole, self._wake)

    def guest_of(self, vps_id: uuid.UUID) -> Guest | None:
        """Return what really is of a VPS."""
        key = str(vps_id)
        return next((one.guests[key] for one in self.machines.values() if key in one.guests), None)

    def minion_of(self, vps_id: uuid.UUID) -> str:
        """Return the dom0 that a VPS is on; raise KeyError when none knows it."""
        for machine in self.machines.values():
            if str(vps_id) in machine.guests:
                return machine.minion_id
        raise KeyError(vps_id)

    def come_back(self, minion_id: str) -> None:
        """Let a dom0 answer again; its minion says that it started."""
        work.dom0_started(self.db, minion_id=minion_id, now=self.agenda.now)
        self.wake_soon()

    def tick(self) -> None:
        """Do what time alone makes due, as the engine does every few seconds."""
        work.tick(self.db, now=self.agenda.now)
        self.wake_soon()

    def _wake(self) -> None:
        now = self.agenda.now
        self._woken.discard(now)
        if not self._has_work(now):
            return
        for message in work.claim_messages(self.db, now=now, limit=1000):
            if message.tag == outbox.ORDER_PAID:
                order_id = uuid.UUID(message.payload["order_id"])
                work.order_paid(self.db, message_id=message.id, order_id=order_id, now=now)
            elif message.tag in outbox.VPS_NEWS:
                vps_id = uuid.UUID(message.payload["vps_id"])
                work.vps_changed(self.db, message_id=message.id, vps_id=vps_id, now=now, tag=message.tag)
        for dom0 in work.due_dom0s(self.db, now=now):
            self._run_until_quiet(dom0.minion_id)
        with self.db.reading() as session:
            following = session.scalar(sa.select(sa.func.min(Dom0.next_run_at)))
        if following is not None:
            self.wake_soon(following)

    def _has_work(self, now: datetime) -> bool:
        """Tell whether the engine would find anything: it looks every few seconds, and mostly does not."""
        told = sa.exists().where(OutboxMessage.done_at.is_(None))
        wanted = sa.exists().where(Vps.revision > Vps.offered_revision)
        late = sa.exists().where(Dom0.next_run_at <= now)
        with self.db.reading() as session:
            return bool(session.scalar(sa.select(sa.or_(told, wanted, late))))

    def _run_until_quiet(self, minion_id: str) -> None:
        """Run on a dom0, and once more when its report made it due at once."""
        for _ in range(3):
            if not self._run(minion_id, self.agenda.now):
                return

    def _run(self, minion_id: str, now: datetime) -> bool:
        """Do a state run; tell whether another one is due at once."""
        machine = self.machines[minion_id]
        ticket = work.begin_run(self.db, minion_id=minion_id, now=now)
        if ticket is None:
            return False
        self.runs += 1
        jid = f"{self.runs:020d}"
        work.run_published(self.db, run_id=ticket.run_id, jid=jid, now=now)
        if machine.is_away(now):
            self.lost_runs += 1
            work.run_failed(self.db, run_id=ticket.run_id, problem=f"{minion_id} does not answer.", now=now)
            return False
        with self.db.reading() as session:
            pillar = pillar_for(session, minion_id, now=now)
        if pillar is None:
            work.run_failed(self.db, run_id=ticket.run_id, problem=f"{minion_id} has no pillar.", now=now)
            return False
        self._forget_gone(machine, pillar)
        for guest in machine.converge(pillar, now):
            self._begin_install(machine, guest)
        report = machine.report(now)
        return work.record_run(self.db, minion_id=minion_id, jid=jid, report=report, now=now)

    def _forget_gone(self, machine: Machine, pillar: dict[str, Any]) -> None:
        """Forget what was wiped and what the shop speaks of no more; what is there is never forgotten."""
        gone = [
            key for key, guest in machine.guests.items() if guest.removed_token is not None and key not in pillar["vps"]
        ]  # fmt: skip
        for key in gone:
            del machine.guests[key]

    def _begin_install(self, machine: Machine, guest: Guest) -> None:
        chances = self.stream("install", guest.wish["os"]["hostname"], guest.wish["os"]["attempt"])
        minutes = 150 if chances.random() < 0.01 else chances.randint(4, 12)
        fails = chances.random() < 0.02
        self.installs_failed += fails
        if minutes > 120:
            # The shop gives it up before it ends well.
            self.failed.add(guest.wish["uuid"])
        job = guest.install
        self.agenda.after(
            timedelta(minutes=minutes), lambda: self._end_install(machine, guest, job, fails=fails)
        )

    def _end_install(
        self, machine: Machine, guest: Guest, job: dict[str, Any] | None, *, fails: bool
    ) -> None:
        if job is None or guest.install is not job:
            return
        now = self.agenda.now
        if fails:
            self.failed.add(guest.wish["uuid"])
        job |= {"state": "failed", "error": "No space left."} if fails else {"state": "done", "percent": 100}
        if not fails:
            # The installer boots it, unless something else is wanted by now.
            _switch(guest, "stopped" if guest.wish["wanted"] == "absent" else guest.wish["wanted"], now)
        # Of what ends while nobody can be reached the next run tells.
        if not machine.is_away(now) and work.record_jobs(
            self.db, minion_id=machine.minion_id, jobs=[dict(job)], now=now
        ):
            self._run_until_quiet(machine.minion_id)
