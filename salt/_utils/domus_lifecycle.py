"""Brings the power of a VPS to what is wanted, without ever waiting for a guest.

A guest that is asked to shut down gets until a deadline, which is put on record. Whoever comes by
later, a state run or the beacon, looks whether it is down, and pulls the plug when its time is up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

import domus_bring_up
from domus_errors import DomusError, ToolFailed
from domus_host import Dom0, stamp
from domus_interfaces import Changes
from domus_spec import VpsSpec
from domus_vps_notes import Stopping, VpsNotes, job_of

ON = ("running", "paused")
MAX_DEEDS = 4
RESTARTS_ITSELF = "It restarts itself"
# When to look again at a guest that restarts itself.
RESTART_PATIENCE = timedelta(seconds=30)


class Deed(StrEnum):
    """The next thing to do about the power of a VPS."""

    HOLD = "hold"
    """Its power is what is wanted; only its definition may need care."""
    START = "start"
    ASK = "ask"
    """Ask the guest to shut itself down."""
    WAIT = "wait"
    """It was asked, and its time is not up."""
    PULL = "pull"
    """Pull the plug; what follows is decided anew."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, or would be; ``look_again_at`` is set while something is under way."""

    comment: str
    changes: Changes = field(default_factory=dict)
    look_again_at: datetime | None = None
    failed: bool = False


def decide(
    spec: VpsSpec, power: str | None, boot_serial: int, stopping: Stopping | None, now: datetime
) -> Deed:
    """Return the next deed; power is None for a domU that is not defined."""
    if power not in ON:
        return Deed.START if spec.wanted == "running" else Deed.HOLD
    if spec.wanted == "running":
        return _decide_for_running(spec, power, boot_serial, stopping, now)
    if spec.stop_mode == "hard":
        return Deed.PULL
    return _ask_or_pull(stopping, now)


def _decide_for_running(
    spec: VpsSpec, power: str | None, boot_serial: int, stopping: Stopping | None, now: datetime
) -> Deed:
    behind = spec.boot_serial > boot_serial
    if behind and spec.reboot_mode == "hard":
        return Deed.PULL
    if behind:
        return _ask_or_pull(stopping, now)
    if stopping is not None and now < stopping.deadline:
        # A stop was asked for and taken back; the guest may still be on its way down.
        return Deed.WAIT
    return Deed.START if power == "paused" else Deed.HOLD


def _ask_or_pull(stopping: Stopping | None, now: datetime) -> Deed:
    if stopping is None:
        return Deed.ASK
    return Deed.WAIT if now < stopping.deadline else Deed.PULL


def settle(dom0: Dom0, spec: VpsSpec, now: datetime, *, test: bool = False) -> Outcome:
    """Bring a VPS to its wanted power, or in test mode say what that would change."""
    with dom0.state_dir.lock(spec.uuid, wait=False) as held:
        if not held:
            return Outcome("Another process is at work on it", look_again_at=now)
        waiting = _installation(dom0, spec)
        if waiting is not None and spec.wanted == "running":
            return waiting
        if test:
            return _plan(dom0, spec, now, installed=waiting is None)
        return _settle(dom0, spec, now, installed=waiting is None)


def finish_pending(dom0: Dom0, now: datetime, spec_of: Callable[[str], VpsSpec | None]) -> dict[str, str]:
    """Go on with the VPSs that were asked to shut down; return the problems met, by uuid."""
    problems = {}
    for uuid in dom0.state_dir.names("stopping"):
        spec = spec_of(uuid)
        if spec is None:
            dom0.state_dir.forget("stopping", uuid)
            continue
        try:
            # Until its tombstone is due, a VPS that is to go is one that is to be down.
            settle(dom0, as_stopped(spec) if spec.wanted == "absent" else spec, now)
        except DomusError as error:
            problems[uuid] = str(error)
    return problems


def as_stopped(spec: VpsSpec) -> VpsSpec:
    """Return the wish for the same VPS being down."""
    return replace(spec, wanted="stopped")


def _installation(dom0: Dom0, spec: VpsSpec) -> Outcome | None:
    """Return why a VPS cannot run yet, or None when its operating system is there."""
    job = job_of(dom0.state_dir, spec)
    if job is None:
        return Outcome("Its operating system is not installed yet")
    if job["state"] == "done":
        return None
    if job["state"] == "failed":
        return Outcome(f"The installation failed: {job['error']}", failed=True)
    return Outcome(f"installing: {job['step'] or job['state']} {job['percent']} %")


def _settle(dom0: Dom0, spec: VpsSpec, now: datetime, *, installed: bool) -> Outcome:
    notes = VpsNotes(dom0.state_dir, spec.uuid)
    if notes.boot_serial is None:
        # Never seen here: reboots that were asked for before it came are no longer wanted.
        notes.keep(boot_serial=spec.boot_serial)
    changes: Changes = {}
    for _ in range(MAX_DEEDS):
        info = dom0.hypervisor.info(spec.uuid)
        if info is not None and info.is_restarting:
            return Outcome(RESTARTS_ITSELF, changes, now + RESTART_PATIENCE)
        power = info.power if info else None
        stopping = notes.stopping
        deed = decide(spec, power, notes.boot_serial or 0, stopping, now)
        if deed is Deed.WAIT and stopping:
            return Outcome(_waiting_comment(stopping), changes, stopping.deadline)
        if deed in (Deed.HOLD, Deed.START):
            return _arrive(dom0, spec, notes, changes, installed=installed)
        if deed is Deed.ASK:
            notes.begin_stopping(Stopping.asked(spec, now))
            notes.keep(asked_down=True)
            dom0.hypervisor.shutdown(spec.uuid)
            changes.setdefault("shutdown", {"old": None, "new": "asked"})
        else:
            notes.keep(asked_down=True)
            dom0.hypervisor.destroy(spec.uuid)
            changes["power"] = {"old": power, "new": "stopped"}
    raise ToolFailed(f"{spec.name} is {power} after {MAX_DEEDS} attempts to change that")


def _arrive(dom0: Dom0, spec: VpsSpec, notes: VpsNotes, changes: Changes, *, installed: bool) -> Outcome:
    """Do the last deed, after which the VPS is as wanted."""
    if spec.wanted == "running":
        done = domus_bring_up.bring_up(spec, dom0.hypervisor, dom0.storage, notes)
        rebooted = {"boot_serial": {"old": notes.boot_serial, "new": spec.boot_serial}}
        changes = changes | done | (rebooted if notes.boot_serial != spec.boot_serial else {})
    elif installed:
        changes = changes | domus_bring_up.define(spec, dom0.hypervisor, dom0.storage)
    if "shutdown" in changes and spec.wanted == "stopped":
        changes = changes | {"power": {"old": "running", "new": "stopped"}}
    notes.end_stopping()
    notes.keep(boot_serial=spec.boot_serial)
    return Outcome(f"{spec.name} is {spec.wanted}", changes)


def _plan(dom0: Dom0, spec: VpsSpec, now: datetime, *, installed: bool) -> Outcome:
    notes = VpsNotes(dom0.state_dir, spec.uuid)
    info = dom0.hypervisor.info(spec.uuid)
    if info is not None and info.is_restarting:
        return Outcome(RESTARTS_ITSELF, {}, now + RESTART_PATIENCE)
    power = info.power if info else None
    serial = spec.boot_serial if notes.boot_serial is None else notes.boot_serial
    deed = decide(spec, power, serial, notes.stopping, now)
    changes: Changes = {}
    if installed:
        paths = domus_bring_up.find_disks(spec, dom0.storage)
        run = spec.wanted == "running"
        changes = domus_bring_up.needed(spec, dom0.hypervisor, paths, power=run)
    if deed in (Deed.ASK, Deed.PULL):
        changes["power"] = {"old": power, "new": "restarted" if spec.wanted == "running" else "stopped"}
    would = "would be" if changes else "is"
    return Outcome(f"{spec.name} {would} {spec.wanted}", changes)


def _waiting_comment(stopping: Stopping) -> str:
    return f"Asked to shut down (for a {stopping.purpose}); the plug is pulled at {stamp(stopping.deadline)}"
