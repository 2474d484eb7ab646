"""From prices to net and tax: rounded once for a whole invoice, then shared out so that the lines sum to it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from domus.core.money import Money
from domus.tax.rules import Decision


def net_and_tax(
    prices: Sequence[Money], decision: Decision, *, include_tax: bool
) -> list[tuple[Money, Money]]:
    """Return (net, tax) of each line for prices as the catalogue has them; the prices are of one currency.

    Net prices get the tax on top. Prices that include tax are those of the seller's own country: a buyer who pays tax, of
    whichever country, pays them as they are; a buyer who pays none pays them without the tax of the seller's country.

    A negative price is a discount: it lessens what is taxed. The other lines stand as they would without it, and it takes
    what then remains between their sum and what the whole invoice comes to, so that no rounding is added by it.
    """
    currency = prices[0].currency
    ratio = _ratio(decision, include_tax)
    sums = {is_discount: _sum(prices, currency, is_discount) for is_discount in (False, True)}
    full = sums[False].times(ratio)
    reduced = (sums[False] + sums[True]).times(ratio)
    parts = {
        False: iter(share(full, [price for price in prices if price.minor >= 0])),
        True: iter(share(reduced - full, [price for price in prices if price.minor < 0])),
    }
    lines = [(price, next(parts[price.minor < 0])) for price in prices]
    if not include_tax:
        return lines
    nothing = Money.zero(currency)
    return [(net, price - net if decision.country else nothing) for price, net in lines]


def _ratio(decision: Decision, include_tax: bool) -> Fraction:
    """Return what to multiply a price by: to get its tax where that comes on top, else to get what is left without it."""
    if not include_tax:
        return decision.ratio
    return 1 / (1 + (decision.ratio if decision.country else decision.home_ratio))


def _sum(prices: Sequence[Money], currency: str, is_discount: bool) -> Money:
    return sum((price for price in prices if (price.minor < 0) is is_discount), Money.zero(currency))


def share(total: Money, weights: Sequence[Money]) -> list[Money]:
    """Split an amount in proportion to weights, all of one sign, in whole minor units that sum to it exactly.

    What is left over by rounding down goes to the lines that lost most, the first of them where they lost the same.
    """
    if not weights:
        return []
    sum_of_weights = sum(weight.minor for weight in weights)
    if sum_of_weights == 0:
        return [total, *(Money.zero(total.currency) for _ in weights[1:])]
    exact = [Fraction(total.minor * weight.minor, sum_of_weights) for weight in weights]
    parts = [fraction.numerator // fraction.denominator for fraction in exact]
    left = total.minor - sum(parts)
    by_loss = sorted(range(len(parts)), key=lambda place: parts[place] - exact[place])
    for place in by_loss[:left]:
        parts[place] += 1
    return [Money(part, total.currency) for part in parts]
