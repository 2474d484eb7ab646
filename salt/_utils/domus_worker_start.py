"""Make sure that the worker of this dom0 runs."""

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from domus_errors import ToolFailed
from domus_job import JobStore
from domus_run import Runner, environment
from domus_worker_lock import WorkerLock

START_TIMEOUT_SECONDS = 30
PROGRAM = Path(__file__).resolve().with_name("domus_worker.py")


def ensure_worker(store: JobStore, env: Mapping[str, str] = os.environ) -> bool:
    """Start the worker unless it runs or there is nothing to do; say whether it was started."""
    if not store.unfinished():
        return False
    lock = WorkerLock(store.state_dir)
    if not lock.take():
        return False
    argv = [sys.executable, str(PROGRAM), "--state-dir", str(store.state_dir.root)]
    try:
        if within_service(env):
            lock.close()
            _start_unit(argv, lock)
        else:
            _start_detached(argv, lock, store)
    finally:
        lock.close()
    return True


def within_service(env: Mapping[str, str]) -> bool:
    """Say whether we run in a systemd service, whose end would end the worker too."""
    booted_by_systemd = Path("/run/systemd/system").is_dir()
    return booted_by_systemd and "INVOCATION_ID" in env and os.geteuid() == 0


def _start_unit(argv: list[str], lock: WorkerLock) -> None:
    unit = f"domus-install-{uuid.uuid4().hex[:12]}"
    options = ["--quiet", "--collect", f"--unit={unit}", "--property=Type=notify"]
    try:
        Runner().run(["systemd-run", *options, "--", *argv], timeout_seconds=START_TIMEOUT_SECONDS)
    except ToolFailed:
        # Another call may have been quicker; its worker has the lock and does our job too.
        if lock.take():
            raise


def _start_detached(argv: list[str], lock: WorkerLock, store: JobStore) -> None:
    """Start the worker in a session of its own; it inherits the lock, so no moment is free of it."""
    fd = lock.fileno()
    log = store.state_dir.root / "worker.log"
    with log.open("wb") as output:
        starter = subprocess.Popen(
            [*argv, "--detach", "--lock-fd", str(fd)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment(None),
            start_new_session=True,
            pass_fds=(fd,),
        )
    try:
        code = starter.wait(START_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        starter.kill()
        starter.wait()
        code = -9
    if code != 0:
        raise ToolFailed(f"The installation worker could not be started; see {log}")
