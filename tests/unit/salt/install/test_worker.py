"""The worker: every queued job ends, side by side within the limit, whatever dies."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import domus_worker
import pytest
from domus_job import JobStore, Progress
from domus_job_log import JobLog
from domus_request import Request, plan
from domus_spec import TemplateSpec
from domus_state_dir import StateDir
from domus_worker import Worker
from domus_worker_lock import WorkerLock
from domus_worker_start import ensure_worker, within_service

from tests.support.installs import (
    dom0_entry,
    request,
    template_entry,
    vps_entry,
    wait_for,
    wait_for_worker,
)

PLAN = plan(TemplateSpec.parse(template_entry()), template_ready=True)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    """Offer the jobs of a dom0."""
    return JobStore(StateDir(tmp_path))


def enqueue(store: JobStore, number: int, **options: float) -> str:
    asked = request(vps_entry(number), **options)
    return str(store.enqueue(asked, PLAN)["uuid"])


def state(store: JobStore, uuid: str) -> str:
    return str((store.read(uuid) or {})["state"])


def run_worker(store: JobStore, perform: Callable[[str], int]) -> None:
    lock = WorkerLock(store.state_dir)
    assert lock.take()
    Worker(store, lock, perform).run()


def finish(store: JobStore, uuid: str) -> int:
    """Do a job as quickly as possible."""
    with store.hold(uuid) as held:
        assert held
        progress = Progress(store, store.read(uuid) or {}, JobLog(store.state_dir.file("jobs", uuid, ".log")))
        progress.begin()
        progress.done()
    return 0


def test_every_queued_job_is_done_and_the_worker_ends(store: JobStore) -> None:
    uuids = [enqueue(store, number) for number in range(5)]
    run_worker(store, lambda uuid: finish(store, uuid))
    assert {state(store, uuid) for uuid in uuids} == {"done"}
    assert WorkerLock(store.state_dir).take()


def test_one_that_crashes_harms_no_other_and_is_tried_three_times(store: JobStore) -> None:
    bad, good = enqueue(store, 1), enqueue(store, 2)

    def perform(uuid: str) -> int:
        if uuid != bad:
            return finish(store, uuid)
        with store.hold(uuid):
            Progress(
                store, store.read(uuid) or {}, JobLog(store.state_dir.file("jobs", uuid, ".log"))
            ).begin()
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    run_worker(store, perform)
    assert state(store, good) == "done"
    job = store.read(bad) or {}
    assert (job["state"], job["tries"]) == ("failed", 3)


def test_no_more_run_side_by_side_than_the_dom0_allows(store: JobStore, tmp_path: Path) -> None:
    for number in range(6):
        enqueue(store, number)
    running = tmp_path / "running"
    running.mkdir()

    def perform(uuid: str) -> int:
        mark = running / uuid
        mark.touch()
        crowd = len(list(running.iterdir()))
        with (tmp_path / "crowds").open("a") as file:
            file.write(f"{crowd}\n")
        code = finish(store, uuid)
        mark.unlink()
        return code

    run_worker(store, perform)
    crowds = [int(line) for line in (tmp_path / "crowds").read_text().split()]
    assert len(crowds) == 6
    assert max(crowds) <= dom0_entry()["max_parallel_installs"]


def test_a_job_queued_when_the_queue_was_just_found_empty_is_not_lost(store: JobStore) -> None:
    """The last look comes after the lock was given back."""
    uuid = ""

    class LateLock(WorkerLock):
        def close(self) -> None:
            nonlocal uuid
            # The moment of danger: the queue was seen empty, and the lock is still held.
            if not uuid and os.getpid() == parent:
                uuid = enqueue(store, 1)
                assert ensure_worker(store) is False
            super().close()

    parent = os.getpid()
    lock = LateLock(store.state_dir)
    assert lock.take()
    Worker(store, lock, lambda uuid: finish(store, uuid)).run()
    assert state(store, uuid) == "done"


def test_a_job_left_running_by_a_dead_process_is_done_by_the_next_worker(store: JobStore) -> None:
    uuid = enqueue(store, 1)
    log = JobLog(store.state_dir.file("jobs", uuid, ".log"))
    Progress(store, store.read(uuid) or {}, log).begin()
    run_worker(store, lambda uuid: finish(store, uuid))
    assert state(store, uuid) == "done"


def test_a_request_that_does_not_parse_ends_as_a_failed_job(store: JobStore) -> None:
    uuid = enqueue(store, 1)
    asked = store.request(uuid) or {}
    asked["vps"]["memory_mib"] = "plenty"
    store.state_dir.write("requests", uuid, asked)
    run_worker(store, lambda uuid: domus_worker.perform(store, uuid))
    job = store.read(uuid) or {}
    assert job["state"] == "failed"
    assert "memory_mib" in job["error"]


def test_an_unexpected_error_ends_as_a_failed_job_with_a_traceback_in_the_log(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(request: Request, progress: Progress) -> None:
        raise ZeroDivisionError("for once")

    monkeypatch.setattr(domus_worker, "install", explode)
    uuid = enqueue(store, 1)
    run_worker(store, lambda uuid: domus_worker.perform(store, uuid))
    job = store.read(uuid) or {}
    assert job["error"] == "Internal error in the installation: ZeroDivisionError: for once"
    assert any("Traceback" in line for line in job["log_tail"])


def test_the_started_worker_is_a_process_without_salt_that_outlives_its_starter(store: JobStore) -> None:
    uuid = enqueue(store, 1)
    assert ensure_worker(store, env={}) is True
    wait_for_worker(store.state_dir)
    assert state(store, uuid) == "done", store.read(uuid)
    assert (store.state_dir.root / "worker.log").read_text() == ""


def test_the_worker_and_all_that_it_imports_know_no_salt() -> None:
    code = "import sys, domus_worker; sys.exit(any(m.split('.')[0] == 'salt' for m in sys.modules))"
    folder = str(Path(domus_worker.__file__).parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": folder})


def test_with_nothing_to_do_no_worker_is_started(store: JobStore) -> None:
    assert ensure_worker(store) is False


@pytest.mark.parametrize("victim", ["worker", "job"])
def test_kill_9_of_worker_or_job_costs_a_try_and_nothing_else(store: JobStore, victim: str) -> None:
    uuid = enqueue(store, 1, install_seconds=30)
    assert ensure_worker(store, env={})
    wait_for(lambda: (store.read(uuid) or {}).get("step") == "unpack", "the installation is in its middle")
    worker, job = processes_of(store)
    # The one that is killed runs the slow try; those that follow it find a quicker world.
    asked = store.request(uuid) or {}
    asked["options"]["simulated"]["install_seconds"] = 0
    store.state_dir.write("requests", uuid, asked)
    os.kill(worker if victim == "worker" else job, signal.SIGKILL)
    if victim == "worker":
        wait_for(lambda: not Path(f"/proc/{worker}").exists(), "the worker is gone")
        os.kill(job, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{job}").exists(), "the job is gone")
        assert ensure_worker(store, env={})
    wait_for_worker(store.state_dir)
    ended = store.read(uuid) or {}
    assert (ended["state"], ended["tries"]) == ("done", 2)


def processes_of(store: JobStore) -> tuple[int, int]:
    """Return the worker of a state directory and its one job, by their command line and parent."""
    mine = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(store.state_dir.root).encode() in _read(path)
    ]
    parents = {pid: int(_read(Path(f"/proc/{pid}/stat")).split()[3]) for pid in mine}
    job = next(pid for pid in mine if parents[pid] in mine)
    return parents[job], job


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_systemd_unit_is_used_within_a_service_only() -> None:
    assert within_service({}) is False
