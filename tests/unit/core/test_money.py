"""Money is exact."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import InvalidInput
from domus.core.money import CURRENCY_DECIMALS, MAX_MINOR, Money, round_half_up

currencies = st.sampled_from(sorted(CURRENCY_DECIMALS))
minors = st.integers(-MAX_MINOR, MAX_MINOR)


@pytest.mark.parametrize(
    ("text", "currency", "minor", "shown"),
    [
        ("59", "USD", 5900, "59.00 USD"),
        ("59.9", "USD", 5990, "59.90 USD"),
        ("0.01", "EUR", 1, "0.01 EUR"),
        ("1200", "JPY", 1200, "1200 JPY"),
        ("1.234", "KWD", 1234, "1.234 KWD"),
        ("-0.05", "EUR", -5, "-0.05 EUR"),
        (" 7 ", "EUR", 700, "7.00 EUR"),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, currency: str, minor: int, shown: str) -> None:
    money = Money.parse(text, currency)
    assert money.minor == minor
    assert str(money) == shown


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "USD"), ("abc", "USD"), ("1,50", "EUR"), ("1.234", "USD"), ("1.5", "JPY"), ("1e3", "USD"), ("NaN", "USD"),
        ("Infinity", "USD"), ("1_000", "USD"), ("0x10", "USD"), ("99999999999.99", "USD"), ("--1", "USD"), ("1.", "USD"),
        ("\u0663", "USD"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(InvalidInput):
        Money.parse(text, currency)


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(InvalidInput, match="XXX"):
        Money(1, "XXX")


@pytest.mark.parametrize("minor", [1.0, True, "1", None])
def test_minor_units_are_whole_numbers(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "USD")  # type: ignore[arg-type]


def test_two_currencies_do_not_meet() -> None:
    with pytest.raises(ValueError, match="cannot add EUR to USD"):
        Money(1, "USD") + Money(1, "EUR")
    assert Money(1, "USD") != Money(1, "EUR")


@given(minors, currencies)
def test_what_is_shown_is_read_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(str(money).rpartition(" ")[0], currency) == money


@given(minors, minors, currencies)
def test_sums_are_exact_and_reversible(one: int, other: int, currency: str) -> None:
    left, right = Money(one, currency), Money(other, currency)
    assert (left + right - right) == left
    assert not (left + -left)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (Fraction(1, 2), 1), (Fraction(-1, 2), -1), (Fraction(3, 2), 2), (Fraction(5, 2), 3), (Fraction(-5, 2), -3),
        (Fraction(49, 100), 0), (Fraction(1, 3), 0), (Fraction(2, 3), 1), (Fraction(0), 0),
    ],
)  # fmt: skip
def test_halves_are_rounded_away_from_zero(value: Fraction, rounded: int) -> None:
    assert round_half_up(value) == rounded


@given(st.fractions(min_value=-(10**15), max_value=10**15))
def test_rounding_is_to_the_nearest_and_symmetric(value: Fraction) -> None:
    rounded = round_half_up(value)
    assert abs(rounded - value) <= Fraction(1, 2)
    assert round_half_up(-value) == -rounded


@given(st.integers(0, MAX_MINOR), st.integers(1, 366), currencies)
def test_parts_of_a_period_sum_back_to_its_price(minor: int, days: int, currency: str) -> None:
    """Each day costs what the price up to it costs more than up to the day before: nothing is lost to rounding."""
    price = Money(minor, currency)
    shown = [price.times(Fraction(day, days)) for day in range(days + 1)]
    total = Money.zero(currency)
    for before, after in pairwise(shown):
        total += after - before
    assert total == price


def test_nineteen_percent_of_a_cent_is_nothing() -> None:
    assert Money(1, "EUR").times(Fraction(19, 100)) == Money.zero("EUR")
