"""The log of one job: bounded, free of secrets and of control characters."""

import os
import re
from collections import deque
from collections.abc import Collection
from pathlib import Path

from domus_run import redact

LIMIT_BYTES = 1 << 20
TAIL_LINES = 40
LINE_CHARACTERS = 500
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class JobLog:
    """Appends lines to a file, and keeps the last of them at hand."""

    def __init__(self, path: Path, secrets: Collection[str] = (), limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._secrets = tuple(secrets)
        self._limit_bytes = limit_bytes
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tail: deque[str] = deque(read_tail(path, TAIL_LINES), maxlen=TAIL_LINES)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._size = path.stat().st_size

    @property
    def tail(self) -> list[str]:
        """The last lines."""
        return list(self._tail)

    def line(self, text: str) -> None:
        """Append a line; text of several lines becomes several."""
        lines = [
            ESCAPES.sub("", line)[:LINE_CHARACTERS]
            for line in redact(text, self._secrets).rstrip("\n").split("\n")
        ]
        self._tail.extend(lines)
        data = "".join(f"{line}\n" for line in lines).encode(errors="replace")[-self._limit_bytes // 2 :]
        if self._size + len(data) > self._limit_bytes:
            self._shrink()
        with self._path.open("ab") as file:
            file.write(data)
        self._size += len(data)

    def cleaned(self, text: str) -> str:
        """Return a text as one line without secrets and control characters."""
        return " ".join(ESCAPES.sub("", redact(text, self._secrets)).split())[:LINE_CHARACTERS]

    def _shrink(self) -> None:
        """Keep the newer part: a failure is explained by what was said last."""
        kept = self._path.read_bytes()[-self._limit_bytes // 3 :]
        kept = b"[older lines were dropped]\n" + kept.partition(b"\n")[2]
        self._path.write_bytes(kept)
        self._size = len(kept)


def read_tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log; none where there is no log."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:] if lines > 0 else []
