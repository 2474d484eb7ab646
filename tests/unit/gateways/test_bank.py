"""Transfers: a statement is booked once, whatever is imported how often; what cannot be told waits for an operator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from domus.core.errors import Conflict, InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.gateways.models import BankLine, LineState
from domus.gateways.references import reference_of
from domus.workflows.payments import bank
from tests.support.builders import NOW
from tests.support.till import Till

IBAN = "DE89370400440532013000"


def statement(*entries: tuple[str, str], account: str = IBAN) -> bytes:
    """Return a CSV statement of (amount, text) entries."""
    rows = [f"2026-11-20;{amount};USD;Alice;{text};{account}" for amount, text in entries]
    return "\n".join(["date;amount;currency;payer;text;account", *rows, ""]).encode()


def camt(reference: str, *, day: str = "2026-11-20", direction: str = "<CdtDbtInd>CRDT</CdtDbtInd>") -> bytes:
    """Return a camt.053 statement of one entry of 10.00."""
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt>'
        f'<Acct><Id><IBAN>{IBAN}</IBAN></Id></Acct><Ntry><Amt Ccy="USD">10.00</Amt>{direction}<Sts>BOOK</Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt><AcctSvcrRef>B1</AcctSvcrRef><NtryDtls><TxDtls><RmtInf>"
        f"<Ustrd>{reference}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
    ).encode()


def imports(till: Till, data: bytes, **options: str) -> bank.Imported:
    return bank.import_statement(
        till.db, data, file_name="statement.csv", own_iban=IBAN, actor=till.shop.people.as_olga, now=NOW, **options
    )  # fmt: skip


def lines(db: Database) -> list[BankLine]:
    with db.reading() as session:
        return list(session.scalars(sa.select(BankLine).order_by(BankLine.id)))


def test_a_transfer_with_its_reference_settles_the_invoice(any_till: Till) -> None:
    order = any_till.order()
    done = imports(any_till, statement(("10.00", f"Server {reference_of(order.invoice.id)}")))
    assert (done.new, done.booked, done.unmatched) == (1, 1, 0)
    assert any_till.state(order) == ("paid", "paid")
    assert any_till.payments() == [("bank", "10.00 USD", True)]
    any_till.assert_books_agree()


def test_the_same_file_and_the_same_lines_are_booked_once(any_till: Till) -> None:
    order = any_till.order()
    entry = ("10.00", reference_of(order.invoice.id))
    assert not imports(any_till, statement(entry)).is_known
    again = imports(any_till, statement(entry))
    assert (again.is_known, again.new, again.booked) == (True, 0, 0)
    longer = imports(any_till, statement(entry, ("3.00", "another")))
    assert (longer.new, longer.known, longer.unmatched) == (1, 1, 1)
    assert len(any_till.payments()) == 1
    any_till.assert_books_agree()


def test_the_same_file_by_ten_at_once_is_booked_once(any_till: Till) -> None:
    order = any_till.order()
    data = statement(("10.00", reference_of(order.invoice.id)), ("1.00", "unknown"))

    def try_to() -> str:
        try:
            imports(any_till, data)
        except Conflict:
            return "told to try again"
        return "read"

    with ThreadPoolExecutor(10) as pool:
        said = {future.result() for future in [pool.submit(try_to) for _ in range(10)]}
    assert "read" in said
    assert any_till.payments() == [("bank", "10.00 USD", True)]
    assert len(lines(any_till.db)) == 2
    any_till.assert_books_agree()


@pytest.mark.parametrize("first", ["camt", "csv"])
@pytest.mark.parametrize("account", [IBAN, ""])
def test_the_same_transfer_in_another_format_waits_for_an_operator(
    till: Till, first: str, account: str
) -> None:
    order = till.order()
    reference = reference_of(order.invoice.id)
    files = [camt(reference), statement(("10.00", reference), account=account)]
    for data in files if first == "camt" else reversed(files):
        imports(till, data)
    told = [(line.state, line.note) for line in lines(till.db)]
    assert told[0][0] is LineState.BOOKED
    assert told[1] == (LineState.UNMATCHED, f"perhaps booked as line {lines(till.db)[0].id}")
    assert till.payments() == [("bank", "10.00 USD", True)]
    imports(till, camt(reference, day="2026-11-21"))
    assert lines(till.db)[-1].state is LineState.BOOKED, "another day's is another payment"


@pytest.mark.parametrize("amount", ["4.00", "12.00"])
def test_another_amount_is_kept_in_the_balance(till: Till, amount: str) -> None:
    order = till.order()
    imports(till, statement((amount, reference_of(order.invoice.id))))
    assert till.balance() == ("4.00 USD" if amount == "4.00" else "2.00 USD")
    assert till.state(order)[1] == ("open" if amount == "4.00" else "paid")
    till.assert_books_agree()


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("no idea", "no reference of ours in it"),
        (f"{reference_of(1)} {reference_of(2)}", "names several invoices"),
        (reference_of(4711), "of no invoice of ours"),
    ],
)
def test_what_cannot_be_told_waits_for_an_operator(till: Till, text: str, note: str) -> None:
    till.order()
    assert imports(till, statement(("10.00", text))).unmatched == 1
    (line,) = lines(till.db)
    assert line.state is LineState.UNMATCHED
    assert note in line.note
    assert till.payments() == []


def test_an_operator_assigns_a_transfer_to_an_invoice_once(till: Till) -> None:
    order = till.order()
    imports(till, statement(("10.00", "forgot the reference")))
    (line,) = lines(till.db)
    olga = till.shop.people.as_olga
    said = bank.assign(
        till.db, line_id=line.id, invoice_id=order.invoice.id, reason="called her", actor=olga, now=NOW
    )
    assert "settled" in said
    with pytest.raises(Conflict):
        bank.assign(till.db, line_id=line.id, account_id=till.account_id, reason="again", actor=olga, now=NOW)
    assert till.state(order) == ("paid", "paid")
    till.assert_books_agree()


def test_an_operator_assigns_a_transfer_to_a_balance(till: Till) -> None:
    imports(till, statement(("10.00", "prepaid")))
    bank.assign(
        till.db, line_id=lines(till.db)[0].id, account_id=till.account_id, reason="x",
        actor=till.shop.people.as_olga, now=NOW,
    )  # fmt: skip
    assert till.balance() == "10.00 USD"
    till.assert_books_agree()


@pytest.mark.parametrize(
    "where", [{"invoice_id": 99}, {"account_id": 99}, {}, {"invoice_id": 1, "account_id": 1}]
)
def test_a_transfer_is_not_assigned_to_what_is_not_there(till: Till, where: dict[str, int]) -> None:
    imports(till, statement(("10.00", "prepaid")))
    with pytest.raises(InvalidInput):
        bank.assign(
            till.db, line_id=lines(till.db)[0].id, reason="x", actor=till.shop.people.as_olga, now=NOW, **where
        )  # fmt: skip
    assert lines(till.db)[0].state is LineState.UNMATCHED


def test_a_transfer_that_is_not_from_a_customer_is_set_aside(till: Till) -> None:
    imports(till, statement(("10.00", "tax office")))
    line_id = lines(till.db)[0].id
    olga = till.shop.people.as_olga
    bank.set_aside(till.db, line_id=line_id, reason="tax", actor=olga, now=NOW)
    with pytest.raises(Conflict, match="set aside"):
        bank.set_aside(till.db, line_id=line_id, reason="tax", actor=olga, now=NOW)
    assert till.payments() == []


def test_a_statement_of_another_account_is_refused(till: Till) -> None:
    with pytest.raises(InvalidInput, match="a statement of the account DE1; ours is DE89"):
        imports(till, statement(("10.00", "x"), account="DE1"))
    assert lines(till.db) == []


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"%PDF-1.7 \x00\x01", "neither XML nor text"),
        (b"PK\x03\x04\x00", "neither XML nor text"),
        (b"\xef\xbb\xbf <html/>", "not of ISO 20022"),
        (b"x" * (21 * 1024 * 1024), "at most"),
    ],
)
def test_a_file_of_another_kind_is_named_and_nothing_is_stored(till: Till, data: bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        imports(till, data)
    assert lines(till.db) == []


def test_who_dies_in_between_leaves_lines_that_the_next_import_books(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [till.order(), till.order()]
    data = statement(*(("10.00", reference_of(order.invoice.id)) for order in orders))
    booked = bank._book
    calls = iter([booked, None])

    def dies_at_the_second(*args: object, **options: object) -> object:
        act = next(calls)
        if act is None:
            raise SystemExit
        return act(*args, **options)

    monkeypatch.setattr(bank, "_book", dies_at_the_second)
    with pytest.raises(SystemExit):
        imports(till, data)
    monkeypatch.setattr(bank, "_book", booked)
    assert [line.state for line in lines(till.db)] == [LineState.BOOKED, LineState.NEW]
    assert imports(till, data).booked == 1
    assert [till.state(order)[1] for order in orders] == ["paid", "paid"]
    till.assert_books_agree()


def test_a_payment_that_the_bank_took_back_waits_for_an_operator(till: Till) -> None:
    order = till.order()
    reference = reference_of(order.invoice.id)
    imports(till, camt(reference))
    taken = camt(reference, direction="<CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd>")
    done = imports(till, taken)
    assert (done.new, done.booked, done.unmatched, done.skipped) == (1, 0, 1, 0)
    line = lines(till.db)[-1]
    assert (str(line.amount), line.note) == ("-10.00 USD", "the bank took a payment back")
    olga = till.shop.people.as_olga
    with pytest.raises(Conflict, match="Set it aside"):
        bank.assign(till.db, line_id=line.id, invoice_id=order.invoice.id, reason="x", actor=olga, now=NOW)
    bank.set_aside(till.db, line_id=line.id, reason="recalled", actor=olga, now=NOW)
    assert till.payments() == [("bank", "10.00 USD", True)]


def test_customers_import_and_assign_nothing(till: Till) -> None:
    alice = till.shop.people.as_alice
    with pytest.raises(NotAllowed):
        bank.import_statement(till.db, statement(("1.00", "x")), file_name="x", actor=alice, now=NOW)
    with pytest.raises(NotAllowed):
        bank.assign(till.db, line_id=1, account_id=1, reason="x", actor=alice, now=NOW)
