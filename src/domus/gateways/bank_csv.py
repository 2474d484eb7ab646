"""Reads statements as CSV: a head line with names, then a line for each entry; names and order are each bank's own."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

from domus.core.errors import InvalidInput
from domus.core.money import CURRENCY_DECIMALS, Money
from domus.gateways.statements import Entry, Statement, read_amount, read_day, with_keys

#: Our names, and what banks call the same.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "booked on", "booking date", "buchungstag", "buchungsdatum", "date comptable"),
    "amount": ("amount", "betrag", "betrag (€)", "montant"),
    "currency": ("currency", "währung", "waehrung", "devise"),
    "payer": ("payer", "name", "beguenstigter/zahlungspflichtiger", "zahlungspflichtiger", "auftraggeber", "nom"),
    "payer_iban": ("payer iban", "iban", "kontonummer/iban", "iban zahlungspflichtiger"),
    "text": ("text", "remittance", "purpose", "verwendungszweck", "libellé", "libelle"),
    "reference": ("reference", "bank reference", "bankreferenz", "référence"),
    "account": ("account", "own iban", "auftragskonto"),
}  # fmt: skip
NEEDED = ("date", "amount", "text")
DELIMITERS = ";,\t"

#: 1234 / 1,234.56 / 1.234,56 / 1 234,56: groups of three with one mark, decimals after another.
_NUMBER = re.compile(r"([+-]?)(\d{1,3}(?:([., '\u00a0\u202f])\d{3})*|\d+)(?:([.,])(\d{1,3}))?")


def read_csv(data: bytes, *, currency: str) -> Statement:
    """Return the statement; *currency* is that of files without such a column. Raises InvalidInput with the line."""
    text = _decoded(data)
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        places = _places(next(rows, []))
        entries, skipped, iban = _entries(rows, places, currency)
    except csv.Error as error:
        raise InvalidInput(f"Line {rows.line_num} of the file is not CSV: {error}.") from error
    return Statement(kind="csv", iban=iban, lines=with_keys(iban, entries), skipped=skipped)


def _entries(
    rows: csv.reader, places: Mapping[str, int], currency: str  # type: ignore[valid-type]
) -> tuple[list[Entry], int, str]:  # fmt: skip
    entries: list[Entry] = []
    skipped, iban = 0, ""
    for row in rows:  # type: ignore[attr-defined]
        if not any(row):
            continue
        where = f"Line {rows.line_num}"  # type: ignore[attr-defined]
        fields = {name: " ".join(row[place].split()) for name, place in places.items() if place < len(row)}
        account = fields.get("account", "").replace(" ", "")
        if iban and account != iban:
            raise InvalidInput(f"{where}: the file mixes accounts, {iban} and {account}.")
        iban = account
        amount = _amount(fields.get("amount", ""), fields.get("currency") or currency, where=where)
        if amount.minor <= 0:
            skipped += 1
            continue
        entries.append(
            Entry(
                booked_on=read_day(fields.get("date", ""), where=where),
                amount=amount,
                payer=fields.get("payer", ""),
                payer_iban=fields.get("payer_iban", "").replace(" ", ""),
                text=fields.get("text", ""),
                bank_reference=fields.get("reference", ""),
            )
        )
    return entries, skipped, iban


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InvalidInput("The file is neither XML nor text.")


def _places(head: list[str]) -> dict[str, int]:
    names = [" ".join(name.lower().replace("_", " ").split()) for name in head]
    places = {
        column: names.index(alias)
        for column, aliases in COLUMNS.items()
        for alias in reversed(aliases)
        if alias in names
    }
    missing = [column for column in NEEDED if column not in places]
    if missing:
        has = ", ".join(names)[:200] or "nothing"
        raise InvalidInput(f"The first line of the file names no column {', '.join(missing)}; it has: {has}.")
    return places


def _amount(text: str, currency: str, *, where: str) -> Money:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"{where}: {text!r} is not an amount.")
    sign, whole, group, mark, decimals = match.groups()
    if mark is None and group in (",", ".") and whole.count(group) == 1:
        if CURRENCY_DECIMALS.get(currency.strip().upper()) == 3:
            # A bank writes all three decimals of a dinar; thousands would have them behind.
            whole, _, decimals = whole.partition(group)
            digits = re.sub(r"\D", "", whole)
            return read_amount(f"{sign}{digits}.{decimals}", currency, where=where)
        raise InvalidInput(f"{where}: {text!r} may mean two amounts; write the decimals as well.")
    if mark is not None and mark == group:
        raise InvalidInput(f"{where}: {text!r} is not an amount.")
    digits = re.sub(r"\D", "", whole)
    return read_amount(f"{sign}{digits}.{decimals or 0}", currency, where=where)
