"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from domus_stack.errors import StackError

Answer = TypeVar("Answer")


def wait_until(
    condition: Callable[[], Answer],
    what: str,
    seconds: float,
    *,
    explain: Callable[[], str] = str,
    interval: float = 0.05,
) -> Answer:
    """Poll until the condition is true and return its answer; raise StackError that says what never came."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            explanation = explain()
            raise StackError(
                f"waited {seconds:.0f} s for {what}" + (f"\n{explanation}" if explanation else "")
            )
        time.sleep(interval)
