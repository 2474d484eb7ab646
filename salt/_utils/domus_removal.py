"""Removes a VPS for good: only by a tombstone that is due, and only what carries its uuid.

Volumes that have to be overwritten first are handed to the worker, as that takes minutes or hours; the run after
its end finds nothing left, and only then the tombstone counts as fulfilled.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import domus_fields
import domus_lifecycle
import domus_wipe
from domus_errors import NotValid, Refused
from domus_host import Dom0, stamp
from domus_interfaces import Changes, Volume
from domus_job import FAILED, QUEUED, RUNNING, Job, JobStore, is_removal
from domus_lifecycle import Outcome
from domus_request import SCHEMA_VERSION
from domus_spec import Dom0Pillar, Tombstone, VpsSpec
from domus_state_dir import StateDir
from domus_vps_notes import VpsNotes
from domus_worker_start import ensure_worker

# When to look again at volumes that are being overwritten, and when to try again what failed.
WIPE_PATIENCE = timedelta(minutes=1)

FORGOTTEN = (
    ("requests", ".json"),
    ("jobs", ".json"),
    ("jobs", ".log"),
    ("removing", ".json"),
    ("stopping", ".json"),
    ("vps", ".json"),
    ("wanted", ".json"),
)


def is_due(spec: VpsSpec, now: datetime) -> bool:
    """Say whether a VPS may be removed now."""
    return spec.wanted == "absent" and spec.tombstone is not None and spec.tombstone.not_before <= now


def due(pillar: Dom0Pillar, settled: Mapping[str, str], now: datetime) -> list[VpsSpec]:
    """Return the VPSs whose removal is due and not begun; ``settled`` is what `settled_tokens` says."""
    at = pillar.earliest(now)
    return [
        spec
        for spec in pillar.vps.values()
        if is_due(spec, at) and spec.tombstone and settled.get(spec.uuid) != spec.tombstone.token
    ]


def why_halted(pillar: Dom0Pillar, settled: Mapping[str, str], now: datetime) -> str | None:
    """Return why nothing is removed at all: so many at once may be a mistake, and a person has to say that it is none."""
    count, limit = len(due(pillar, settled, now)), pillar.dom0.max_removals_per_run
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
    # The lock of its job is held while the worker is at it; an installation has to end first.
    with (
        dom0.state_dir.lock(f"job-{spec.uuid}", wait=False) as no_job,
        dom0.state_dir.lock(spec.uuid, wait=False) as held,
    ):
        if not no_job and is_begun(dom0.state_dir, spec):
            return _under_way(JobStore(dom0.state_dir).read(spec.uuid), now)
        if not (no_job and held):
            return Outcome("Another process is at work on it", look_again_at=now)
        return _remove(dom0, spec, spec.tombstone, changes, now)


def removed_token(dom0: Dom0, uuid: str) -> str | None:
    """Return the token of the tombstone by which a VPS was removed here."""
    note = dom0.state_dir.read("removed", uuid)
    return note["token"] if note else None


def is_begun(state_dir: StateDir, spec: VpsSpec) -> bool:
    """Say whether the removal by this very tombstone has begun here, and not ended."""
    note = state_dir.read("removing", spec.uuid)
    return note is not None and spec.tombstone is not None and note["token"] == spec.tombstone.token


def settled_tokens(state_dir: StateDir) -> dict[str, str]:
    """Return the VPSs that were removed here or are being removed, each with its tombstone's token.

    They count no more against what may be removed at once.
    """
    return _tokens(state_dir, "removing") | _tokens(state_dir, "removed")


def _tokens(state_dir: StateDir, topic: str) -> dict[str, str]:
    notes = {uuid: state_dir.read(topic, uuid) or {} for uuid in state_dir.names(topic)}
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
    if info is not None and info.is_restarting:
        return Outcome(domus_lifecycle.RESTARTS_ITSELF, {}, now + domus_lifecycle.RESTART_PATIENCE)
    if info is not None:
        dom0.hypervisor.destroy(spec.uuid)
        dom0.hypervisor.undefine(spec.uuid)
    volumes = [volume for volume in dom0.storage.list() if volume.tag_owner == spec.uuid]
    if any(dom0.storage.to_wipe_mib(volume) for volume in volumes):
        return _hand_over(dom0, spec, tombstone, changes, now)
    _give_back(dom0, volumes)
    if removed_token(dom0, spec.uuid) != tombstone.token:
        note = {"token": tombstone.token, "name": spec.name, "revision": spec.revision, "at": stamp(now)}
        dom0.state_dir.write("removed", spec.uuid, note)
    for topic, suffix in FORGOTTEN:
        dom0.state_dir.forget(topic, spec.uuid, suffix)
    return Outcome(f"Nothing is left of {spec.name}", changes)


def _give_back(dom0: Dom0, volumes: list[Volume]) -> None:
    for volume in volumes:
        dom0.storage.remove(volume.name, uuid=str(volume.tag_owner))


def _hand_over(dom0: Dom0, spec: VpsSpec, tombstone: Tombstone, changes: Changes, now: datetime) -> Outcome:
    """Let the worker overwrite and remove the volumes, unless it is told already. The job's lock is ours."""
    store = JobStore(dom0.state_dir)
    job = store.read(spec.uuid)
    before = job if job and is_removal(job, tombstone.token) else None
    if before and before["state"] in (QUEUED, RUNNING) and not store.is_lost(spec.uuid, before):
        # Asked for again, as that wakes a worker that was killed.
        ensure_worker(store)
        return _under_way(before, now)
    failed = before is not None and before["state"] == FAILED
    if before and failed and now < domus_fields.moment(before["finished_at"], "finished_at") + WIPE_PATIENCE:
        return Outcome(f"The removal failed: {before['error']}", {}, now + WIPE_PATIENCE, failed=True)
    # First the note that this tombstone was acted on: from here on it cannot be held back.
    dom0.state_dir.write("removing", spec.uuid, {"token": tombstone.token, "at": stamp(now)})
    store.enqueue_removal(_request(dom0, spec, tombstone), domus_wipe.PLAN)
    ensure_worker(store)
    done = {name: change for name, change in changes.items() if name == "domu"}
    told: Changes = done | {"volumes": {"old": "present", "new": "being overwritten"}}
    if before and failed:
        comment = f"The removal failed: {before['error']}; it is tried again"
        return Outcome(comment, told, now + WIPE_PATIENCE, failed=True)
    return Outcome(f"The volumes of {spec.name} are being overwritten", told, now + WIPE_PATIENCE)


def _request(dom0: Dom0, spec: VpsSpec, tombstone: Tombstone) -> dict[str, object]:
    request = {
        "schema_version": SCHEMA_VERSION,
        "vps": {
            "uuid": spec.uuid,
            "name": spec.name,
            "os": {"install_id": spec.os.install_id, "attempt": spec.os.attempt},
        },
        "token": tombstone.token,
        "dom0": dom0.raw["dom0"],
        "options": dom0.options,
    }
    # Salt hands out maps of its own kind; the request holds plain ones.
    plain: dict[str, object] = json.loads(json.dumps(request))
    return plain


def _under_way(job: Job | None, now: datetime) -> Outcome:
    percent = f" {job['percent']} %" if job else ""
    return Outcome(f"Its volumes are being overwritten:{percent}", look_again_at=now + WIPE_PATIENCE)
