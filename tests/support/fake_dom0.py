"""A dom0 as the house sees it: it reads its pillar and reports, and keeps its own state in memory."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domus.core.clock import iso_z, utc_now
from domus.db.engine import Database
from domus.pillar.services import pillar_for
from domus.workflows import work

GIB = 1024


@dataclass
class Guest:
    """What the dom0 knows of one VPS."""

    wish: dict[str, Any]
    power: str = "absent"
    power_reason: str = ""
    boot_serial: int = 0
    install: dict[str, Any] | None = None
    removed_token: str | None = None

    @property
    def is_installed(self) -> bool:
        """Tell whether the present attempt of the present installation is done."""
        return self.answers_wish and self.install is not None and self.install["state"] == "done"

    @property
    def answers_wish(self) -> bool:
        """Tell whether the job at hand is the one that is wanted."""
        system = self.wish["os"]
        job = self.install
        if job is None or job["install_id"] != system["install_id"]:
            return False
        return job["state"] == "done" or job["attempt"] == system["attempt"]


@dataclass
class FakeDom0:
    """One minion. ``converge`` brings about what its pillar wants, but for installations, which a test ends itself."""

    db: Database
    minion_id: str
    boot_id: str = "boot-1"
    guests: dict[str, Guest] = field(default_factory=dict)

    def pillar(self) -> dict[str, Any]:
        """Return what the house wants here now."""
        with self.db.reading() as session:
            pillar = pillar_for(session, self.minion_id, now=utc_now())
        assert pillar is not None
        return pillar

    def converge(self, now: datetime, *, pillar: dict[str, Any] | None = None) -> dict[str, Any]:
        """Work on all that the pillar knows, and return the report."""
        for key, wish in (pillar or self.pillar())["vps"].items():
            guest = self.guests.setdefault(key, Guest(wish))
            guest.wish = wish
            self._bring_about(guest, now)
        return self.report(now)

    def run(self, now: datetime) -> bool:
        """Do a whole run as Salt would: begin, publish, converge, return. False when the dom0 was not due."""
        ticket = work.begin_run(self.db, minion_id=self.minion_id, now=now)
        if ticket is None:
            return False
        jid = uuid.uuid4().hex[:20]
        work.run_published(self.db, run_id=ticket.run_id, jid=jid, now=now)
        work.record_run(self.db, minion_id=self.minion_id, jid=jid, report=self.converge(now), now=now)
        return True

    def end_installs(self, *, error: str | None = None) -> list[dict[str, Any]]:
        """End the installations that are under way, well or with an error; return the jobs as the beacon tells them."""
        ended = [
            guest.install
            for guest in self.guests.values()
            if guest.install and guest.install["state"] == "running"
        ]
        for job in ended:
            job |= {"state": "failed" if error else "done", "error": error}
            if not error:
                job["percent"] = 100
        return [dict(job) for job in ended]

    def report(self, now: datetime) -> dict[str, Any]:
        """Return the report."""
        return {
            "schema_version": 1,
            "minion_id": self.minion_id,
            "boot_id": self.boot_id,
            "at": iso_z(now),
            "capacity": {"memory_total_mib": 8 * GIB, "memory_free_mib": 4 * GIB, "vcpus": 16},
            "vps": {key: self._entry(guest) for key, guest in self.guests.items()},
            "unknown": [],
            "states": {"succeeded": len(self.guests), "changed": 0, "failed": 0},
        }

    def _bring_about(self, guest: Guest, now: datetime) -> None:
        wish = guest.wish
        if wish["wanted"] == "absent":
            guest.power = "stopped" if guest.power == "running" else guest.power
            if wish["tombstone"]["not_before"] <= iso_z(now):
                guest.power, guest.install = "absent", None
                guest.removed_token = wish["tombstone"]["token"]
            return
        if not guest.answers_wish:
            guest.install = self._new_job(wish)
        if guest.is_installed:
            guest.power, guest.power_reason = wish["wanted"], ""
            guest.boot_serial = wish["boot_serial"]

    def _new_job(self, wish: dict[str, Any]) -> dict[str, Any]:
        return {
            "uuid": wish["uuid"],
            "name": wish["name"],
            "install_id": wish["os"]["install_id"],
            "kind": "install",
            "state": "running",
            "step": "unpack",
            "percent": 40,
            "steps": [{"name": "unpack", "title": "Unpacking", "state": "running", "seconds": 1.5}],
            "error": None,
            "attempt": wish["os"]["attempt"],
            "tries": 1,
            "log_tail": ["unpacking"],
        }

    def _entry(self, guest: Guest) -> dict[str, Any]:
        wish = guest.wish
        if wish["wanted"] == "absent":
            holds = guest.removed_token is not None
        else:
            holds = guest.is_installed and guest.power == wish["wanted"]
        failed = guest.install is not None and guest.install["state"] == "failed"
        return {
            "name": wish["name"],
            "revision": wish["revision"] if holds else None,
            "seen_revision": wish["revision"],
            "power": guest.power,
            "power_reason": guest.power_reason,
            "boot_serial": guest.boot_serial,
            "install": None if guest.install is None else dict(guest.install),
            "problem": "the installation failed" if failed else None,
            "removed_token": guest.removed_token,
            "look_again_at": None,
        }
