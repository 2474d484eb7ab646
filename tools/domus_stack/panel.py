"""The web panel as a process of the stack."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from domus_stack.errors import StackError
from domus_stack.ports import LOOPBACK
from domus_stack.processes import Process
from domus_stack.waiting import wait_until

START_LIMIT_SECONDS = 60.0
THREADS = 4
MEMORY_DIR = "/dev/shm"  # noqa: S108 - gunicorn makes its file there by mkstemp


class Panel:
    """gunicorn on a loopback port."""

    def __init__(
        self,
        make_process: Callable[[str, list[str], dict[str, str]], Process],
        *,
        port: int,
        environment: Mapping[str, str],
    ) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        argv = [sys.executable, "-m", "gunicorn", "--bind", f"{LOOPBACK}:{port}", "--threads", str(THREADS)]
        # A heartbeat file on a slow disk makes gunicorn think that its worker hangs.
        argv += ["--worker-tmp-dir", MEMORY_DIR, "--no-control-socket", "domus_web.wsgi:app"]
        self.process = make_process("panel", argv, dict(environment))

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start()
        wait_until(
            self._answers, f"the panel on {self.url}", START_LIMIT_SECONDS, explain=self.process.last_words
        )

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()

    def _answers(self) -> bool:
        if not self.process.running:
            raise StackError(f"the panel ended by itself\n{self.process.last_words()}")
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310 - our own http URL
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
