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
    """
    currency = prices[0].currency
    total = sum(prices, Money.zero(currency))
    if not include_tax:
        taxes = share(total.times(decision.ratio), prices)
        return list(zip(prices, taxes, strict=True))
    if decision.country:
        net_total = total.times(1 / (1 + decision.ratio))
        nets = share(net_total, prices)
        return [(net, price - net) for net, price in zip(nets, prices, strict=True)]
    nets = share(total.times(1 / (1 + decision.home_ratio)), prices)
    return [(net, Money.zero(currency)) for net in nets]


def share(total: Money, weights: Sequence[Money]) -> list[Money]:
    """Split an amount in proportion to weights, in whole minor units that sum to it exactly.

    What is left over by rounding down goes to the lines that lost most, the first of them where they lost the same.
    """
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
