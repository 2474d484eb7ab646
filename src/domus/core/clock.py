"""The one place that reads the wall clock. Doors call it; everything below takes ``now`` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def require_aware(moment: datetime) -> datetime:
    """Return *moment* in UTC; raise ``ValueError`` when it carries no time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"naive datetime {moment!r}: every time inside Domus is aware")
    return moment.astimezone(UTC)


def iso_z(moment: datetime) -> str:
    """Return *moment* as the contracts write it: seconds, UTC, a trailing Z."""
    return require_aware(moment).strftime("%Y-%m-%dT%H:%M:%SZ")
