"""The days: which step fits which day, for all terms that an operator may set."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import InvalidInput
from domus.core.periods import Period
from domus.renewals import dunning
from domus.renewals.dunning import Terms, check_terms, parse_days, reminders_due
from domus.renewals.models import StepKind

DAY = date(2027, 3, 1)
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """Return any terms that the checks let through."""
    invoice_days = draw(st.integers(1, 90))
    last_warning = draw(st.integers(1, 100))
    suspend = draw(st.integers(last_warning + 1, 200))
    before = draw(st.lists(st.integers(1, invoice_days), unique=True, max_size=dunning.MAX_REMINDERS))
    after = (
        draw(st.lists(st.integers(1, last_warning - 1), unique=True, max_size=dunning.MAX_REMINDERS))
        if last_warning > 1
        else []
    )
    return check_terms(
        Terms(
            invoice_days=invoice_days,
            remind_before=tuple(before),
            remind_after=tuple(after),
            last_warning_days=last_warning,
            suspend_days=suspend,
            end_days=draw(st.integers(suspend + 1, 365)),
            grace_days=draw(st.integers(1, 90)),
        )
    )


def fits(some: Terms, days_after: int) -> list[tuple[StepKind, int]]:
    """Return what is due so many days after a contract ran out (before, when negative)."""
    ran_out = DAY - timedelta(days=days_after)
    return [
        (window.kind, window.day)
        for window in reminders_due(some, DAY)
        if ran_out <= window.latest and (window.earliest is None or ran_out >= window.earliest)
    ]


def test_dtcs_days_are_the_default():
    some = Terms()
    assert check_terms(some) == some
    before = [fits(some, day) for day in (-11, -10, -6, -5, -1)]
    assert before == [[], *([[(StepKind.BEFORE, 10)]] * 2), *([[(StepKind.BEFORE, 5)]] * 2)]
    after = [fits(some, day) for day in (0, 2, 3, 6, 7, 11, 12, 400)]
    assert after == [
        *([[(StepKind.EXPIRED, 0)]] * 2),
        *([[(StepKind.AFTER, 3)]] * 2),
        *([[(StepKind.AFTER, 7)]] * 2),
        *([[(StepKind.LAST_WARNING, 0)]] * 2),
    ]


@given(terms(), st.integers(-120, 500))
def test_no_day_has_two_reminders_and_none_is_without_once_the_first_has_come(some, day):
    first = -max(some.remind_before, default=0)
    assert len(fits(some, day)) == (1 if day >= first else 0)


@given(terms())
def test_day_by_day_every_reminder_comes_once_in_its_order(some):
    seen: list[tuple[StepKind, int]] = []
    for day in range(-100, 120):
        seen += [step for step in fits(some, day) if step not in seen]
    expected = [(StepKind.BEFORE, day) for day in some.remind_before]
    expected += [(StepKind.EXPIRED, 0)]
    expected += [(StepKind.AFTER, day) for day in some.remind_after]
    assert seen == [*expected, (StepKind.LAST_WARNING, 0)]


@given(terms(), st.integers(-30, 500), st.integers(0, 72))
def test_nobody_is_suspended_early_or_unwarned(some, day, warned_hours_ago):
    ran_out = DAY - timedelta(days=day)
    warned_at = NOW - timedelta(hours=warned_hours_ago)
    allowed = dunning.may_be_suspended(some, paid_until=ran_out, warned_at=warned_at, now=NOW)
    assert allowed == (day >= some.suspend_days and warned_hours_ago >= 24)
    assert not dunning.may_be_suspended(some, paid_until=ran_out, warned_at=None, now=NOW)


@given(terms(), st.integers(-30, 500), st.integers(0, 400))
def test_nothing_is_ended_early_or_without_having_been_suspended_long_enough(some, day, days_suspended):
    ran_out = DAY - timedelta(days=day)
    since = NOW - timedelta(days=days_suspended)
    allowed = dunning.may_be_ended(some, paid_until=ran_out, suspended_at=since, now=NOW)
    assert allowed == (day >= some.end_days and days_suspended >= some.end_days - some.suspend_days)
    assert not dunning.may_be_ended(some, paid_until=ran_out, suspended_at=None, now=NOW)


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(1, 24), st.integers(1, 30))
def test_renewals_follow_one_another_without_gap_and_keep_their_day_of_the_month(start, months, count):
    period, day = Period(0, months, 0), start
    for _ in range(count):
        following = period.end(day, anchor_day=start.day)
        assert following > day
        assert following.day == min(start.day, calendar.monthrange(following.year, following.month)[1])
        day = following
    assert (day.year * 12 + day.month) - (start.year * 12 + start.month) == count * months


@given(terms(), st.integers(1, 400))
def test_of_a_period_nothing_is_asked_before_half_of_it_is_over(some, days):
    fitted = some.fitted(Period(0, 0, days))
    assert fitted.invoice_days <= days // 2
    assert all(day <= days // 2 for day in fitted.remind_before)
    assert (fitted.suspend_days, fitted.remind_after) == (some.suspend_days, some.remind_after)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"invoice_days": 0}, "invoice_days"),
        ({"invoice_days": 91}, "invoice_days"),
        ({"remind_before": (11,)}, "remind_before"),
        ({"remind_before": (5, 5)}, "remind_before"),
        ({"remind_after": (12,)}, "remind_after"),
        ({"remind_after": (1, 2, 3, 4, 5, 6, 7)}, "remind_after"),
        ({"suspend_days": 12}, "suspend_days"),
        ({"end_days": 15}, "end_days"),
        ({"end_days": 366}, "end_days"),
        ({"grace_days": 0}, "grace_days"),
    ],
)
def test_days_that_do_not_follow_one_another_are_refused_by_name(changes, field):
    with pytest.raises(InvalidInput) as refused:
        check_terms(Terms(**changes))
    assert refused.value.field == field


@pytest.mark.parametrize(("text", "days"), [("5|10", (5, 10)), (" 3, 7 ", (3, 7)), ("", ()), ("12", (12,))])
def test_days_are_read_as_dtc_writes_them_or_with_commas(text, days):
    assert parse_days(text, field="remind_after") == days


@pytest.mark.parametrize("text", ["a", "5;10", "-5", "1000", "5.5", "\u0663"])
def test_what_are_no_days_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_days(text, field="remind_after")
