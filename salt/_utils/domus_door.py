"""What the files that Salt loads share: they parse, call, and translate errors here."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import salt.exceptions
from domus_errors import DomusError
from domus_fields import Fields

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def execution(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Let an execution function fail as Salt expects it: with an error, not with a traceback."""

    @wraps(function)
    def translated(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        try:
            return function(*args, **kwargs)
        except DomusError as error:
            raise salt.exceptions.CommandExecutionError(f"{type(error).__name__}: {error}") from error

    return translated


def now() -> datetime:
    """Return the present time; nothing below the doors asks the clock for it."""
    return datetime.now(UTC)


def state(
    name: str, comment: str, changes: dict[str, Any], *, test: bool, failed: bool = False
) -> dict[str, Any]:
    """Return what a state function returns: in test mode None where something would change."""
    result = False if failed else None if test and changes else True
    return {"name": name, "result": result, "changes": changes, "comment": comment}


def count(name: str, value: Any, minimum: int, maximum: int) -> int:
    """Return a number that an operator gave."""
    return Fields({name: value}, "argument").number(name, minimum, maximum)
