"""Removes a VPS for good: only by a tombstone that is due, and only what carries its uuid."""

from collections.abc import Mapping
from datetime import datetime

import domus_lifecycle
from domus_errors import NotValid, Refused
from domus_host import Dom0, stamp
from domus_interfaces import Changes
from domus_lifecycle import Outcome
from domus_spec import Dom0Pillar, Tombstone, VpsSpec
from domus_state_dir import StateDir
from domus_vps_notes import VpsNotes

FORGOTTEN = (
    ("requests", ".json"),
    ("jobs", ".json"),
    ("jobs", ".log"),
    ("stopping", ".json"),
    ("vps", ".json"),
    ("wanted", ".json"),
)


def is_due(spec: VpsSpec, now: datetime) -> bool:
    """Say whether a VPS may be removed now."""
    return spec.wanted == "absent" and spec.tombstone is not None and spec.tombstone.not_before <= now


def due(pillar: Dom0Pillar, removed: Mapping[str, str], now: datetime) -> list[VpsSpec]:
    """Return the VPSs whose removal is due and not done; ``removed`` maps those removed before to their tokens."""
    at = pillar.earliest(now)
    return [
        spec
        for spec in pillar.vps.values()
        if is_due(spec, at) and spec.tombstone and removed.get(spec.uuid) != spec.tombstone.token
    ]


def why_halted(pillar: Dom0Pillar, removed: Mapping[str, str], now: datetime) -> str | None:
    """Return why nothing is removed at all: so many at once may be a mistake, and a person has to say that it is none."""
    count, limit = len(due(pillar, removed, now)), pillar.dom0.max_removals_per_run
    if count <= limit:
        return None
    return (
        f"{count} removals are due at once, more than max_removals_per_run={limit}; none is done. "
        "Raise the limit for a moment if this is meant"
    )


def remove(dom0: Dom0, spec: VpsSpec, now: datetime, *, test: bool = False) -> Outcome:
    """Remove a VPS whose tombstone is due; until then it is kept, and kept down."""
    if spec.wanted != "absent" or spec.tombstone is None:
        raise NotValid(
            f"{spec.name} has no tombstone, so nothing of it is removed; needed are `wanted: absent` and a "
            "tombstone with token and not_before"
        )
    withdrawn = VpsNotes(dom0.state_dir, spec.uuid).withdrawn
    if spec.tombstone.token in withdrawn:
        raise Refused(
            f"The tombstone of {spec.name} was withdrawn before; the pillar that brings it back is an older one. "
            "Nothing of it is removed without a new tombstone"
        )
    if not is_due(spec, dom0.pillar.earliest(now)):
        stopped = domus_lifecycle.settle(dom0, domus_lifecycle.as_stopped(spec), now, test=test)
        until = spec.tombstone.not_before
        comment = f"It is kept until {stamp(until)}. {stopped.comment}"
        return Outcome(comment, stopped.changes, stopped.look_again_at or until)
    changes = _present(dom0, spec)
    if test:
        would = f"{spec.name} would be removed" if changes else f"Nothing is left of {spec.name}"
        return Outcome(would, changes)
    # The lock of its job is held by a living installation; that has to end first.
    with (
        dom0.state_dir.lock(f"job-{spec.uuid}", wait=False) as no_job,
        dom0.state_dir.lock(spec.uuid, wait=False) as held,
    ):
        if not (no_job and held):
            return Outcome("Another process is at work on it", look_again_at=now)
        return _remove(dom0, spec, spec.tombstone, changes, now)


def removed_token(dom0: Dom0, uuid: str) -> str | None:
    """Return the token of the tombstone by which a VPS was removed here."""
    note = dom0.state_dir.read("removed", uuid)
    return note["token"] if note else None


def removed_tokens(state_dir: StateDir) -> dict[str, str]:
    """Return the VPSs that were removed here, each with its tombstone's token."""
    notes = {uuid: state_dir.read("removed", uuid) or {} for uuid in state_dir.names("removed")}
    return {uuid: str(note["token"]) for uuid, note in notes.items() if note.get("token")}


def _present(dom0: Dom0, spec: VpsSpec) -> Changes:
    """Return what is there of a VPS, as the changes that its removal makes."""
    volumes = [volume.name for volume in dom0.storage.list() if volume.tag_owner == spec.uuid]
    info = dom0.hypervisor.info(spec.uuid)
    changes: Changes = {f"volume {name}": {"old": "present", "new": None} for name in volumes}
    if info is not None:
        changes["domu"] = {"old": info.power, "new": None}
    return changes


def _remove(dom0: Dom0, spec: VpsSpec, tombstone: Tombstone, changes: Changes, now: datetime) -> Outcome:
    info = dom0.hypervisor.info(spec.uuid)
    if info is not None:
        dom0.hypervisor.destroy(spec.uuid)
        dom0.hypervisor.undefine(spec.uuid)
    for volume in dom0.storage.list():
        if volume.tag_owner == spec.uuid:
            dom0.storage.remove(volume.name, uuid=spec.uuid)
    if removed_token(dom0, spec.uuid) != tombstone.token:
        note = {"token": tombstone.token, "name": spec.name, "revision": spec.revision, "at": stamp(now)}
        dom0.state_dir.write("removed", spec.uuid, note)
    for topic, suffix in FORGOTTEN:
        dom0.state_dir.forget(topic, spec.uuid, suffix)
    return Outcome(f"Nothing is left of {spec.name}", changes)
