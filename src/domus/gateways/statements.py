"""Statements of a bank account, of whatever format: what arrived, and a key per line by which it is booked once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from domus.core.errors import InvalidInput
from domus.core.money import Money

#: A year of a busy account is smaller; nothing larger is read.
MAX_FILE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Money that arrived on the account."""

    booked_on: date
    amount: Money
    """Negative when the bank took back what had arrived."""
    payer: str = ""
    payer_iban: str = ""
    text: str = ""
    """What the payer wrote, structured or not."""
    bank_reference: str = ""
    is_reversal: bool = False
    """The bank takes an earlier booking back; nobody has paid."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with its key: the same in every file in which the bank lists it again."""

    key: str
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one file says about one account."""

    kind: str
    """``camt.053.001.08``, ``csv``."""
    iban: str
    """The account; empty when the file does not say."""
    lines: tuple[Line, ...]
    skipped: int
    """Entries that are none of ours: debits, and what is not booked yet."""


def with_keys(iban: str, entries: Iterable[Entry]) -> tuple[Line, ...]:
    """Give each entry its key. Entries that are alike in everything are told apart by their order on the account."""
    seen: Counter[str] = Counter()
    lines = []
    for entry in entries:
        told = (
            iban, entry.booked_on.isoformat(), str(entry.amount), entry.payer, entry.payer_iban, entry.text,
            entry.bank_reference, str(entry.is_reversal),
        )  # fmt: skip
        digest = hashlib.sha256("\x1f".join(told).encode()).hexdigest()
        seen[digest] += 1
        lines.append(Line(f"{digest}:{seen[digest]}", entry))
    return tuple(lines)


def read_amount(text: str, currency: str, *, where: str) -> Money:
    """Read an amount with a decimal point; raise InvalidInput that says where it stands."""
    try:
        # Banks write 10.00000 as well.
        plain = f"{Decimal(text.strip()).normalize():f}"
        return Money.parse(plain, currency.strip().upper())
    except InvalidOperation:
        raise InvalidInput(f"{where}: {text!r} is not an amount.") from None
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from error


def read_day(text: str, *, where: str) -> date:
    """Read a day, ``2026-11-20`` (or a time on it) or ``20.11.2026``; raise InvalidInput that says where it stands."""
    cleaned = text.strip()
    day, month, year = (*cleaned.split("."), "", "")[:3]
    written = f"{year}-{month:0>2}-{day:0>2}" if year else cleaned[:10]
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise InvalidInput(f"{where}: {text!r} is not a day; write it like 2026-11-20.") from None
