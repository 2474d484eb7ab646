"""Notice which jobs have changed since the last look."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from domus_job import DONE, FAILED, Job, JobStore, public
from domus_state_dir import StateDir

RECENT_SECONDS = 3600
JOBS_PER_REPORT = 20

Seen = tuple[int, int]


class Watcher:
    """Compares the job files with how they were at the last look."""

    def __init__(self, state_dir: StateDir, clock: Callable[[], float] = time.time) -> None:
        self._store = JobStore(state_dir)
        self._folder = state_dir.jobs
        self._clock = clock
        self._seen: dict[str, Seen] | None = None

    def changed(self) -> list[list[Job]]:
        """Return the jobs that changed, in portions; the first look also tells recent ends."""
        now = dict(self._look())
        before, self._seen = self._seen, now
        if before is None:
            jobs = [job for job in self._read(sorted(now)) if self._is_news(job, now[job["uuid"]])]
        else:
            jobs = self._read(sorted(u for u, seen in now.items() if before.get(u) != seen))
        public_jobs = [public(job) for job in jobs]
        return [
            public_jobs[start : start + JOBS_PER_REPORT]
            for start in range(0, len(public_jobs), JOBS_PER_REPORT)
        ]

    def _look(self) -> Iterator[tuple[str, Seen]]:
        try:
            entries = list(os.scandir(self._folder))
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    continue
                # Each write makes a new file, so the inode tells even two writes in one tick.
                yield entry.name.removesuffix(".json"), (found.st_mtime_ns, found.st_ino)

    def _read(self, uuids: list[str]) -> list[dict[str, Any]]:
        return [job for uuid in uuids if (job := self._store.read(uuid)) is not None]

    def _is_news(self, job: Job, seen: Seen) -> bool:
        recent = self._clock() - seen[0] / 1e9 < RECENT_SECONDS
        return job["state"] not in (DONE, FAILED) or recent
