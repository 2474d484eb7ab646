"""Jobs on the dom0: one file per VPS says how its installation, or its removal, stands (contracts.md, section 3).

Beside the job stands its request: all that the worker needs to do it, the password hash too. A
request exists exactly as long as there is something to do, so the requests are the queue. Who works
on a job holds its lock; the kernel frees the lock when that process dies, however it dies.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domus_errors import ToolFailed
from domus_job_log import JobLog
from domus_state_dir import StateDir

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
INSTALL, REMOVE = "install", "remove"
SUBJECTS = {INSTALL: "The installation", REMOVE: "The removal"}
MAX_TRIES = 3
WRITE_INTERVAL_SECONDS = 0.25
WORKERS_OWN = ("weights", "may_format", "replaced", "token", "wiped_mib")

Job = dict[str, Any]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan; its weight is its usual share of the whole time."""

    name: str
    title: str
    weight: int


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return a time as the contract writes it."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def public(job: Job) -> Job:
    """Return a job as the contract describes it, without what only the worker needs."""
    return {key: value for key, value in job.items() if key not in WORKERS_OWN}


def is_removal(job: Job | None, token: str | None = None) -> bool:
    """Say whether a job is a removal: of a tombstone if its token is given, else any."""
    return job is not None and job.get("kind") == REMOVE and token in (None, job["token"])


def must_queue(job: Job | None, install_id: str, attempt: int) -> bool:
    """Say whether an installation has to be queued, given the job that is on record."""
    if job is None or is_removal(job) or job["install_id"] != install_id:
        return True
    return bool(job["state"] == FAILED and job["attempt"] < attempt)


def _may_replace(before: Job | None, wanted: Mapping[str, Any]) -> bool:
    """Say whether our record of an installation shows that it may be overwritten by the wanted one."""
    if before is None:
        return False
    if before["install_id"] == wanted["install_id"]:
        return bool(before["may_format"])
    return not wanted.get("installed") and wanted["install_id"] not in before.get("replaced", ())


def _replaced(before: Job | None, wanted: Mapping[str, Any]) -> list[str]:
    """Return all installations on record other than the wanted one."""
    if before is None:
        return []
    known = [*before.get("replaced", ()), before["install_id"]]
    return [install_id for install_id in dict.fromkeys(known) if install_id != wanted["install_id"]]


class JobStore:
    """The jobs of one dom0."""

    def __init__(self, state_dir: StateDir, clock: Clock = utc_now) -> None:
        self.state_dir = state_dir
        self.clock = clock

    def read(self, uuid: str) -> Job | None:
        """Return a VPS's job; one that cannot be read counts as lost, which never costs data."""
        try:
            return self.state_dir.read("jobs", uuid)
        except ToolFailed:
            return None

    def request(self, uuid: str) -> dict[str, Any] | None:
        """Return what a job needs to be done, or None when there is nothing left to do."""
        return self.state_dir.read("requests", uuid)

    def is_lost(self, uuid: str, job: Job | None) -> bool:
        """Say whether a job is on record as unfinished although nobody will ever finish it."""
        if job is None or job["state"] in (DONE, FAILED):
            return False
        return not self.state_dir.file("requests", uuid).exists()

    def unfinished(self) -> list[str]:
        """Return the VPSs that have a job to do or being done, the oldest request first."""
        folder = self.state_dir.root / "requests"
        ages = []
        for uuid in self.state_dir.names("requests"):
            try:
                ages.append(((folder / f"{uuid}.json").stat().st_mtime_ns, uuid))
            except FileNotFoundError:
                continue
        return [uuid for _, uuid in sorted(ages)]

    def hold(self, uuid: str) -> AbstractContextManager[bool]:
        """Hold a job's lock; False means that a living process works on it."""
        return self.state_dir.lock(f"job-{uuid}", wait=False)

    def enqueue(self, request: Mapping[str, Any], plan: Sequence[Step], *, may_format: bool = False) -> Job:
        """Put a job on record as queued. The caller holds its lock.

        ``may_format`` in the job says that the disks may be overwritten: because the caller says
        so, or because our own record shows an earlier installation, which this one then replaces;
        `domus_install` adds it when no volume is there yet. So a lost record never costs data.
        ``replaced`` names the installations before this one. The pillar of a database that was
        restored may ask for one of them again, which must not cost what was installed since.
        """
        wanted = request["vps"]["os"]
        before = self.read(request["vps"]["uuid"])
        allowed = may_format or _may_replace(before, wanted)
        return self._put(
            INSTALL, request, plan, {"may_format": allowed, "replaced": _replaced(before, wanted)}
        )

    def enqueue_removal(self, request: Mapping[str, Any], plan: Sequence[Step]) -> Job:
        """Put a removal on record as queued. The caller holds its lock.

        What an earlier try for the same tombstone has overwritten stays so; ``replaced`` is kept for the case that
        the tombstone is taken back.
        """
        before = self.read(request["vps"]["uuid"])
        again = before if is_removal(before, request["token"]) else None
        own = {
            "token": request["token"],
            "wiped_mib": again["wiped_mib"] if again else {},
            "may_format": False,
            "replaced": _replaced(before, request["vps"]["os"]),
        }
        return self._put(REMOVE, request, plan, own)

    def _put(
        self, kind: str, request: Mapping[str, Any], plan: Sequence[Step], own: Mapping[str, Any]
    ) -> Job:
        vps = request["vps"]
        job: Job = {
            "uuid": vps["uuid"],
            "name": vps["name"],
            "install_id": vps["os"]["install_id"],
            "kind": kind,
            "state": QUEUED,
            "step": None,
            "percent": 0,
            "steps": [
                {"name": step.name, "title": step.title, "state": "waiting", "seconds": None} for step in plan
            ],
            "weights": [step.weight for step in plan],
            "error": None,
            "attempt": vps["os"].get("attempt") or 1,
            "tries": 0,
            "queued_at": stamp(self.clock()),
            "started_at": None,
            "finished_at": None,
            "log_tail": [],
            **own,
        }
        self.state_dir.write("jobs", vps["uuid"], job)
        self.state_dir.write("requests", vps["uuid"], request)
        return job

    def recover(self, uuid: str) -> None:
        """Queue a job again whose process died, or fail it when that happened too often."""
        with self.hold(uuid) as held:
            job = self.read(uuid) if held else None
            if not held or (job and job["state"] == QUEUED):
                return
            if job is None or job["state"] in (DONE, FAILED):
                self.state_dir.forget("requests", uuid)
            elif job["tries"] < MAX_TRIES:
                job |= {"state": QUEUED, "step": None, "percent": 0}
                for step in job["steps"]:
                    step |= {"state": "waiting", "seconds": None}
                self.state_dir.write("jobs", uuid, job)
            else:
                subject = SUBJECTS[job.get("kind", INSTALL)]
                self.end(job, FAILED, f"{subject} was interrupted {job['tries']} times")

    def end(self, job: Job, state: str, error: str | None = None) -> None:
        """Put the end of a job on record, then drop its request with the secrets in it."""
        job |= {"state": state, "error": error, "finished_at": stamp(self.clock())}
        for step in job["steps"]:
            if step["state"] == "running":
                step["state"] = FAILED
        self.state_dir.write("jobs", job["uuid"], job)
        self.state_dir.forget("requests", job["uuid"])

    def write_progress(self, job: Job) -> None:
        """Write a job whole, but without waiting for the disk: the next write follows soon."""
        path = self.state_dir.file("jobs", job["uuid"])
        new = path.with_name(f".{path.name}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(job, file, indent=1, sort_keys=True)
        new.replace(path)


class Progress:
    """Moves one job from step to step; percent only ever grows."""

    def __init__(self, store: JobStore, job: Job, log: JobLog) -> None:
        self.job = job
        self.log = log
        self._store = store
        self._written_at = 0.0

    def begin(self) -> None:
        """Put on record that this try has begun."""
        self.job |= {"state": RUNNING, "tries": self.job["tries"] + 1, "error": None}
        self.job["started_at"] = self.job["started_at"] or stamp(self._store.clock())
        self.log.line(f"Try {self.job['tries']} of {self.job['kind']} {self.job['install_id']}")
        self._publish()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Do a step of the plan."""
        step = self._find(name)
        step["state"] = "running"
        self.job["step"] = name
        self.log.line(f"{step['title']} ...")
        self._publish()
        began = time.monotonic()
        try:
            yield
        finally:
            step["seconds"] = round(time.monotonic() - began, 2)
        step["state"] = DONE
        self.job["step"] = None
        self._set_percent(0.0)
        self._publish()

    def skip(self, *names: str) -> None:
        """Mark steps as done that were found done already."""
        for name in names:
            self._find(name)["state"] = DONE
        self._set_percent(0.0)

    def fraction(self, part: float) -> None:
        """Say how much of the present step is done, from 0 to 1."""
        before = self.job["percent"]
        self._set_percent(min(max(part, 0.0), 1.0))
        waited = time.monotonic() - self._written_at
        if self.job["percent"] != before and waited >= WRITE_INTERVAL_SECONDS:
            self._publish()

    def done(self) -> None:
        """End the job well."""
        self.job |= {"percent": 100, "log_tail": self.log.tail}
        self._store.end(self.job, DONE)

    def fail(self, error: str) -> None:
        """End the job with an error."""
        sentence = self.log.cleaned(error)
        self.log.line(f"Failed: {sentence}")
        self.job["log_tail"] = self.log.tail
        self._store.end(self.job, FAILED, sentence)

    def save(self) -> None:
        """Write the job durably, for what must be known after a power cut."""
        self.job["log_tail"] = self.log.tail
        self._store.state_dir.write("jobs", self.job["uuid"], self.job)

    def _publish(self) -> None:
        self._written_at = time.monotonic()
        self.job["log_tail"] = self.log.tail
        self._store.write_progress(self.job)

    def _find(self, name: str) -> dict[str, Any]:
        step: dict[str, Any] = next(s for s in self.job["steps"] if s["name"] == name)
        return step

    def _set_percent(self, part: float) -> None:
        pairs = list(zip(self.job["steps"], self.job["weights"], strict=True))
        ready = sum(weight for step, weight in pairs if step["state"] == DONE)
        ready += part * sum(weight for step, weight in pairs if step["state"] == "running")
        percent = int(100 * ready / sum(self.job["weights"]))
        # 100 is for a job that is done: something may still fail after the last step.
        self.job["percent"] = max(self.job["percent"], min(percent, 99))
