"""What days are worth: pure arithmetic on days and prices, exact until the one rounding at the end.

A day costs its part of the period in which it lies, as contracts count periods: back from the day until which they are paid.
So a day in February costs more than one in March, and a whole period costs exactly its price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from domus.core.money import Money
from domus.core.periods import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Days that were paid for: from ``starts_on`` until before ``ends_on``, for ``paid`` in all."""

    starts_on: date
    ends_on: date
    paid: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proration:
    """A change of price for the days that are left: what comes back for the old one, what the new one costs."""

    credit: Money
    charge: Money

    @property
    def total(self) -> Money:
        """Return what is to be paid; negative when more comes back than is charged."""
        return self.charge - self.credit


def cost_of_days(
    price: Money, period: Period, *, today: date, until: date, anchor_day: int | None = None
) -> Money:
    """Return what the days from *today* until before *until* cost at a price for a period; nothing when none are left.

    ``until`` is where a period ends; the periods before it are counted back from there.
    """
    periods, end = Fraction(0), until
    while end > today:
        start = period.start(end, anchor_day=anchor_day)
        periods += Fraction((end - max(start, today)).days, (end - start).days)
        end = start
    return price.times(periods)


def unused(spans: Iterable[Span], *, today: date, currency: str) -> Money:
    """Return what the days from *today* on are worth of what was paid for them; never more than was paid."""
    exact = Fraction(0)
    for span in spans:
        days = (span.ends_on - span.starts_on).days
        left = (span.ends_on - max(span.starts_on, today)).days
        if days > 0 and left > 0 and span.paid.minor > 0:
            # Two currencies never meet here: `Money` would refuse the sum.
            exact += Fraction((Money.zero(currency) + span.paid).minor * left, days)
    return Money(1, currency).times(exact)


def replaced(spans: Iterable[Span], new: Span) -> list[Span]:
    """Return what was paid for which days once a change has put a span of its own in the place of those from its first on.

    What was paid for those days went into the change; the days before keep their share.
    """
    kept = []
    for span in spans:
        if span.starts_on >= new.starts_on:
            continue
        if span.ends_on > new.starts_on:
            days, used = (span.ends_on - span.starts_on).days, (new.starts_on - span.starts_on).days
            paid = span.paid.times(Fraction(used, days))
            kept.append(Span(starts_on=span.starts_on, ends_on=new.starts_on, paid=paid))
        else:
            kept.append(span)
    return [*kept, new]
