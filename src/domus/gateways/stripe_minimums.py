"""What Stripe charges at least: a smaller charge is refused by it, and counts as a refused card.

From "Minimum and maximum charge amounts" in Stripe's documentation of currencies, in minor units. The rule there is about
the currency that the account is paid out in; a charge in another one is converted first, so that this table is the lower
bound.
"""

from __future__ import annotations

from domus.core.money import Money

MINIMUM = {
    "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400, "HUF": 17_500,
    "INR": 50, "JPY": 50, "NOK": 300, "NZD": 50, "PLN": 200, "SEK": 300, "SGD": 50, "USD": 50,
}  # fmt: skip


def minimum(currency: str) -> Money:
    """Return the least that can be charged in a currency; nothing where Stripe names no amount."""
    return Money(MINIMUM.get(currency, 0), currency)
