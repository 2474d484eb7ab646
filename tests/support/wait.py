"""Waiting in tests: for a condition, with a deadline, never for a time."""

from __future__ import annotations

from domus_stack.waiting import wait_until

__all__ = ["wait_until"]
