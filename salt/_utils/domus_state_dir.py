"""The directory where Domus on a dom0 remembers things: one small JSON file per VPS and topic."""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domus_errors import NotValid, ToolFailed

DEFAULT_ROOT = "/var/lib/domus"
SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never a part of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file readable by its owner alone; the entries hold password hashes.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the map in a JSON file, or None where there is no such file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ToolFailed(f"{path} is not readable as JSON: {error}") from None
    if not isinstance(value, dict):
        raise ToolFailed(f"{path} holds no JSON object")
    return value


class StateDir:
    """Names the files below the state directory; directories come into being when written to."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @classmethod
    def from_options(cls, opts: Mapping[str, Any]) -> "StateDir":
        """Return the state directory that the minion configuration names (``domus:state_dir``)."""
        options = opts.get("domus") or {}
        return cls(options.get("state_dir") or DEFAULT_ROOT)

    @property
    def jobs(self) -> Path:
        """Installations: ``<uuid>.json`` and ``<uuid>.log``."""
        return self.root / "jobs"

    @property
    def wanted(self) -> Path:
        """The newest pillar entry of each VPS, for whoever works while no state run is on."""
        return self.root / "wanted"

    @property
    def locks(self) -> Path:
        """One empty file per VPS to lock."""
        return self.root / "locks"

    @property
    def templates(self) -> Path:
        """Operating system templates kept on this dom0."""
        return self.root / "templates"

    @property
    def simulated(self) -> Path:
        """The whole world of the simulated hypervisor and its storage."""
        return self.root / "simulated"

    def file(self, topic: str, name: str, suffix: str = ".json") -> Path:
        """Return the path of one file, such as ``file("jobs", uuid)``."""
        if not SAFE_NAME.fullmatch(name):
            raise NotValid(f"{name!r} is no name for a file in {self.root / topic}")
        return self.root / topic / f"{name}{suffix}"

    def read(self, topic: str, name: str) -> dict[str, Any] | None:
        """Return what is remembered about a thing, or None."""
        return read_json(self.file(topic, name))

    def write(self, topic: str, name: str, value: Mapping[str, Any]) -> None:
        """Remember something about a thing."""
        write_json(self.file(topic, name), value)

    def forget(self, topic: str, name: str, suffix: str = ".json") -> None:
        """Remove what is remembered; nothing happens where there is nothing."""
        self.file(topic, name, suffix).unlink(missing_ok=True)

    def names(self, topic: str) -> list[str]:
        """Return the names of the things that something is remembered about, sorted."""
        try:
            entries = os.listdir(self.root / topic)  # noqa: PTH208 - names are enough, there are many
        except FileNotFoundError:
            return []
        return sorted(e[:-5] for e in entries if e.endswith(".json") and not e.startswith("."))

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold the lock of a VPS; with ``wait=False`` yield False at once when another holds it.

        The kernel gives the lock back when its holder dies, so nothing can stay locked for ever.
        """
        path = self.file("locks", name, ".lock")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                held = True
            except BlockingIOError:
                held = False
            yield held
        finally:
            os.close(handle)
