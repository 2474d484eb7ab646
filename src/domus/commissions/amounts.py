"""How much is earned, and how much of that goes back: pure."""

from __future__ import annotations

from fractions import Fraction

from domus.core.money import Money


def earned(net: Money, *, millipercent: int, fixed: Money) -> Money:
    """Return the commission on an invoice of this net amount: a part and a fixed amount, and never more than all of it."""
    both = net.times(Fraction(millipercent, 100_000)) + fixed
    return Money(min(both.minor, max(net.minor, 0)), net.currency)


def to_reverse(amount: Money, *, gross: int, taken: int) -> Money:
    """Return how much of a commission goes back, in all, when so much of its invoice's gross did (minor units)."""
    if gross <= 0 or taken >= gross:
        return amount
    return amount.times(Fraction(max(taken, 0), gross))
