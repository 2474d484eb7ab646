"""One read-only session a request, for everything that the operator's pages show."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

from flask import Flask, g
from sqlalchemy.orm import Session

from domus_web.context import current_db

_KEY = "operator_reading"


def reading() -> Session:
    """Return this request's session. It is always rolled back: what changes something is a workflow's business."""
    if _KEY not in g:
        stack = ExitStack()
        session = stack.enter_context(current_db().reading())
        setattr(g, _KEY, (stack, session))
    return cast("Session", g.get(_KEY)[1])


def stop_reading() -> None:
    """Close the session before a workflow runs.

    The workflow takes a connection of its own, and requests that held two at once could starve the pool. What is read
    afterwards is what was written.
    """
    opened = g.pop(_KEY, None)
    if opened is not None:
        opened[0].close()


def register(app: Flask) -> None:
    """Close the session when the request is over."""

    @app.teardown_appcontext
    def close(_error: BaseException | None) -> None:
        stop_reading()
