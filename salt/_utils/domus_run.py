"""Run other programs: argument lists only, a plain locale, a time limit, and no secret in errors."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from domus_errors import ToolFailed, ToolMissing

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TAIL_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Result:
    """What a program left behind; the streams are empty when they went to a log."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in a text; the longest first, so that no rest of one survives."""
    for secret in sorted({s for s in secrets if s}, key=len, reverse=True):
        text = text.replace(secret, "********")
    return text


class Runner:
    """Runs programs on this machine; tests inject a fake with the same method."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_seconds: float,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
        log_path: Path | None = None,
        returncodes: Collection[int] = (0,),
    ) -> Result:
        """Run a program to its end and return what it said.

        With ``log_path`` both streams are appended to that file while the program runs. Another
        return code than those allowed, a missing program or a passed time limit is `ToolFailed`;
        after the time limit the whole process group is killed, so no child of it lives on.
        """
        if log_path is None:
            return self._run(argv, None, timeout_seconds, input, env, secrets, returncodes)
        with log_path.open("ab") as log:
            return self._run(argv, log, timeout_seconds, input, env, secrets, returncodes)

    def _run(
        self,
        argv: Sequence[str],
        log: IO[bytes] | None,
        timeout_seconds: float,
        input_text: str | None,
        env: Mapping[str, str] | None,
        secrets: Collection[str],
        returncodes: Collection[int],
    ) -> Result:
        log_start = log.seek(0, os.SEEK_END) if log else 0
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
                stdout=log or subprocess.PIPE,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                env=environment(env),
                start_new_session=True,
            )
        except OSError as error:
            kind = ToolMissing if isinstance(error, FileNotFoundError) else ToolFailed
            raise kind(f"{shown(argv, secrets)} could not be started: {error.strerror}") from None
        data = None if input_text is None else input_text.encode()
        try:
            raw_stdout, raw_stderr = process.communicate(data, timeout=timeout_seconds)
        except BaseException as error:
            _kill_group(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ToolFailed(
                    f"{shown(argv, secrets)} did not end within {timeout_seconds:g} seconds"
                ) from None
            raise
        stdout = (raw_stdout or b"").decode(errors="replace")
        stderr = (raw_stderr or b"").decode(errors="replace")
        if process.returncode not in returncodes:
            said = _since(log, log_start) if log else stderr or stdout
            raise failure(argv, process.returncode, said, secrets)
        return Result(tuple(argv), process.returncode, stdout, stderr)


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Return the small environment that programs get; nothing of the minion's own leaks into it."""
    base = {"PATH": SEARCH_PATH, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/root")}
    return base | dict(extra or {})


def shown(argv: Sequence[str], secrets: Iterable[str]) -> str:
    """Return an argument list as text for a message, without its secrets."""
    return redact(" ".join(argv), secrets)


def failure(argv: Sequence[str], returncode: int, said: str, secrets: Collection[str]) -> ToolFailed:
    """Return the error for a program that ended badly, with the end of what it said."""
    tail = redact(said.strip(), secrets)[-TAIL_CHARACTERS:]
    ended = f"by signal {-returncode}" if returncode < 0 else f"with code {returncode}"
    return ToolFailed(f"{shown(argv, secrets)} ended {ended}: {tail or 'it said nothing'}")


def _since(log: IO[bytes], start: int) -> str:
    with Path(log.name).open("rb") as written:
        end = written.seek(0, os.SEEK_END)
        written.seek(max(start, end - 4 * TAIL_CHARACTERS))
        return written.read().decode(errors="replace")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
