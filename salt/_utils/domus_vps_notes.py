"""What a dom0 remembers about each VPS between two runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import domus_fields
from domus_host import stamp
from domus_job import is_removal
from domus_spec import VpsSpec
from domus_state_dir import StateDir

KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Stopping:
    """A guest that was asked to shut itself down, and when its patience ends."""

    purpose: str  # stop or reboot
    deadline: datetime

    @classmethod
    def asked(cls, spec: VpsSpec, now: datetime) -> "Stopping":
        """Return the note for a guest that is asked now."""
        purpose = "reboot" if spec.wanted == "running" else "stop"
        return cls(purpose, now + timedelta(seconds=spec.stop_timeout_seconds))


class VpsNotes:
    """The notes about one VPS."""

    def __init__(self, state_dir: StateDir, uuid: str) -> None:
        self._state_dir = state_dir
        self._uuid = uuid
        self._note: dict[str, Any] = state_dir.read("vps", uuid) or {}

    @property
    def boot_serial(self) -> int | None:
        """The reboots done, or None for a VPS that was never seen."""
        return self._note.get("boot_serial")

    @property
    def asked_down(self) -> bool:
        """Whether its being down, if it is, was our doing."""
        return bool(self._note.get("asked_down"))

    @property
    def starting(self) -> bool:
        """Whether it was started here and did not come up, as far as we know."""
        return bool(self._note.get("starting"))

    @property
    def problem(self) -> str | None:
        """Why the last run did not bring about what is wanted."""
        return self._note.get("problem")

    @property
    def withdrawn(self) -> list[str]:
        """The tokens of tombstones that were taken back: what was kept once is not removed by them any more."""
        return list(self._note.get("withdrawn", ()))

    @property
    def stopping(self) -> Stopping | None:
        """The request to shut down that still has to be fulfilled."""
        note = self._state_dir.read("stopping", self._uuid)
        if note is None:
            return None
        return Stopping(note["purpose"], domus_fields.moment(note["deadline"], "deadline"))

    def keep(self, **values: Any) -> None:
        """Remember some values; nothing is written when they are known already."""
        if any(self._note.get(name) != value for name, value in values.items()):
            self._note |= values
            self._state_dir.write("vps", self._uuid, self._note)

    def begin_stopping(self, stopping: Stopping) -> None:
        """Remember that the guest is asked; written before it is asked, so it cannot be forgotten."""
        note = {"purpose": stopping.purpose, "deadline": stamp(stopping.deadline)}
        self._state_dir.write("stopping", self._uuid, note)

    def end_stopping(self) -> None:
        """Forget the request to shut down."""
        self._state_dir.forget("stopping", self._uuid)


def job_of(state_dir: StateDir, spec: VpsSpec) -> dict[str, Any] | None:
    """Return the job of the installation that the pillar asks for, if it is on record."""
    job = state_dir.read("jobs", spec.uuid)
    if job is None or is_removal(job) or job.get("install_id") != spec.os.install_id:
        return None
    return job


def known_uuids(state_dir: StateDir) -> list[str]:
    """Return the VPSs of the newest pillar that a state run saw here."""
    note = state_dir.read(".", KNOWN)
    return list(note["uuids"]) if note else []


def note_known(state_dir: StateDir, uuids: list[str]) -> None:
    """Remember which VPSs the pillar knows."""
    if known_uuids(state_dir) != uuids:
        state_dir.write(".", KNOWN, {"uuids": uuids})
