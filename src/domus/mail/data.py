"""What a mail is filled in with, from the transaction that writes it to the moment when it is sent.

Amounts and days are kept as they are and written out in the customer's language by the sender: that takes longer than
all the rest, and runs over thousands of contracts shall not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from domus.core.money import Money
from domus.core.wording import day_text, money_text


def as_kept(value: Any) -> Any:
    """Return a value as the outbox keeps it; texts lose their line ends, which have no place in a subject."""
    if isinstance(value, Money):
        return {"minor": value.minor, "currency": value.currency}
    if isinstance(value, datetime):
        return {"day": f"{value:%Y-%m-%d}"}
    if isinstance(value, date):
        return {"day": value.isoformat()}
    return value if isinstance(value, int) else " ".join(str(value).split())


def written_out(data: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return what was kept as words of a language."""
    return {name: _word(value, language) for name, value in data.items()}


def _word(value: Any, language: str) -> Any:
    if not isinstance(value, dict):
        return value
    if "day" in value:
        return day_text(date.fromisoformat(value["day"]), language)
    return money_text(Money(value["minor"], value["currency"]), language)
