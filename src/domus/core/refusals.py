"""What Domus refuses, as an answer for doors that return data instead of raising."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import sqlalchemy as sa

from domus.core.errors import DomusError

P = ParamSpec("P")


def told(function: Callable[P, Any]) -> Callable[P, Any]:
    """Return the function with refusals as maps of a sentence (``error``), its ``code`` and ``retcode`` 1."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return function(*args, **kwargs)
        except DomusError as error:
            return {"error": str(error), "code": error.code, "retcode": 1}
        except sa.exc.OperationalError as error:
            return {"error": f"The database does not answer: {error.orig}", "code": "database", "retcode": 1}

    return call
