"""Ends who works on a database at a chosen statement, as a power cut would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from domus.db.engine import Database


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and go on."""


@contextmanager
def killed_at(db: Database, statement: int | None) -> Iterator[None]:
    """Kill whoever sends that many statements; None kills at the first commit instead."""
    seen = 0

    def on_statement(*_arguments: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            raise Killed

    def on_commit(_connection: Any) -> None:
        raise Killed

    if statement is None:
        sa.event.listen(db.engine, "commit", on_commit)
    else:
        sa.event.listen(db.engine, "before_cursor_execute", on_statement)
    try:
        yield
    finally:
        if statement is None:
            sa.event.remove(db.engine, "commit", on_commit)
        else:
            sa.event.remove(db.engine, "before_cursor_execute", on_statement)
