"""Simulated time: what happens in which order, and the hours of a timer over the changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.periods import Period
from domus.simulation.clock import Agenda, nightly
from domus.simulation.judging.sums import part, period_ends, with_tax

NIGHT = time(2, 30)
START = datetime(2028, 1, 1, tzinfo=UTC)


def test_things_happen_in_order_of_time_and_then_of_writing_down() -> None:
    agenda, seen = Agenda(START), []
    agenda.after(timedelta(hours=2), lambda: seen.append("late"))
    agenda.after(timedelta(hours=1), lambda: seen.append("first"))
    agenda.after(timedelta(hours=1), lambda: seen.append("second"))
    agenda.run_until(START + timedelta(hours=2))
    assert seen == ["first", "second"]
    agenda.run_until(START + timedelta(hours=3))
    assert seen == ["first", "second", "late"]


def test_what_should_have_happened_happens_now() -> None:
    agenda, seen = Agenda(START), []
    agenda.run_until(START + timedelta(days=1))
    agenda.at(START, lambda: seen.append(agenda.now))
    agenda.run_until(START + timedelta(days=2))
    assert seen == [START + timedelta(days=1)]


def test_the_hour_that_spring_leaves_out_comes_an_hour_later() -> None:
    [before, change, after] = nightly(date(2028, 3, 25), 3, NIGHT)
    assert before == datetime(2028, 3, 25, 1, 30, tzinfo=UTC)
    assert change == datetime(2028, 3, 26, 1, 30, tzinfo=UTC)
    assert after == datetime(2028, 3, 27, 0, 30, tzinfo=UTC)


def test_the_hour_that_autumn_has_twice_comes_twice() -> None:
    nights = list(nightly(date(2028, 10, 28), 3, NIGHT))
    assert nights == [
        datetime(2028, 10, 28, 0, 30, tzinfo=UTC),
        datetime(2028, 10, 29, 0, 30, tzinfo=UTC),
        datetime(2028, 10, 29, 1, 30, tzinfo=UTC),
        datetime(2028, 10, 30, 1, 30, tzinfo=UTC),
    ]


@given(st.dates(date(2026, 1, 1), date(2079, 1, 1)))
def test_the_wall_clock_says_half_past_two_on_every_other_day(day: date) -> None:
    nights = list(nightly(day, 1, NIGHT))
    local = nights[0].astimezone(ZoneInfo("Europe/Berlin"))
    assert local.date() == day
    assert local.time() in (NIGHT, time(3, 30))
    assert len(nights) == (1 if local.utcoffset() == nights[-1].astimezone(local.tzinfo).utcoffset() else 2)


@given(
    st.dates(date(2000, 1, 1), date(2080, 1, 1)), st.integers(0, 3), st.integers(0, 14), st.integers(0, 40),
    st.integers(1, 31),
)  # fmt: skip
def test_the_judges_calendar_and_the_shops_agree(
    start: date, years: int, months: int, days: int, anchor: int
) -> None:
    if not (years or months or days):
        return
    period = Period(years, months, days)
    assert period_ends(start, str(period), anchor) == period.end(start, anchor_day=anchor)


@pytest.mark.parametrize(("start", "months", "end"), [
    (date(2028, 1, 31), "0000-01-00", date(2028, 2, 29)),
    (date(2028, 2, 29), "0000-01-00", date(2028, 3, 31)),
    (date(2027, 1, 31), "0000-01-00", date(2027, 2, 28)),
    (date(2027, 8, 31), "0001-06-00", date(2029, 2, 28)),
])  # fmt: skip
def test_a_contract_of_the_31st_ends_with_short_months_and_returns(
    start: date, months: str, end: date
) -> None:
    assert period_ends(start, months, 31) == end


def test_the_judge_rounds_halves_up() -> None:
    assert with_tax(250, 19000) == 298  # 297.5
    assert with_tax(13, 19000) == 15
    assert part(1, 1, 2) == 1
