"""Processes that end when we end: started as groups of their own, remembered on disk, ended leader first."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from domus_stack.errors import StackError
from domus_stack.files import last_lines, write_file

STOP_SECONDS = 10.0


class Process:
    """One program with its children. Start it from the main thread: it is told to end when that thread ends."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        state_dir: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        self._memory = state_dir / f"{name}.json"
        self._environment = dict(environment) if environment is not None else None
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the leader's process id, which is that of the group too."""
        if self._popen is None:
            raise StackError(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Tell whether the leader lives."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start the program; what a killed predecessor left running is ended first."""
        end_leftover(self._memory)
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # setpriv makes the kernel end the program when we die, even by SIGKILL.
            self._popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._cwd,
                start_new_session=True,
            )
        born = start_time(self._popen.pid)
        write_file(self._memory, json.dumps({"pid": self._popen.pid, "born": born, "argv": self.argv}))

    def ask_to_end(self) -> None:
        """Send the leader SIGTERM and return at once."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.terminate()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask the leader to end, and end the whole group when it takes longer."""
        if self._popen is None:
            return
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End the group at once, as a power cut would."""
        if self._popen is None:
            return
        kill_group(self._popen.pid)
        self._popen.wait()
        self._popen = None
        self._memory.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the end of its log with a heading."""
        return f"--- the end of {self.log}:\n{last_lines(self.log)}"


def end_leftovers(state_dir: Path) -> int:
    """End what a killed run left behind; return how many groups that were."""
    return sum(end_leftover(path) for path in sorted(state_dir.glob("*.json")))


def end_leftover(memory: Path) -> bool:
    """End the group that a file remembers, if it is still the one that was started."""
    try:
        remembered = json.loads(memory.read_text(encoding="utf-8"))
        pid, born = int(remembered["pid"]), int(remembered["born"])
    except (OSError, ValueError, KeyError, TypeError):
        memory.unlink(missing_ok=True)
        return False
    # A process id comes back one day; together with its start time it does not.
    ours = start_time(pid) == born or _orphans_since(pid, born)
    if ours:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while pid in _members(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        kill_group(pid)
    memory.unlink(missing_ok=True)
    return ours


def kill_group(leader: int) -> None:
    """Send SIGKILL to a process group and wait until no living member is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    deadline = time.monotonic() + STOP_SECONDS
    while _members(leader) and time.monotonic() < deadline:
        time.sleep(0.02)


def start_time(pid: int) -> int | None:
    """Return when a process was born, in clock ticks since the machine's start, or None."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _orphans_since(group: int, born: int) -> bool:
    """Tell whether a dead leader's children still live: members of its group that are not older than it."""
    return any((start_time(pid) or 0) >= born for pid in _members(group))


def _members(group: int) -> list[int]:
    """Return the living (not zombie) processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            fields = _stat(int(entry.name))
            if fields and int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
