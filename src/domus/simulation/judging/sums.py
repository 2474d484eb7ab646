"""The judge's own arithmetic: periods, prices and rounding, in whole numbers and without the shop's help."""

from __future__ import annotations

from datetime import date, timedelta


def period_ends(start: date, period: str, anchor_day: int) -> date:
    """Return the first day after a period (``YYYY-MM-DD``) of a contract that began on that day of a month."""
    years, months, days = (int(part) for part in period.split("-"))
    count = years * 12 + months
    if count == 0:
        return start + timedelta(days=days)
    first = start.replace(day=1)
    for _ in range(count):
        first = (first + timedelta(days=31)).replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return min(first + timedelta(days=anchor_day - 1), following - timedelta(days=1)) + timedelta(days=days)


def with_tax(net_minor: int, millipercent: int) -> int:
    """Return a price with its tax on top, halves rounded up."""
    return net_minor + part(net_minor, millipercent, 100_000)


def part(minor: int, numerator: int, denominator: int) -> int:
    """Return a fraction of an amount that is not negative, rounded to the nearest, halves up."""
    return (2 * minor * numerator + denominator) // (2 * denominator)
