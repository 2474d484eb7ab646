"""The report of one dom0: what is there, and whether it is what was wanted (contracts.md, section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import domus_bring_up
import domus_fields
import domus_removal
from domus_errors import DomusError, NotValid
from domus_host import Dom0, stamp
from domus_interfaces import DomuInfo, Volume
from domus_job import is_removal
from domus_lifecycle import ON, RESTART_PATIENCE, RESTARTS_ITSELF
from domus_spec import SCHEMA_VERSION, VpsSpec, volume_name
from domus_vps_notes import VpsNotes, job_of, known_uuids

JOB_FIELDS = (
    *("uuid", "name", "install_id", "kind", "state", "step", "percent", "steps", "error", "attempt"),
    *("tries", "queued_at", "started_at", "finished_at", "log_tail"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What hypervisor and storage say, asked once for all VPSs."""

    domus: Mapping[str, DomuInfo]
    volumes: Mapping[str, Volume]


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why a VPS is not as wanted; what is under way by itself is no problem."""

    why: str
    under_way: bool = False
    look_again_at: datetime | None = None


def look(dom0: Dom0) -> Seen:
    """Ask hypervisor and storage for all that is there."""
    return Seen(
        {domu.uuid: domu for domu in dom0.hypervisor.list()},
        {volume.name: volume for volume in dom0.storage.list()},
    )


def report(dom0: Dom0, now: datetime, problems: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the report; ``problems`` are those of a state run that just ended, by uuid."""
    seen = look(dom0)
    known = known_uuids(dom0.state_dir)
    return {
        "schema_version": SCHEMA_VERSION,
        "minion_id": dom0.pillar.dom0.minion_id,
        "boot_id": dom0.hypervisor.boot_id(),
        "at": stamp(now),
        "capacity": capacity(dom0),
        "problem": domus_removal.why_halted(dom0.pillar, domus_removal.settled_tokens(dom0.state_dir), now),
        "vps": {uuid: _entry(dom0, uuid, seen, now, (problems or {}).get(uuid)) for uuid in known},
        "unknown": _unknown(seen, known),
    }


def capacity(dom0: Dom0) -> dict[str, int]:
    """Return what this dom0 has in all, and what of it is free."""
    node, storage = dom0.hypervisor.capacity(), dom0.storage.capacity()
    return {
        "memory_total_mib": node.memory_total_mib,
        "memory_free_mib": node.memory_free_mib,
        "vcpus": node.vcpus,
        "disk_total_mib": storage.total_mib,
        "disk_free_mib": storage.free_mib,
    }


def seen_power(dom0: Dom0, uuid: str, info: DomuInfo | None) -> tuple[str, str]:
    """Return power and its reason.

    A shutdown that we did not ask for is the guest's own, unless we tried to start it since. A guest that
    restarts itself counts as running.
    """
    if info is None:
        return "absent", ""
    if info.is_restarting:
        return "running", ""
    notes = VpsNotes(dom0.state_dir, uuid)
    if info.power == "stopped" and notes.starting:
        return info.power, "failed"
    if info.power_reason == "shutdown" and not notes.asked_down:
        return info.power, "guest"
    return info.power, info.power_reason


def _entry(dom0: Dom0, uuid: str, seen: Seen, now: datetime, problem: str | None) -> dict[str, Any]:
    removed = dom0.state_dir.read("removed", uuid)
    wanted = dom0.state_dir.read("wanted", uuid)
    info = seen.domus.get(uuid)
    power, reason = seen_power(dom0, uuid, info)
    notes = VpsNotes(dom0.state_dir, uuid)
    entry: dict[str, Any] = {
        "name": (wanted or removed or {}).get("name"),
        "revision": None,
        "seen_revision": (wanted or removed or {}).get("revision"),
        "power": power,
        "power_reason": reason,
        "memory_mib": info.memory_mib if info and info.power in ON else None,
        "vcpus": info.vcpus if info and info.power in ON else None,
        "boot_serial": notes.boot_serial or 0,
        "install": _job(dom0, uuid),
        "problem": problem or notes.problem,
        "removed_token": removed["token"] if removed else None,
        "look_again_at": None,
    }
    if wanted is None:
        # Removed, or its entry in the pillar was never valid; the note of a problem says which.
        return entry | {"revision": removed["revision"] if removed else None}
    try:
        spec = VpsSpec.parse(wanted)
        unmet = _unmet(dom0, spec, seen, notes, now)
    except DomusError as error:
        return entry | {"problem": entry["problem"] or str(error)}
    if unmet is None:
        # What an earlier run complained about is over; what this run says is not.
        return entry | {"problem": problem, "revision": None if problem else spec.revision}
    if unmet.under_way:
        return entry | {"look_again_at": unmet.look_again_at and stamp(unmet.look_again_at)}
    return entry | {"problem": entry["problem"] or unmet.why}


def _unmet(dom0: Dom0, spec: VpsSpec, seen: Seen, notes: VpsNotes, now: datetime) -> Unmet | None:
    """Return what does not hold yet."""
    if spec.wanted == "absent":
        if spec.tombstone is None:
            return Unmet("It is wanted absent without a tombstone, so it is kept")
        again = max(now, spec.tombstone.not_before)
        if domus_removal.is_begun(dom0.state_dir, spec):
            # The end of the job calls for the next run by itself.
            again = now + domus_removal.WIPE_PATIENCE
        return Unmet("It is still there", under_way=True, look_again_at=again)
    job = job_of(dom0.state_dir, spec)
    if job is None:
        return Unmet("It is not installed")
    if job["state"] == "failed":
        return Unmet(f"The installation failed: {job['error']}")
    if job["state"] != "done":
        return Unmet("It is being installed", under_way=True)
    stopping = notes.stopping
    if stopping is not None:
        return Unmet("It was asked to shut down", under_way=True, look_again_at=stopping.deadline)
    info = seen.domus.get(spec.uuid)
    if info is not None and info.is_restarting:
        return Unmet(RESTARTS_ITSELF, under_way=True, look_again_at=now + RESTART_PATIENCE)
    different = _different(dom0, spec, seen, notes)
    return Unmet(different) if different else None


def _different(dom0: Dom0, spec: VpsSpec, seen: Seen, notes: VpsNotes) -> str | None:
    """Return the first difference between an installed VPS and what is wanted."""
    info = seen.domus.get(spec.uuid)
    running = info is not None and info.power in ON
    if running != (spec.wanted == "running"):
        return f"It is {info.power if info else 'not defined'} and should be {spec.wanted}"
    if notes.boot_serial not in (None, spec.boot_serial):
        return f"It was rebooted {notes.boot_serial} times of {spec.boot_serial}"
    outdated = dom0.hypervisor.outdated(spec, domus_bring_up.disk_paths(spec, seen.volumes.values()))
    if outdated:
        return f"Its definition differs in {', '.join(outdated)}"
    for disk in spec.disks:
        size_mib = seen.volumes[volume_name(spec, disk)].size_mib
        if size_mib < disk.size_mib:
            return f"Its disk {disk.name} has {size_mib} MiB and should have {disk.size_mib}"
    return None


def _job(dom0: Dom0, uuid: str) -> dict[str, Any] | None:
    job = dom0.state_dir.read("jobs", uuid)
    return {name: job.get(name) for name in JOB_FIELDS} if job and not is_removal(job) else None


def _unknown(seen: Seen, known: list[str]) -> list[dict[str, Any]]:
    """Return the domUs that the pillar does not know, and the VPSs that only volumes are left of."""
    found = {
        domu.uuid: {"name": domu.name, "uuid": domu.uuid, "power": domu.power}
        for domu in seen.domus.values()
        if domu.uuid not in known
    }
    for volume in seen.volumes.values():
        owner = volume.tag_owner
        # A template's volume has a word for its owner.
        if owner and domus_fields.UUID.fullmatch(owner) and owner not in known:
            found.setdefault(owner, {"name": volume.name, "uuid": owner, "power": "absent"})
    return [found[uuid] for uuid in sorted(found)]


def run_problems(states: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Return the problems by uuid that the result of a state run shows."""
    problems: dict[str, str] = {}
    ordered = sorted(states.values(), key=lambda state: state.get("__run_num__", 0))
    for state in ordered:
        identity = str(state.get("__id__", ""))
        followed = str(state.get("comment", "")).startswith("One or more requisite failed")
        if state.get("result") is False and identity.startswith(prefix) and not followed:
            uuid = identity.removeprefix(prefix)[:36]
            problems.setdefault(uuid, str(state.get("comment", "")))
    return problems


def run_counts(states: Mapping[str, Any]) -> dict[str, int]:
    """Return how many states succeeded, changed something (or would), and failed."""
    results = list(states.values())
    return {
        "succeeded": sum(state.get("result") is True for state in results),
        "changed": sum(bool(state.get("changes")) for state in results),
        "failed": sum(state.get("result") is False for state in results),
    }


def require_states(returned: Any) -> Mapping[str, Any]:
    """Return what a state run returned; a list of errors means that it did not take place."""
    if not isinstance(returned, Mapping) or not all(isinstance(s, Mapping) for s in returned.values()):
        said = returned if isinstance(returned, list) else [domus_fields.shorten(returned)]
        raise NotValid(f"The state run did not take place: {' '.join(str(line) for line in said)}")
    return returned
