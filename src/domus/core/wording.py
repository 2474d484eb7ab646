"""Amounts, days, rates and periods as each language writes them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from domus.core.money import Money
from domus.core.periods import Period

#: English as most of our readers write it: the day before the month.
_LOCALES = {"en": "en_GB"}

# Babel reads no units out of the Chinese tables.
_CHINESE_UNITS = {"year": "年", "month": "个月", "day": "天"}


def money_text(amount: Money, language: str) -> str:
    """Return an amount with the code of its currency, such as ``1.234,50 EUR`` in German.

    Codes and not symbols: dollars and crowns of several countries meet on one page.
    """
    return f"{plain_amount(amount, language)}\N{NO-BREAK SPACE}{amount.currency}"


def plain_amount(amount: Money, language: str) -> str:
    """Return an amount without its currency, with the decimals that the currency has."""
    value = Decimal(amount.minor).scaleb(-amount.decimals)
    pattern = "#,##0" + ("." + "0" * amount.decimals if amount.decimals else "")
    return format_decimal(value, format=pattern, locale=_locale(language))


def day_text(day: date, language: str) -> str:
    """Return a day with its month in words, such as ``20. November 2026`` in German."""
    return format_date(day, format="long", locale=_locale(language))


def rate_text(millipercent: int, language: str) -> str:
    """Return a rate that is kept in thousandths of a percent, such as ``25,5 %`` in German."""
    return format_percent(
        Decimal(millipercent).scaleb(-5), locale=_locale(language), decimal_quantization=False
    )


def period_text(period: Period, language: str) -> str:
    """Return how long a period is, such as ``1 Jahr, 2 Monate``."""
    if language == "en":
        return period.describe()
    parts = ((period.years, "year"), (period.months, "month"), (period.days, "day"))
    if language == "zh":
        return "".join(f"{count}{_CHINESE_UNITS[unit]}" for count, unit in parts if count)
    return ", ".join(
        format_unit(count, f"duration-{unit}", locale=_locale(language)) for count, unit in parts if count
    )


def _locale(language: str) -> str:
    return _LOCALES.get(language, language)
