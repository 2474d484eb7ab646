"""The process that does the queued installations and removals of one dom0, several side by side.

It runs apart from the minion: without Salt in memory, and living on when the minion restarts. There
is one per dom0; it ends when the queue is empty. Each job runs in a process of its own, forked and
not started anew, so that many are cheap and none can harm another.
"""

import argparse
import os
import signal
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import domus_request
from domus_errors import DomusError
from domus_install import install
from domus_isolation import run_isolated
from domus_job import INSTALL, QUEUED, SUBJECTS, JobStore, Progress, is_removal
from domus_job_log import JobLog
from domus_request import Request
from domus_state_dir import StateDir
from domus_wipe import RemovalRequest, remove_volumes
from domus_worker_lock import WorkerLock

POLL_SECONDS = 0.2


class Worker:
    """Drains the queue."""

    def __init__(self, store: JobStore, lock: WorkerLock, perform: Callable[[str], int]) -> None:
        self._store = store
        self._lock = lock
        self._perform = perform
        self._children: dict[int, tuple[str, str]] = {}  # of each process the VPS and the kind of its job

    def run(self) -> None:
        """Work until the queue is empty.

        A job may be queued just when the last look found nothing. So the lock is given back first
        and the queue looked at once more: whoever queues after that look finds the lock free and
        starts another worker.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        while True:
            self._drain()
            self._lock.close()
            if not self._store.unfinished() or not self._lock.take():
                return

    def _drain(self) -> None:
        while True:
            self._reap()
            ours = {uuid for uuid, _ in self._children.values()}
            waiting = [uuid for uuid in self._store.unfinished() if uuid not in ours]
            for uuid in waiting:
                self._store.recover(uuid)
            self._start_some(waiting)
            if not self._children and not self._store.unfinished():
                return
            signal.sigtimedwait({signal.SIGCHLD}, POLL_SECONDS)

    def _start_some(self, uuids: list[str]) -> None:
        """Start what is queued as far as the limits allow; the oldest first."""
        jobs = [(uuid, job) for uuid in uuids if (job := self._store.read(uuid))]
        # Those of a worker that was killed run on, and count.
        at_work = Counter(job.get("kind", INSTALL) for _, job in jobs if job["state"] != QUEUED)
        at_work.update(kind for _, kind in self._children.values())
        for uuid, job in jobs:
            kind = job.get("kind", INSTALL)
            if job["state"] == QUEUED and at_work[kind] < domus_request.limit(self._store, uuid, kind):
                self._start(uuid, kind)
                at_work[kind] += 1

    def _start(self, uuid: str, kind: str) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = (uuid, kind)
            return
        code = 70
        try:
            self._lock.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            code = self._perform(uuid)
        except BaseException:  # noqa: BLE001 - this process ends here
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.pop(pid, None)


def perform(store: JobStore, uuid: str) -> int:
    """Do one job in this process, whose end ends all that belongs to the job."""
    with store.hold(uuid) as held:
        job = store.read(uuid)
        if not held or job is None or job["state"] != QUEUED:
            return 0
        log = JobLog(store.state_dir.file("jobs", uuid, ".log"), domus_request.secrets(store, uuid))
        progress = Progress(store, job, log)
        progress.begin()
        try:
            is_simulated, work = _work(store, uuid, progress)
            if is_simulated:
                return _attempt(work, progress)
            return run_isolated(lambda: _attempt(work, progress))
        except DomusError as error:
            progress.fail(str(error))
            return 1


def _work(store: JobStore, uuid: str, progress: Progress) -> tuple[bool, Callable[[], None]]:
    """Return what a job asks for, and whether it touches nothing real."""
    asked = store.request(uuid)
    if is_removal(progress.job):
        removal = RemovalRequest.parse(asked, store.state_dir)
        return removal.is_simulated, lambda: remove_volumes(removal, progress)
    request = Request.parse(asked, store.state_dir)
    return request.is_simulated, lambda: install(request, progress)


def _attempt(work: Callable[[], None], progress: Progress) -> int:
    try:
        work()
    except DomusError as error:
        progress.fail(str(error))
        return 1
    except Exception as error:  # noqa: BLE001 - see below
        # The last place that can put on record what went wrong; whatever it was, the customer's
        # order must not wait for ever.
        progress.log.line(traceback.format_exc())
        subject = SUBJECTS[progress.job.get("kind", INSTALL)].lower()
        progress.fail(f"Internal error in {subject}: {type(error).__name__}: {error}")
        return 1
    progress.done()
    return 0


def tell_systemd_ready() -> None:
    """Tell systemd that the lock is ours, so that whoever started us need not start another."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(b"READY=1")


def main() -> int:
    """Work on the queue of the state directory named on the command line."""
    parser = argparse.ArgumentParser(description="Install and remove what is queued on this dom0")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--lock-fd", type=int, help="an inherited descriptor that holds the lock")
    parser.add_argument("--detach", action="store_true", help="return at once, work on behind")
    arguments = parser.parse_args()
    os.umask(0o022)
    if arguments.detach and os.fork():
        os._exit(0)
    store = JobStore(StateDir(arguments.state_dir))
    lock = WorkerLock(store.state_dir)
    if arguments.lock_fd is not None:
        lock.adopt(arguments.lock_fd)
    elif not lock.take():
        return 0
    tell_systemd_ready()
    Worker(store, lock, lambda uuid: perform(store, uuid)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
