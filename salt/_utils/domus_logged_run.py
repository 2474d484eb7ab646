"""Run programs with all that they say going into a job's log."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from domus_errors import ToolFailed
from domus_job_log import JobLog
from domus_run import Result, Runner, environment

READ_BYTES = 1 << 16


class LoggedRunner(Runner):
    """A runner that notes each command and what it said."""

    def __init__(self, log: JobLog) -> None:
        self._log = log

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
        """Run a program to its end, as `Runner.run` does."""
        self._log.line(f"$ {' '.join(argv)}")
        result = super().run(
            argv,
            timeout_seconds=timeout_seconds,
            input=input,
            env=env,
            secrets=secrets,
            log_path=log_path,
            returncodes=returncodes,
        )
        for text in (result.stdout, result.stderr):
            if text.strip():
                self._log.line(text)
        return result

    def follow(self, argv: Sequence[str], on_line: Callable[[str], None], *, timeout_seconds: float) -> None:
        """Run a program that takes long, and hand on every line that it says as it says it."""
        self._log.line(f"$ {' '.join(argv)}")
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(None),
            start_new_session=True,
        )
        try:
            self._read(process.stdout, on_line, time.monotonic() + timeout_seconds)
            code = process.wait(timeout=10)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise ToolFailed(f"{argv[0]} did not end within {timeout_seconds:g} seconds") from None
        finally:
            _end(process)
        if code != 0:
            said = " / ".join(line for line in self._log.tail[-3:] if line)
            raise ToolFailed(f"{argv[0]} ended with code {code}: {said}")

    def _read(self, output: IO[bytes] | None, on_line: Callable[[str], None], until: float) -> None:
        if output is None:
            return
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError
                data = os.read(output.fileno(), READ_BYTES)
                *lines, rest = (rest + data).split(b"\n") if data else [rest, b""]
                for line in lines:
                    text = line.decode(errors="replace").rstrip("\r")
                    if text:
                        self._log.line(text)
                        on_line(text)
                if not data:
                    return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process of the group behind, and no pipe open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()
