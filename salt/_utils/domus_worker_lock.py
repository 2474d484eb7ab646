"""The lock that makes the installation worker of a dom0 the only one."""

import fcntl
import os

from domus_state_dir import StateDir

LOCK_NAME = "worker.lock"


class WorkerLock:
    """Held by the worker alone: its children close it, so that it is free as soon as it dies."""

    def __init__(self, state_dir: StateDir) -> None:
        self._path = state_dir.locks / LOCK_NAME
        self._fd: int | None = None

    def take(self) -> bool:
        """Take the lock; False means that another process has it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def adopt(self, fd: int) -> None:
        """Take over a lock that the process which started us holds."""
        os.set_inheritable(fd, False)
        self._fd = fd

    def fileno(self) -> int:
        """Return the descriptor that holds the lock."""
        if self._fd is None:
            raise ValueError("The lock is not held")
        return self._fd

    def close(self) -> None:
        """Close the lock here; it is free when nobody else has it open."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
