"""Periods follow the calendar."""

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import InvalidInput
from domus.core.periods import Period

MONTH = Period(0, 1, 0)
starts = st.dates(date(2000, 1, 1), date(2100, 12, 31))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0000-01-00", "1 month"),
        ("0001-02-03", "1 year, 2 months, 3 days"),
        ("0000-00-07", "7 days"),
        ("0010-00-00", "10 years"),
    ],
)
def test_periods_are_read_and_described(text: str, words: str) -> None:
    period = Period.parse(text)
    assert period.describe() == words
    assert str(period) == text


@pytest.mark.parametrize(
    "text",
    ["", "1 month", "0000-00-00", "0011-00-00", "0000-1-0", "-000-01-00", "0000-01-00x", "\u0660000-01-00"],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Period.parse(text)
    assert caught.value.field == "period"


def test_a_contract_of_the_31st_returns_to_the_31st() -> None:
    day, days = date(2026, 1, 31), []
    for _ in range(14):
        day = MONTH.end(day, anchor_day=31)
        days.append(day.isoformat()[5:])
    assert days == [
        "02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31", "11-30", "12-31", "01-31",
        "02-28", "03-31",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        (date(2028, 1, 31), MONTH, date(2028, 2, 29)),
        (date(2028, 2, 29), Period(1, 0, 0), date(2029, 2, 28)),
        (date(2026, 12, 31), MONTH, date(2027, 1, 31)),
        (date(2026, 1, 30), Period(1, 1, 1), date(2027, 3, 1)),
        (date(2026, 3, 29), Period(0, 0, 1), date(2026, 3, 30)),
    ],
)
def test_month_ends_and_leap_years(start: date, period: Period, end: date) -> None:
    assert period.end(start) == end


@given(starts, st.integers(1, 36))
def test_monthly_contracts_keep_their_day_or_the_last_of_the_month(start: date, months: int) -> None:
    day = start
    for number in range(1, months + 1):
        before, day = day, MONTH.end(day, anchor_day=start.day)
        assert before < day
        year, month = divmod(start.year * 12 + start.month - 1 + number, 12)
        assert (day.year, day.month) == (year, month + 1)
        assert day.day == min(start.day, calendar.monthrange(year, month + 1)[1])


@given(starts, st.integers(0, 10), st.integers(0, 120), st.integers(0, 3660))
def test_a_period_always_leads_forward(start: date, years: int, months: int, days: int) -> None:
    if years or months or days:
        assert Period(years, months, days).end(start, anchor_day=start.day) > start


@given(starts, st.integers(1, 3660))
def test_days_are_days(start: date, days: int) -> None:
    assert Period(0, 0, days).end(start, anchor_day=31) == start + timedelta(days=days)
