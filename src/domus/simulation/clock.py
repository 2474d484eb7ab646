"""Simulated time: an agenda of what happens when, and the hours of a machine that keeps Central European Time."""

from __future__ import annotations

import calendar
import heapq
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta

Action = Callable[[], object]


class Agenda:
    """What is still to happen, in order of time; what was written down first comes first where two share a moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._entries: list[tuple[datetime, int, Action]] = []
        self._numbers = itertools.count()

    def at(self, moment: datetime, action: Action) -> None:
        """Have something happen at a moment, or now when that has passed."""
        heapq.heappush(self._entries, (max(moment, self.now), next(self._numbers), action))

    def after(self, span: timedelta, action: Action) -> None:
        """Have something happen after a while."""
        self.at(self.now + span, action)

    def run_until(self, end: datetime) -> None:
        """Let happen all that is to happen before a moment, which is then now."""
        while self._entries and self._entries[0][0] < end:
            self.now, _, action = heapq.heappop(self._entries)
            action()
        self.now = end


def nightly(first: date, days: int, at: time) -> Iterator[datetime]:
    """Yield when a timer goes off that is set to an hour of the wall clock.

    The hour that is left out in spring comes an hour later, the one that comes twice in autumn twice.
    """
    for number in range(days):
        day = first + timedelta(days=number)
        local = datetime.combine(day, at, UTC)
        changes = {_last_sunday(day.year, 3): 1, _last_sunday(day.year, 10): 2}
        if day not in changes or not time(2) <= at < time(3):
            yield local - _offset(local)
        elif changes[day] == 1:
            yield local - timedelta(hours=1)
        else:
            yield local - timedelta(hours=2)
            yield local - timedelta(hours=1)


def _offset(local: datetime) -> timedelta:
    """Return how far the wall clock is before UTC: two hours between the last Sundays of March and October."""
    spring, autumn = (_last_sunday(local.year, month) for month in (3, 10))
    began = local >= datetime.combine(spring, time(3), UTC)
    ended = local >= datetime.combine(autumn, time(3), UTC)
    return timedelta(hours=2 if began and not ended else 1)


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, calendar.monthrange(year, month)[1])
    return last - timedelta(days=(last.weekday() + 1) % 7)
