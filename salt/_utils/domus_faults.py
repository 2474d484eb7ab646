"""Faults to order in the simulated world, for tests and for showing what happens then.

The file ``simulated/faults.json`` is a list of maps: ``operation`` (such as ``start`` or
``volume.create``), ``uuid`` (or ``*`` for any), ``error`` (a sentence, or null for a delay alone),
``times`` and ``delay_seconds``. Each use takes one off ``times``.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from domus_errors import ToolFailed
from domus_state_dir import StateDir, write_json

LOCK = "simulated-faults"


class Faults:
    """The faults that are ordered in one state directory."""

    def __init__(self, state_dir: StateDir, sleep: Callable[[float], None] = time.sleep) -> None:
        self._state_dir = state_dir
        self._path = state_dir.simulated / "faults.json"
        self._sleep = sleep

    def order(
        self,
        operation: str,
        error: str | None,
        *,
        uuid: str = "*",
        times: int = 1,
        delay_seconds: float = 0,
    ) -> None:
        """Make an operation fail, or take longer, the next few times."""
        fault = {"operation": operation, "uuid": uuid, "error": error, "times": times}
        with self._state_dir.lock(LOCK):
            write_json(self._path, [*self._read(), fault | {"delay_seconds": delay_seconds}])

    def meet(self, operation: str, uuid: str) -> None:
        """Suffer the first fault that was ordered for this operation, if there is one."""
        if not self._path.exists():
            return
        fault = self._take(operation, uuid)
        if fault is None:
            return
        if fault.get("delay_seconds"):
            self._sleep(float(fault["delay_seconds"]))
        if fault.get("error"):
            raise ToolFailed(f"{fault['error']} (ordered for the simulated {operation})")

    def _take(self, operation: str, uuid: str) -> dict[str, Any] | None:
        with self._state_dir.lock(LOCK):
            faults = self._read()
            for fault in faults:
                if fault["operation"] == operation and fault.get("uuid", "*") in ("*", uuid):
                    fault["times"] = int(fault.get("times", 1)) - 1
                    write_json(self._path, [left for left in faults if left.get("times", 1) > 0])
                    return fault
        return None

    def _read(self) -> list[dict[str, Any]]:
        try:
            faults: list[dict[str, Any]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise ToolFailed(f"{self._path} is not readable as JSON: {error}") from None
        return faults
