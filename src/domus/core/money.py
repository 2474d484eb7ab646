"""Money: integer minor units and a currency, and the one function that rounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction

from domus.core.errors import InvalidInput

#: ISO 4217 currencies that Domus trades in, with their number of decimals.
CURRENCY_DECIMALS = {
    "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2,
    "HKD": 2, "HUF": 2, "INR": 2, "JPY": 0, "KRW": 0, "KWD": 3, "NOK": 2, "NZD": 2, "PLN": 2, "RUB": 2,
    "SEK": 2, "SGD": 2, "TND": 3, "USD": 2, "ZAR": 2,
}  # fmt: skip

#: More than any VPS costs; a larger price is a typing error, and sums stay far inside 64 bits.
MAX_MINOR = 10**12

_AMOUNT = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,3})?")


def round_half_up(value: Fraction) -> int:
    """Return *value* as the nearest integer, halves away from zero. Every rounding of money is this one."""
    quotient = Decimal(value.numerator) / Decimal(value.denominator)
    return int(quotient.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in the minor units of one currency. Two currencies never meet in one sum."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.minor, bool) or not isinstance(self.minor, int):
            raise TypeError(f"minor units are an int, not {type(self.minor).__name__}")
        if self.currency not in CURRENCY_DECIMALS:
            raise InvalidInput(
                f"Currency {self.currency!r} is not known; known are {', '.join(CURRENCY_DECIMALS)}.",
                field="currency",
            )

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Return nothing, in *currency*."""
        return cls(0, currency)

    @classmethod
    def parse(cls, text: str, currency: str, *, field: str = "amount") -> Money:
        """Read an amount as people type it (``59`` or ``59.90``); raise InvalidInput for anything else."""
        decimals = Money.zero(currency).decimals
        cleaned = text.strip()
        if not _AMOUNT.fullmatch(cleaned):
            raise InvalidInput(f"{text!r} is not an amount; write it like 59 or 59.90.", field=field)
        try:
            scaled = Decimal(cleaned).scaleb(decimals)
        except InvalidOperation as error:  # pragma: no cover - the pattern above leaves nothing to fail
            raise InvalidInput(f"{text!r} is not an amount.", field=field) from error
        if scaled != scaled.to_integral_value():
            raise InvalidInput(f"{currency} has {decimals} decimals; {text!r} has more.", field=field)
        if abs(scaled) > MAX_MINOR:
            raise InvalidInput(f"{text!r} is larger than any amount Domus handles.", field=field)
        return cls(int(scaled), currency)

    @property
    def decimals(self) -> int:
        """Return how many decimals the currency has (JPY 0, EUR 2, KWD 3)."""
        return CURRENCY_DECIMALS[self.currency]

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def times(self, ratio: Fraction | int) -> Money:
        """Return this amount multiplied by an exact ratio, rounded once."""
        return Money(round_half_up(Fraction(self.minor) * ratio), self.currency)

    def __str__(self) -> str:
        sign = "-" if self.minor < 0 else ""
        digits = str(abs(self.minor)).rjust(self.decimals + 1, "0")
        if self.decimals:
            digits = f"{digits[: -self.decimals]}.{digits[-self.decimals :]}"
        return f"{sign}{digits} {self.currency}"

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return other
