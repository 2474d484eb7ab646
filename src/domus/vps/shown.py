"""What people are shown of a VPS: a pure function of what is wanted, what was seen and what is under way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from domus.vps.models import Power, VpsState


class Tone(StrEnum):
    """How a state is coloured; never the only sign of it."""

    OK = "ok"
    BUSY = "busy"
    OFF = "off"
    WARNING = "warning"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Shown:
    """A word for lists, a tone for its colour, and a sentence for the page."""

    label: str
    tone: Tone
    sentence: str


class JobInSight(Protocol):
    """As much of a job as is needed here (`provisioning.models.Job` has it)."""

    @property
    def kind(self) -> StrEnum:
        """What it does."""

    @property
    def is_open(self) -> bool:
        """Whether it may still change."""

    @property
    def percent(self) -> int:
        """How far it is."""

    @property
    def note(self) -> str:
        """What it waits for."""


_BY_STATE = {
    VpsState.RESERVED: Shown("Waiting for payment", Tone.WARNING, "It is made as soon as the order is paid."),
    VpsState.PROVISIONING: Shown("Installing", Tone.BUSY, "It is being made and installed."),
    VpsState.PROVISION_FAILED: Shown(
        "Installation failed", Tone.DANGER, "It could not be installed. It can be tried again or refunded."
    ),
    VpsState.REMOVING: Shown("Removing", Tone.BUSY, "It is being taken off its machine."),
    VpsState.REMOVED: Shown("Removed", Tone.OFF, "It is gone, and so is everything that was on it."),
    VpsState.CANCELLED: Shown(
        "Cancelled", Tone.OFF, "Its order was cancelled or never paid; it was never made."
    ),
}

_RUNNING, _STOPPED = Power.RUNNING, Power.STOPPED

#: (wanted, observed) of an active VPS that may run and has no job under way.
_ACTIVE = {
    (_RUNNING, Power.RUNNING): Shown("Running", Tone.OK, "It runs."),
    (_RUNNING, Power.STOPPED): Shown(
        "Stopped", Tone.WARNING, "It should run and does not; it is started again."
    ),
    (_RUNNING, Power.CRASHED): Shown("Crashed", Tone.DANGER, "Its kernel crashed; it is started again."),
    (_RUNNING, Power.PAUSED): Shown("Paused", Tone.WARNING, "It should run, but its machine has paused it."),
    (_RUNNING, Power.ABSENT): Shown(
        "Missing", Tone.DANGER, "It should run, but its machine does not find it."
    ),
    (_STOPPED, Power.RUNNING): Shown("Running", Tone.WARNING, "It should be off and still runs."),
    (_STOPPED, Power.STOPPED): Shown("Stopped", Tone.OFF, "It is off."),
    (_STOPPED, Power.CRASHED): Shown("Crashed", Tone.WARNING, "It is off after its kernel crashed."),
    (_STOPPED, Power.PAUSED): Shown(
        "Paused", Tone.WARNING, "It should be off, but its machine has paused it."
    ),
    (_STOPPED, Power.ABSENT): Shown(
        "Stopped", Tone.OFF, "It is off; its machine defines it at the next start."
    ),
}

_SUSPENDED_DOWN = Shown("Suspended", Tone.DANGER, "It is suspended and may not run until that is lifted.")
_SUSPENDED_UP = Shown("Suspending", Tone.BUSY, "It is suspended and is being shut down.")

_UNDER_WAY = {
    "start": Shown("Starting", Tone.BUSY, "It is being started."),
    "shutdown": Shown("Shutting down", Tone.BUSY, "It was asked to shut down."),
    "power_off": Shown("Powering off", Tone.BUSY, "It is being switched off."),
    "reboot": Shown("Rebooting", Tone.BUSY, "It is being restarted."),
}


def shown(
    state: VpsState,
    wanted: Power,
    observed: Power,
    *,
    suspended: bool,
    problem: str = "",
    job: JobInSight | None = None,
) -> Shown:
    """Return what to show. ``job`` is the newest job of the VPS; one that ended changes nothing."""
    under_way = job if job is not None and job.is_open else None
    if state is not VpsState.ACTIVE:
        base = _BY_STATE[state]
        if state is VpsState.PROVISIONING and under_way is not None and under_way.percent:
            base = replace(base, label=f"Installing, {under_way.percent} %")
    elif suspended:
        base = _SUSPENDED_UP if observed in (Power.RUNNING, Power.PAUSED) else _SUSPENDED_DOWN
    elif under_way is not None and under_way.kind.value in _UNDER_WAY:
        base = _UNDER_WAY[under_way.kind.value]
    else:
        base = _ACTIVE[(wanted, observed)]
    return _with_remarks(base, under_way.note if under_way else "", _relevant(problem, state))


def _relevant(problem: str, state: VpsState) -> str:
    return "" if state in (VpsState.RESERVED, VpsState.CANCELLED, VpsState.REMOVED) else problem


def _with_remarks(base: Shown, note: str, problem: str) -> Shown:
    """Add what it waits for and what went wrong; a problem is never shown as all right."""
    sentence = " ".join(text for text in (base.sentence, _as_sentence(note), _as_sentence(problem)) if text)
    tone = Tone.WARNING if problem and base.tone in (Tone.OK, Tone.OFF) else base.tone
    return Shown(base.label, tone, sentence)


def _as_sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else f"{text}."
