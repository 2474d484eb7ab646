"""Reading statements: camt.053 of several versions, CSV of several banks, references, and files that are something else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import ConfigurationError, InvalidInput
from domus.core.money import Money
from domus.gateways.bank_csv import read_csv
from domus.gateways.bank_transfer import from_env
from domus.gateways.camt import read_camt
from domus.gateways.interface import Bill, Instructions
from domus.gateways.references import invoices_in, reference_of
from domus.gateways.statements import Statement
from tests.support.till import usd

DATA = Path(__file__).parents[2] / "data" / "bank"


def camt(version: str) -> bytes:
    check = reference_of(1)[2:4]
    return (DATA / f"camt.053.001.{version}.xml").read_bytes().replace(b"@CHECK@", check.encode())


def told(statement: Statement) -> list[tuple[str, str, str, set[int]]]:
    return [
        (str(e.booked_on), str(e.amount), e.payer, invoices_in(e.text, e.bank_reference))
        for e in (line.entry for line in statement.lines)
    ]


def test_a_statement_of_version_2() -> None:
    (statement,) = read_camt(camt("02"))
    assert (statement.kind, statement.iban, statement.skipped) == (
        "camt.053.001.02",
        "DE89370400440532013000",
        2,
    )
    assert told(statement) == [
        ("2026-11-20", "10.00 EUR", "Alice Example", {1}),
        ("2026-11-20", "5.00 EUR", "", set()),
    ]
    assert [line.entry.is_reversal for line in statement.lines] == [False, True]
    assert statement.lines[0].entry.payer_iban == "DE02120300000000202051"


def test_a_statement_of_version_8_with_payments_booked_together() -> None:
    (statement,) = read_camt(camt("08"))
    assert told(statement) == [
        ("2026-11-20", "10.00 EUR", "Alice Example", {1}),
        ("2026-11-20", "20.00 EUR", "Somebody Else", set()),
    ]


def test_payments_booked_together_that_do_not_add_up_stay_together() -> None:
    (statement,) = read_camt(camt("08").replace(b'<Amt Ccy="EUR">20.00</Amt>', b'<Amt Ccy="USD">22.00</Amt>'))
    assert [str(line.entry.amount) for line in statement.lines] == ["30.00 EUR"]


def test_the_same_entry_has_the_same_key_in_another_file() -> None:
    (daily,) = read_camt(camt("02"))
    (monthly,) = read_camt(camt("02").replace(b"2026-11-20-1", b"2026-11").replace(b"N1", b"N30"))
    assert [line.key for line in daily.lines] == [line.key for line in monthly.lines]


def test_entries_that_are_alike_in_everything_are_two() -> None:
    line = "2026-11-20;10.00;thanks\n"
    statement = read_csv(f"date;amount;text\n{line}{line}".encode(), currency="EUR")
    assert len({line.key for line in statement.lines}) == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<Document/>", "not of ISO 20022"),
        (b"<html><body>Log in again</body></html>", "not of ISO 20022"),
        (camt("02").replace(b"camt.053", b"camt.052"), "an interim report"),
        (camt("02").replace(b"camt.053", b"camt.054"), "a notification of single bookings"),
        (camt("02").replace(b"camt.053", b"pain.001"), "an order to the bank"),
        (camt("02")[:900], "not XML that can be read"),
        (camt("02").replace(b"<Stmt>", b"<Rpt>").replace(b"</Stmt>", b"</Rpt>"), "no statement in it"),
        (camt("02").replace(b">10.00<", b">ten<"), "Entry 1 of account DE89370400440532013000: 'ten' is not an amount"),
        (camt("02").replace(b">10.00<", b">-10.00<"), "cannot|can arrive"),
        (camt("02").replace(b">10.00<", b">NaN<"), "is not an amount"),
        (camt("02").replace(b">10.00<", b">10.001<"), "has 2 decimals"),
        (camt("02").replace(b'Ccy="EUR">10.00', b'Ccy="XXX">10.00'), "Currency 'XXX' is not known"),
        (camt("02").replace(b"<Dt>2026-11-20", b"<Dt>2026-13-20", 1), "is not a day"),
        (camt("02").replace(b'<Amt Ccy="EUR">10.00</Amt>', b""), "has no amount"),
    ],
)  # fmt: skip
def test_a_file_that_is_something_else_is_named(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_camt(data)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE a SYSTEM "http://192.0.2.1/evil.dtd">',
    ],
)
def test_entities_are_not_resolved(declaration: str) -> None:
    with pytest.raises(InvalidInput, match="not XML that can be read"):
        read_camt(f'<?xml version="1.0"?>{declaration}<a>&x;</a>'.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date,amount,currency,payer,text\n2026-11-20,10.00,USD,Alice,hello\n", ["10.00 USD"]),
        ("Buchungstag;Betrag;Währung;Verwendungszweck\n20.11.2026;1.234,56;EUR;Miete\n", ["1234.56 EUR"]),
        ("Date\tAmount\tText\n2026-11-20\t1,234.5\tx\n", ["1234.50 EUR"]),
        ("date;amount;text\n2026-11-20;-5,00;rent\n2026-11-20;+3,00;x\n;;\n", ["3.00 EUR"]),
        ('date;amount;text\n2026-11-20;"10,00";"two\nlines"\n', ["10.00 EUR"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_csv_of_several_banks(text: str, expected: list[str], encoding: str) -> None:
    statement = read_csv(text.encode(encoding), currency="EUR")
    assert [str(line.entry.amount) for line in statement.lines] == expected
    assert {line.entry.booked_on for line in statement.lines} == {date(2026, 11, 20)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names no column date, amount, text; it has: nothing"),
        ("when,how much\n", "names no column date, amount, text; it has: when, how much"),
        ("date;amount;text\n2026-11-20;ten;x\n", "Line 2: 'ten' is not an amount"),
        ("date;amount;text\n2026-11-20;1.234;x\n", "may mean two amounts"),
        ("date;amount;text\n2026-11-20;1,2,3;x\n", "is not an amount"),
        ("date;amount;text\nyesterday;1.00;x\n", "Line 2: 'yesterday' is not a day"),
        ("date;amount;text;currency\n2026-11-20;1.00;x;DOGE\n", "Line 2: Currency 'DOGE' is not known"),
        ('date;amount;text\n2026-11-20;1.00;"x\n', "is not CSV"),
        ("date;amount;text;account\n2026-11-20;1.00;x;DE1\n2026-11-20;1.00;x;DE2\n", "mixes accounts"),
        ("\x00\x01\x02", "neither XML nor text"),
    ],
)
def test_a_csv_file_that_is_broken_says_where(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_csv(text.encode(), currency="EUR")


@given(st.integers(1, 10**8 - 1), st.sampled_from(["", " ", "-", "/", "  "]))
def test_a_reference_is_found_however_it_is_written(invoice_id: int, between: str) -> None:
    written = between.join(reference_of(invoice_id).replace(" ", "")).lower()
    assert invoice_id in invoices_in(f"Invoice of November, {written} thank you")


@given(st.integers(1, 10**8 - 1), st.integers(4, 11), st.integers(1, 9))
def test_one_wrong_digit_names_no_other_invoice(invoice_id: int, place: int, more: int) -> None:
    solid = reference_of(invoice_id).replace(" ", "")
    wrong = solid[:place] + str((int(solid[place]) + more) % 10) + solid[place + 1 :]
    assert invoices_in(wrong) == set()


def test_several_references_are_all_found() -> None:
    assert invoices_in(f"{reference_of(1)} and {reference_of(22)}", reference_of(333)) == {1, 22, 333}


def test_the_environment_names_the_account() -> None:
    named = {"DOMUS_BANK_IBAN": "DE89 3704 0044 0532 0130 00", "DOMUS_BANK_HOLDER": "Example Hosting"}
    bank = from_env({**named, "DOMUS_BANK_BIC": "COBADEFFXXX", "DOMUS_BANK_CURRENCIES": "eur, usd"})
    assert bank is not None
    assert bank.iban == "DE89370400440532013000"
    answer = bank.begin(
        Bill(attempt_id=None, invoice_id=12, account_id=1, amount=usd("10.00"), text="VPS")  # type: ignore[arg-type]
    )
    assert isinstance(answer, Instructions)
    assert dict(answer.lines) == {
        "Amount": "10.00 USD",
        "Reference": "RF68 0000 0012",
        "To": "Example Hosting",
        "IBAN": "DE89 3704 0044 0532 0130 00",
        "BIC": "COBADEFFXXX",
    }
    plain = from_env(named)
    assert plain is not None
    assert plain.obstacle(usd("1.00")) == "Our bank account takes EUR only."
    assert from_env({}) is None


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"DOMUS_BANK_IBAN": "DE88370400440532013000"}, "DOMUS_BANK_IBAN"),
        ({"DOMUS_BANK_BIC": "NOPE"}, "DOMUS_BANK_BIC"),
        ({"DOMUS_BANK_CURRENCIES": "EUR XAU"}, "XAU"),
        ({"DOMUS_BANK_HOLDER": ""}, "DOMUS_BANK_HOLDER is not"),
    ],
)
def test_a_wrong_account_stops_the_start(changed: dict[str, str], problem: str) -> None:
    named = {"DOMUS_BANK_IBAN": "DE89370400440532013000", "DOMUS_BANK_HOLDER": "Example Hosting"}
    with pytest.raises(ConfigurationError, match=problem):
        from_env(named | changed)


@pytest.mark.parametrize(("written", "fils"), [("7.125", 7125), ("7,125", 7125), ("1.007,125", 1007125)])
def test_three_decimals_of_a_dinar_are_no_thousands(written: str, fils: int) -> None:
    data = f"date;amount;currency;text\n2026-11-20;{written};KWD;x\n".encode()
    [line] = read_csv(data, currency="EUR").lines
    assert line.entry.amount == Money(fils, "KWD")
