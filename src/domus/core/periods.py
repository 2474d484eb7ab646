"""Billing periods as DTC writes them: ``YYYY-MM-DD``, so ``0001-02-03`` is a year, two months and three days."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from domus.core.errors import InvalidInput

_FORM = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """A span of calendar years, months and days; never empty."""

    years: int
    months: int
    days: int

    @classmethod
    def parse(cls, text: str, *, field: str = "period") -> Period:
        """Read ``YYYY-MM-DD``; raise InvalidInput for another form, for nothing at all and for more than ten years."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise InvalidInput(
                f"{text!r} is not a period; write years, months and days as YYYY-MM-DD, "
                "for instance 0000-01-00 for one month.",
                field=field,
            )
        period = cls(*(int(part) for part in match.groups()))
        if period == cls(0, 0, 0):
            raise InvalidInput("A period of no days cannot be sold; the shortest is 0000-00-01.", field=field)
        if period.years > 10 or period.months > 120 or period.days > 3660:
            raise InvalidInput(f"{text!r} is longer than ten years.", field=field)
        return period

    def end(self, start: date, *, anchor_day: int | None = None) -> date:
        """Return the first day after the period that begins on *start*.

        ``anchor_day`` is the day of the month on which the contract began: a contract of the 31st ends on the last day of a
        short month and returns to the 31st afterwards.
        """
        months = start.year * 12 + (start.month - 1) + self.years * 12 + self.months
        year, month = divmod(months, 12)
        wanted = start.day
        if anchor_day is not None and (self.years or self.months):
            wanted = anchor_day
        day = min(wanted, calendar.monthrange(year, month + 1)[1])
        return date(year, month + 1, day) + timedelta(days=self.days)

    def start(self, end: date, *, anchor_day: int | None = None) -> date:
        """Return the first day of the period that ends before *end*: the way back of `end`, for looking at what is paid.

        A period of months that ends on the last day of a short month began on ``anchor_day``, or on the last day of a month
        that is shorter still.
        """
        last = end - timedelta(days=self.days)
        if not (self.years or self.months):
            return last
        months = last.year * 12 + (last.month - 1) - self.years * 12 - self.months
        year, month = divmod(months, 12)
        wanted = last.day if anchor_day is None or self.days else anchor_day
        return date(year, month + 1, min(wanted, calendar.monthrange(year, month + 1)[1]))

    def describe(self) -> str:
        """Return the period in words, such as ``1 year, 2 months``."""
        parts = ((self.years, "year"), (self.months, "month"), (self.days, "day"))
        return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts if n)

    def __str__(self) -> str:
        return f"{self.years:04d}-{self.months:02d}-{self.days:02d}"
