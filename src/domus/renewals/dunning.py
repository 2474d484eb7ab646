"""On which days what is done about a contract: pure arithmetic on days, with DTC's as defaults.

All days count from ``paid_until``, the first day that is not paid for: day 0 is the day on which a contract runs out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domus.core.errors import InvalidInput
from domus.core.periods import Period
from domus.core.texts import whole_number
from domus.renewals.models import StepKind

#: Nobody is suspended sooner than this after the last warning, however long the run was away.
NOTICE = timedelta(days=1)

MAX_DAYS = 365
MAX_REMINDERS = 6

#: February; only to tell how long a period is at least.
_SHORTEST_MONTH = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Days before (``invoice_days``, ``remind_before``) and after (all others) the day on which a contract runs out."""

    invoice_days: int = 10
    remind_before: tuple[int, ...] = (10, 5)
    remind_after: tuple[int, ...] = (3, 7)
    last_warning_days: int = 12
    suspend_days: int = 15
    end_days: int = 22
    #: From the end to the wiping of the disk.
    grace_days: int = 7

    def fitted(self, period: Period) -> Terms:
        """Return the terms for a period: of a short one nothing happens before half of it is over."""
        half = shortest_days(period) // 2
        return dataclasses.replace(
            self,
            invoice_days=min(self.invoice_days, half),
            remind_before=tuple(day for day in self.remind_before if day <= half),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A reminder, and the days on which a contract runs out that it is due for now, both ends meant with it.

    ``earliest`` is None for what stays due: a reminder is overtaken by the next one, the last warning by nothing.
    """

    kind: StepKind
    day: int
    earliest: date | None
    latest: date


def shortest_days(period: Period) -> int:
    """Return how many days a period has at least."""
    return (period.years * 12 + period.months) * _SHORTEST_MONTH + period.days


def reminders_due(terms: Terms, today: date) -> list[Window]:
    """Return what is due today for contracts that run out around now, the earliest step first.

    After an outage only the reminder that fits the day is sent, not all that were missed.
    """
    steps = _reminders(terms)
    following = [offset for offset, _, _ in steps[1:]]
    return [
        Window(
            kind=kind,
            day=day,
            earliest=today - timedelta(days=following[place] - 1) if place < len(following) else None,
            latest=today - timedelta(days=offset),
        )
        for place, (offset, kind, day) in enumerate(steps)
    ]


def may_be_suspended(terms: Terms, *, paid_until: date, warned_at: datetime | None, now: datetime) -> bool:
    """Tell whether a contract is so far overdue, and was its customer warned early enough."""
    is_overdue = (now.date() - paid_until).days >= terms.suspend_days
    return is_overdue and warned_at is not None and warned_at <= now - NOTICE


def may_be_ended(terms: Terms, *, paid_until: date, suspended_at: datetime | None, now: datetime) -> bool:
    """Tell whether a contract is so far overdue, and was suspended for as long as the terms have between the two days."""
    is_overdue = (now.date() - paid_until).days >= terms.end_days
    return is_overdue and suspended_at is not None and suspended_at <= now - pause_before_end(terms)


def pause_before_end(terms: Terms) -> timedelta:
    """Return how long a contract is suspended at least before it is ended."""
    return timedelta(days=terms.end_days - terms.suspend_days)


def check_terms(terms: Terms) -> Terms:
    """Return the terms with their reminders in order; raise InvalidInput that names the field which does not fit."""
    whole_number(terms.invoice_days, field="invoice_days", minimum=1, maximum=90)
    before = _days(terms.remind_before, field="remind_before", maximum=terms.invoice_days)
    for field in ("last_warning_days", "suspend_days", "end_days"):
        whole_number(getattr(terms, field), field=field, minimum=1, maximum=MAX_DAYS)
    after = _days(terms.remind_after, field="remind_after", maximum=MAX_DAYS)
    if after and after[-1] >= terms.last_warning_days:
        raise InvalidInput(
            f"Reminders come before the last warning on day {terms.last_warning_days}.", field="remind_after"
        )
    if terms.suspend_days <= terms.last_warning_days:
        raise InvalidInput(
            f"A contract is suspended after the last warning on day {terms.last_warning_days}.",
            field="suspend_days",
        )
    if terms.end_days <= terms.suspend_days:
        raise InvalidInput(
            f"A contract ends after its suspension on day {terms.suspend_days}.", field="end_days"
        )
    whole_number(terms.grace_days, field="grace_days", minimum=1, maximum=90)
    return dataclasses.replace(terms, remind_before=tuple(reversed(before)), remind_after=tuple(after))


def parse_days(text: str, *, field: str) -> tuple[int, ...]:
    """Read days as DTC writes them (``5|10``) or with commas; raise InvalidInput for anything else. Nothing is no day."""
    parts = [part.strip() for part in text.replace("|", ",").split(",") if part.strip()]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise InvalidInput(f"{text!r} are no days; write them like 3, 7.", field=field)
    return tuple(int(part) for part in parts)


def _reminders(terms: Terms) -> list[tuple[int, StepKind, int]]:
    """Return (days after the contract runs out, kind, day) of each reminder, in order of time."""
    before = [(-day, StepKind.BEFORE, day) for day in terms.remind_before]
    after = [(day, StepKind.AFTER, day) for day in terms.remind_after]
    told = [(0, StepKind.EXPIRED, 0), (terms.last_warning_days, StepKind.LAST_WARNING, 0)]
    return sorted((*before, *after, *told))


def _days(days: Sequence[int], *, field: str, maximum: int) -> list[int]:
    for day in days:
        whole_number(day, field=field, minimum=1, maximum=maximum)
    if len(set(days)) != len(days) or len(days) > MAX_REMINDERS:
        raise InvalidInput(f"At most {MAX_REMINDERS} days, each of them once.", field=field)
    return sorted(days)
