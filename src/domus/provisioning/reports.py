"""What a dom0 sends (``docs/contracts.md`` 2 and 3), read strictly: its word is input like any other."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domus.core.clock import require_aware
from domus.core.errors import InvalidInput
from domus.vps.models import Power

SCHEMA_VERSION = 1

#: A dom0's text is kept only this far: a broken one must not fill the database.
MAX_TEXT = 1000
MAX_LOG = 20_000
MAX_STEPS = 100
MAX_CAPACITIES = 32
MAX_REFUSED = 20

_POWER_REASONS = ("", "guest", "shutdown", "destroyed", "crashed", "failed", "unknown")
_JOB_KINDS = ("install", "remove")
_JOB_STATES = ("queued", "running", "done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallJob:
    """An installation, or the overwriting of disks before a removal, as the dom0's job file tells it."""

    vps_id: uuid.UUID
    kind: str
    install_id: uuid.UUID
    attempt: int
    state: str
    step: str
    percent: int
    steps: tuple[dict[str, Any], ...]
    error: str
    log: str

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will come of it."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSeen:
    """Whether a domU runs, and for one that stopped: who stopped it."""

    vps_id: uuid.UUID
    power: Power
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VpsSeen:
    """One VPS in a report."""

    power: PowerSeen
    revision: int | None
    seen_revision: int
    problem: str
    install: InstallJob | None
    removed_token: uuid.UUID | None
    look_again_at: datetime | None
    memory_mib: int | None = None
    """What the running guest has; None while it does not run."""
    vcpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole report; ``refused`` are entries that could not be read, each with the reason."""

    boot_id: str
    at: datetime
    capacity: dict[str, int]
    problem: str
    vps: dict[uuid.UUID, VpsSeen]
    refused: tuple[str, ...]

    @property
    def hints(self) -> dict[uuid.UUID, datetime]:
        """Return when VPSs are worth another look, where the dom0 says so."""
        return {vps_id: seen.look_again_at for vps_id, seen in self.vps.items() if seen.look_again_at}


def parse_report(value: Any, *, minion_id: str, since: datetime | None = None, now: datetime) -> Report:
    """Read a report of *minion_id*; raise InvalidInput when it is none, or another dom0's.

    A bad entry spoils itself only. ``since`` is before when it cannot have been made: a dom0's clock that was set
    back must not make it old news.
    """
    report = _map(value, "The report")
    version = report.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InvalidInput(f"The report has schema_version {version!r}; this release reads {SCHEMA_VERSION}.")
    if report.get("minion_id") != minion_id:
        raise InvalidInput(f"The report is about {report.get('minion_id')!r} and came from {minion_id}.")
    at = _past_moment(report.get("at"), "at", now)
    if since is not None:
        at = max(at, since)
    entries: dict[uuid.UUID, VpsSeen] = {}
    refused = []
    for key, entry in _map(report.get("vps"), "vps").items():
        try:
            vps_id = _uuid(key, "the key of a VPS")
            entries[vps_id] = _vps(vps_id, entry, at)
        except InvalidInput as error:
            refused.append(f"{_text(key, 40)}: {error}")
    if len(refused) > MAX_REFUSED:
        refused[MAX_REFUSED:] = [f"and {len(refused) - MAX_REFUSED} more"]
    return Report(
        boot_id=_text(report.get("boot_id"), 64),
        at=at,
        capacity=_capacity(report.get("capacity")),
        problem=_text(report.get("problem"), MAX_TEXT),
        vps=entries,
        refused=tuple(refused),
    )


def parse_job(value: Any) -> InstallJob:
    """Read one job of a report or a beacon."""
    job = _map(value, "job")
    steps = job.get("steps") or []
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) for step in steps):
        raise InvalidInput("The steps of a job are a list of maps.")
    lines = job.get("log_tail") or []
    if not isinstance(lines, list):
        raise InvalidInput("The log_tail of a job is a list of lines.")
    return InstallJob(
        vps_id=_uuid(job.get("uuid"), "uuid"),
        kind=_word(job.get("kind", "install"), "kind", _JOB_KINDS),
        install_id=_uuid(job.get("install_id"), "install_id"),
        attempt=_number(job.get("attempt", 1), "attempt"),
        state=_word(job.get("state"), "state", _JOB_STATES),
        step=_text(job.get("step"), 64),
        percent=min(_number(job.get("percent", 0), "percent"), 100),
        steps=tuple(_step(step) for step in steps[:MAX_STEPS]),
        error=_text(job.get("error"), MAX_TEXT),
        log="\n".join(_text(line, MAX_TEXT) for line in lines)[-MAX_LOG:],
    )


def parse_power_change(value: Any, *, now: datetime) -> PowerSeen:
    """Read one power change of a beacon."""
    change = _map(value, "change")
    vps_id = _uuid(change.get("uuid"), "uuid")
    return _power(vps_id, change, _past_moment(change.get("at"), "at", now))


def _vps(vps_id: uuid.UUID, value: Any, at: datetime) -> VpsSeen:
    entry = _map(value, "the VPS")
    install = entry.get("install")
    job = None if install is None else parse_job(install)
    if job is not None and job.vps_id != vps_id:
        raise InvalidInput(f"its install speaks of another VPS, {job.vps_id}.")
    token = entry.get("removed_token")
    again = entry.get("look_again_at")
    revision = entry.get("revision")
    return VpsSeen(
        power=_power(vps_id, entry, at),
        revision=None if revision is None else _number(revision, "revision"),
        seen_revision=_number(entry.get("seen_revision") or 0, "seen_revision"),
        problem=_text(entry.get("problem"), MAX_TEXT),
        install=job,
        removed_token=None if token is None else _uuid(token, "removed_token"),
        memory_mib=_size(entry, "memory_mib"),
        vcpus=_size(entry, "vcpus"),
        look_again_at=None if again is None else _moment(again, "look_again_at"),
    )


def _size(entry: Mapping[Any, Any], name: str) -> int | None:
    """Read what a running guest has; a dom0 of the release before this one does not say it."""
    value = entry.get(name)
    return None if value is None else _number(value, name)


def _power(vps_id: uuid.UUID, entry: Mapping[str, Any], at: datetime) -> PowerSeen:
    return PowerSeen(
        vps_id=vps_id,
        power=Power(_word(entry.get("power"), "power", tuple(power.value for power in Power))),
        reason=_word(entry.get("power_reason") or "", "power_reason", _POWER_REASONS),
        at=at,
    )


def _step(step: Mapping[Any, Any]) -> dict[str, Any]:
    seconds = step.get("seconds")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    return {
        "name": _text(step.get("name"), 64),
        "title": _text(step.get("title"), 120),
        "state": _text(step.get("state"), 16),
        "seconds": seconds if is_number else None,
    }


def _capacity(value: Any) -> dict[str, int]:
    facts = [*_map(value if value is not None else {}, "capacity").items()][:MAX_CAPACITIES]
    named = [(_text(name, 64), fact) for name, fact in facts if fact is not None]
    return {name: _number(fact, f"capacity.{name}") for name, fact in named}


def _map(value: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where} is {_short(value)}; it must be a map.")
    return value


def _uuid(value: Any, where: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise InvalidInput(f"{where} is {_short(value)}; it must be a uuid.") from None


def _number(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise InvalidInput(f"{where} is {_short(value)}; it must be a whole number from 0 on.")
    return value


def _word(value: Any, where: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise InvalidInput(
            f"{where} is {_short(value)}; allowed are {', '.join(word for word in allowed if word)}."
        )
    return str(value)


def _past_moment(value: Any, where: str, now: datetime) -> datetime:
    """Read when something was seen.

    A dom0's clock that runs ahead of ours is taken as now, so that it cannot block what follows.
    """
    return min(_moment(value, where), now)


def _moment(value: Any, where: str) -> datetime:
    try:
        return require_aware(datetime.fromisoformat(value)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput(f"{where} is {_short(value)}; it must be a time with its zone.") from None


def _text(value: Any, limit: int) -> str:
    """Return one line that any database can keep and that steers no terminal: what cannot be seen is left out."""
    if value is None:
        return ""
    line = str(value)[:limit].replace("\r", "").replace("\n", " ")
    return "".join(character for character in line if character == "\t" or character.isprintable())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
