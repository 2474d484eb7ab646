"""The one tree of errors that Domus raises on purpose.

A door (web, command line, Salt) translates these once: the ``code`` is for machines, the message is a whole sentence for the
person who asked and names what was wrong and what is allowed.
"""

from __future__ import annotations

from typing import ClassVar


class DomusError(Exception):
    """Anything that Domus itself refuses or reports."""

    code: ClassVar[str] = "error"


class InvalidInput(DomusError):
    """A value from outside does not have the form it must have.

    ``field`` names the form field or argument, so that a door can show the message beside it.
    """

    code = "invalid_input"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class PreconditionFailed(DomusError):
    """The request is well formed, but the world is not such that it can be done."""

    code = "precondition_failed"


class NotFound(PreconditionFailed):
    """There is no such thing, or the one who asks may not know of it."""

    code = "not_found"


class Conflict(PreconditionFailed):
    """The thing has changed since, or is in a state that forbids this."""

    code = "conflict"


class NoCapacity(PreconditionFailed):
    """No dom0 has room, or no pool has a free address; nothing was reserved or charged."""

    code = "no_capacity"


class NotAllowed(DomusError):
    """The one who asks has not the right to do this."""

    code = "not_allowed"


class TooManyAttempts(DomusError):
    """The caller must wait; ``retry_after_seconds`` says how long."""

    code = "too_many_attempts"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ConfigurationError(DomusError):
    """A setting is missing or wrong; the process must not start."""

    code = "configuration"
