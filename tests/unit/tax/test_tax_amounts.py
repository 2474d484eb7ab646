"""Rounded once, and the lines sum to the total."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domus.core.money import Money, round_half_up
from domus.tax.amounts import net_and_tax, share
from domus.tax.rules import Decision, Rule

GERMAN = Decision(rule=Rule.DOMESTIC, country="DE", millipercent=19000, home_millipercent=19000)
FRENCH = Decision(rule=Rule.DESTINATION, country="FR", millipercent=20000, home_millipercent=19000)
REVERSE = Decision(rule=Rule.REVERSE_CHARGE, home_millipercent=19000)
UNTAXED = Decision(rule=Rule.UNTAXED_SELLER)

prices = st.lists(st.integers(0, 10**9), min_size=1, max_size=8)
decisions = st.builds(
    lambda rate, home: Decision(rule=Rule.DESTINATION, country="FR", millipercent=rate, home_millipercent=home),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
)  # fmt: skip


def euros(*minor: int) -> list[Money]:
    return [Money(amount, "EUR") for amount in minor]


def test_net_prices_get_the_tax_on_top() -> None:
    assert net_and_tax(euros(1000), GERMAN, include_tax=False) == [(Money(1000, "EUR"), Money(190, "EUR"))]
    assert net_and_tax(euros(1000), REVERSE, include_tax=False) == [(Money(1000, "EUR"), Money(0, "EUR"))]


def test_a_cent_bears_no_tax_that_rounds_to_nothing() -> None:
    assert net_and_tax(euros(1), GERMAN, include_tax=False) == [(Money(1, "EUR"), Money(0, "EUR"))]


def test_tax_is_rounded_once_for_all_lines() -> None:
    # Each line alone would bear 0.4750 and be rounded up; together they bear 1.425, which is 1.43.
    taxes = [tax.minor for _, tax in net_and_tax(euros(250, 250, 250), GERMAN, include_tax=False)]
    assert sum(taxes) == 143
    assert sorted(taxes) == [47, 48, 48]


def test_gross_prices_are_what_a_consumer_pays_in_every_country() -> None:
    for decision, net in ((GERMAN, 1000), (FRENCH, 992)):
        [(paid, tax)] = net_and_tax(euros(1190), decision, include_tax=True)
        assert (paid.minor, (paid + tax).minor) == (net, 1190)


def test_who_pays_no_tax_pays_gross_prices_without_that_of_the_sellers_country() -> None:
    assert net_and_tax(euros(1190), REVERSE, include_tax=True) == [(Money(1000, "EUR"), Money(0, "EUR"))]
    assert net_and_tax(euros(1190), UNTAXED, include_tax=True) == [(Money(1190, "EUR"), Money(0, "EUR"))]


def test_currencies_without_decimals_have_tax_without_decimals() -> None:
    assert net_and_tax([Money(999, "JPY")], GERMAN, include_tax=False)[0][1] == Money(190, "JPY")


@given(prices, decisions)
def test_net_lines_keep_their_prices_and_sum_to_a_tax_that_was_rounded_once(
    minors: list[int], decision: Decision
) -> None:
    lines = net_and_tax(euros(*minors), decision, include_tax=False)
    assert [net.minor for net, _ in lines] == minors
    assert sum(tax.minor for _, tax in lines) == round_half_up(sum(minors) * decision.ratio)


@given(prices, decisions)
def test_gross_lines_keep_their_prices(minors: list[int], decision: Decision) -> None:
    lines = net_and_tax(euros(*minors), decision, include_tax=True)
    assert [(net + tax).minor for net, tax in lines] == minors
    exact = Fraction(sum(minors)) / (1 + decision.ratio)
    assert abs(sum(net.minor for net, _ in lines) - exact) <= Fraction(1, 2)


@given(st.integers(0, 10**12), prices)
def test_shares_sum_to_the_whole_and_none_is_off_by_more_than_one(total: int, weights: list[int]) -> None:
    parts = [part.minor for part in share(Money(total, "EUR"), euros(*weights))]
    assert sum(parts) == total
    if sum(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(prices, decisions, st.booleans(), st.integers(0, 100))
def test_a_discount_lessens_what_is_taxed_and_adds_no_rounding(
    minor: list[int], decision: Decision, include_tax: bool, part: int
) -> None:
    full = sum(minor)
    off = full * part // 100
    lines = net_and_tax([*euros(*minor), *euros(-off)], decision, include_tax=include_tax)
    [(net, tax)] = net_and_tax(euros(full - off), decision, include_tax=include_tax)
    assert sum(line.minor for line, _ in lines) == net.minor
    assert sum(line.minor for _, line in lines) == tax.minor
    assert lines[:-1] == net_and_tax(euros(*minor), decision, include_tax=include_tax), "the others stay"
    assert lines[-1][0].minor <= 0
    assert lines[-1][1].minor <= 0


@given(prices, decisions, st.booleans())
def test_a_discount_of_everything_leaves_neither_net_nor_tax(
    minor: list[int], decision: Decision, include_tax: bool
) -> None:
    lines = net_and_tax([*euros(*minor), *euros(-sum(minor))], decision, include_tax=include_tax)
    assert sum(net.minor for net, _ in lines) == sum(tax.minor for _, tax in lines) == 0
