"""What days are worth, attacked: currencies, short months, 29 February, the 31st, periods that DTC's free form allows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.contracts.proration import Proration, Span, cost_of_days, replaced, unused
from domus.core.money import Money
from domus.core.periods import Period

CURRENCIES = ("JPY", "EUR", "KWD")
MONTH, YEAR = Period(0, 1, 0), Period(1, 0, 0)

days = st.dates(date(2023, 1, 1), date(2032, 12, 31))
currencies = st.sampled_from(CURRENCIES)
periods = st.builds(
    Period, st.integers(0, 3), st.integers(0, 14), st.integers(0, 400)
).filter(lambda period: period != Period(0, 0, 0))  # fmt: skip
clean_periods = st.sampled_from(
    [MONTH, YEAR, Period(0, 3, 0), Period(0, 6, 0), Period(0, 0, 7), Period(2, 0, 0)]
)
amounts = st.integers(0, 10**9)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


@given(days, st.integers(1, 31), clean_periods)
def test_a_period_counted_back_is_the_one_that_was_counted_on(
    start: date, anchor: int, period: Period
) -> None:
    end = period.end(start, anchor_day=anchor)
    back = period.start(end, anchor_day=anchor)
    assert back < end
    assert period.end(back, anchor_day=anchor) == end


@given(days, st.integers(1, 31), periods)
def test_every_period_counted_back_gets_somewhere(end: date, anchor: int, period: Period) -> None:
    assert period.start(end, anchor_day=anchor) < end


@given(amounts, currencies, periods, days, st.integers(1, 31))
def test_a_whole_period_costs_exactly_its_price(
    minor: int, currency: str, period: Period, until: date, anchor: int
) -> None:
    price = Money(minor, currency)
    first = period.start(until, anchor_day=anchor)
    assert cost_of_days(price, period, today=first, until=until, anchor_day=anchor) == price


@given(amounts, currencies, periods, days, st.integers(0, 800), st.integers(1, 31))
def test_no_day_costs_less_than_nothing_and_a_part_never_more_than_the_whole(
    minor: int, currency: str, period: Period, until: date, left: int, anchor: int
) -> None:
    price, today = Money(minor, currency), until - timedelta(days=left)
    cost = cost_of_days(price, period, today=today, until=until, anchor_day=anchor)
    longer = cost_of_days(price, period, today=today - timedelta(days=1), until=until, anchor_day=anchor)
    assert 0 <= cost.minor <= longer.minor
    if today >= period.start(until, anchor_day=anchor):
        assert cost.minor <= minor


@given(amounts, currencies, periods, days, st.integers(0, 100))
def test_nothing_is_left_of_a_contract_that_ran_out(
    minor: int, currency: str, period: Period, until: date, late: int
) -> None:
    today = until + timedelta(days=late)
    assert not cost_of_days(Money(minor, currency), period, today=today, until=until)
    span = Span(starts_on=period.start(until), ends_on=until, paid=Money(minor, currency))
    assert not unused([span], today=today, currency=currency)


@given(amounts, amounts, currencies, clean_periods, days, st.integers(0, 400), st.integers(1, 31))
def test_up_and_down_again_on_the_same_day_leaves_nothing_but_rounding(
    small: int, large: int, currency: str, period: Period, until: date, left: int, anchor: int
) -> None:
    first = period.start(until, anchor_day=anchor)
    today = max(first, until - timedelta(days=left))
    low, high = Money(small, currency), Money(large, currency)

    def cost(price: Money) -> Money:
        return cost_of_days(price, period, today=today, until=until, anchor_day=anchor)

    paid = [Span(starts_on=first, ends_on=until, paid=low)]
    up = Proration(credit=unused(paid, today=today, currency=currency), charge=cost(high))
    if today < until:
        paid = replaced(paid, Span(starts_on=today, ends_on=until, paid=up.charge))
    down = Proration(credit=unused(paid, today=today, currency=currency), charge=cost(low))
    assert abs((up.total + down.total).minor) <= 1


@given(st.lists(st.tuples(st.integers(1, 400), amounts), max_size=6), days, st.integers(-50, 900))
def test_what_is_left_is_never_worth_more_than_what_was_paid(
    stretches: list[tuple[int, int]], start: date, offset: int
) -> None:
    spans, first = [], start
    for length, minor in stretches:
        spans.append(Span(starts_on=first, ends_on=first + timedelta(days=length), paid=eur(minor)))
        first += timedelta(days=length)
    left = unused(spans, today=start + timedelta(days=offset), currency="EUR")
    assert 0 <= left.minor <= sum(minor for _, minor in stretches)


@given(st.lists(st.tuples(st.integers(1, 60), amounts), min_size=1, max_size=5), days, st.data())
def test_a_change_takes_the_place_of_all_days_that_are_left(
    stretches: list[tuple[int, int]], start: date, data: st.DataObject
) -> None:
    spans, first = [], start
    for length, minor in stretches:
        spans.append(Span(starts_on=first, ends_on=first + timedelta(days=length), paid=eur(minor)))
        first += timedelta(days=length)
    today = start + timedelta(days=data.draw(st.integers(0, (first - start).days - 1)))
    new = Span(starts_on=today, ends_on=first, paid=eur(777))
    after = replaced(spans, new)
    assert unused(after, today=today, currency="EUR") == eur(777)
    assert all(one.ends_on <= today for one in after[:-1])
    assert sum(one.paid.minor for one in after[:-1]) <= sum(minor for _, minor in stretches) + len(stretches)


@pytest.mark.parametrize(
    ("today", "until", "anchor", "expected"),
    [
        (date(2027, 2, 15), date(2027, 3, 1), 1, 1400),  # half of a February
        (date(2028, 2, 15), date(2028, 3, 1), 1, 1448),  # 15 of 29 days
        (date(2027, 2, 28), date(2027, 3, 31), 31, 2800),  # the 31st: a whole period from the end of February
        (date(2027, 3, 30), date(2027, 3, 31), 31, 90),  # one of 31 days
        (date(2027, 1, 1), date(2027, 3, 1), 1, 5600),  # renewed early: two whole periods
    ],
)
def test_months_have_the_days_that_they_have(today: date, until: date, anchor: int, expected: int) -> None:
    assert cost_of_days(eur(2800), MONTH, today=today, until=until, anchor_day=anchor) == eur(expected)


def test_a_year_over_29_february_has_366_days() -> None:
    price = eur(36600)
    assert cost_of_days(price, YEAR, today=date(2028, 2, 28), until=date(2028, 3, 1)) == eur(200)
    assert cost_of_days(price, YEAR, today=date(2029, 2, 27), until=date(2029, 3, 1)) == eur(201)


def test_two_currencies_never_meet() -> None:
    span = Span(starts_on=date(2027, 1, 1), ends_on=date(2027, 2, 1), paid=Money(5, "USD"))
    with pytest.raises(ValueError, match="cannot add"):
        unused([span], today=date(2027, 1, 5), currency="EUR")
