"""Statements of the bank: read, stored, and booked line by line; what cannot be told is left to an operator.

The file and its lines are stored in one transaction and each line is booked in one of its own, so a process that dies in
between leaves lines that the next import books.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing.models import Invoice
from domus.core.errors import Conflict, DomusError, InvalidInput, NotFound
from domus.core.texts import visible
from domus.db.engine import Database
from domus.gateways.bank_csv import read_csv
from domus.gateways.camt import read_camt
from domus.gateways.checks import BANK
from domus.gateways.models import BankLine, BankStatement, LineState
from domus.gateways.references import invoices_in
from domus.gateways.statements import MAX_FILE_BYTES, Line, Statement
from domus.workflows.payments import booking

__all__ = ["Imported", "assign", "import_statement", "lines", "set_aside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What reading a file came to."""

    is_known: bool
    """The very same file was read before."""
    new: int
    known: int
    """Lines that another file had already."""
    skipped: int
    booked: int
    unmatched: int


def import_statement(
    db: Database,
    data: bytes,
    *,
    file_name: str,
    own_iban: str = "",
    currency: str = "EUR",
    actor: Actor,
    now: datetime,
) -> Imported:
    """Read a statement (camt.053 or CSV) and book what names its invoice.

    *own_iban* is the account that it has to be of, *currency* that of a CSV file without such a column. Raises InvalidInput,
    and stores nothing, for a file that is broken, of another kind, or of another account.
    """
    actor.require_operator()
    statements = _read(data, currency=currency)
    for statement in statements:
        if own_iban and statement.iban and statement.iban != own_iban:
            raise InvalidInput(
                f"The file is a statement of the account {statement.iban}; ours is {own_iban}.", field="file"
            )
    digest = hashlib.sha256(data).hexdigest()
    try:
        with db.unit_of_work() as session:
            known_file = sa.select(BankStatement.id).where(BankStatement.digest == digest)
            is_known = session.scalar(known_file) is not None
            new = 0 if is_known else _store(session, statements, digest, file_name, actor=actor, now=now)
    except IntegrityError as error:
        raise Conflict("The same lines are being read by somebody else at this moment; try again.") from error
    booked, unmatched = _book_new(db, actor=actor, now=now)
    total = sum(len(statement.lines) for statement in statements)
    return Imported(
        is_known=is_known,
        new=new,
        known=total - new,
        skipped=sum(statement.skipped for statement in statements),
        booked=booked,
        unmatched=unmatched,
    )


def assign(
    db: Database,
    *,
    line_id: int,
    invoice_id: int | None = None,
    account_id: int | None = None,
    reason: str,
    actor: Actor,
    now: datetime,
) -> str:
    """Book an unmatched line for an invoice, or to the balance of an account; return what came of it."""
    actor.require_operator()
    if (invoice_id is None) == (account_id is None):
        raise InvalidInput("Name either an invoice or an account.", field="invoice")
    with db.unit_of_work() as session:
        line = _lock_line(session, line_id)
        if line.amount_minor < 0:
            raise Conflict("The bank took this back; nothing can be paid with it. Set it aside.")
        if invoice_id is not None:
            invoice = session.get(Invoice, invoice_id)
            if invoice is None:
                raise InvalidInput("There is no such invoice.", field="invoice")
            account_id = invoice.account_id
        elif account_id is None or session.get(Account, account_id) is None:
            raise InvalidInput("There is no such account.", field="account")
        return _book(session, line, account_id, invoice_id, reason=reason, actor=actor, now=now)


def set_aside(db: Database, *, line_id: int, reason: str, actor: Actor, now: datetime) -> None:
    """Say that an unmatched line is not from a customer: it is booked by somebody else, elsewhere."""
    actor.require_operator()
    with db.unit_of_work() as session:
        line = _lock_line(session, line_id)
        line.state, line.note, line.decided_at = LineState.SET_ASIDE, reason[:500], now
        audit.record(
            session, actor=actor, action="bank_line.set_aside", object_type="bank_line", object_id=line.id,
            reason=reason, now=now,
        )  # fmt: skip


def lines(db: Database, *, state: LineState, actor: Actor) -> list[BankLine]:
    """Return the lines in a state, the oldest first."""
    actor.require_operator()
    with db.reading() as session:
        return list(session.scalars(sa.select(BankLine).where(BankLine.state == state).order_by(BankLine.id)))


def _read(data: bytes, *, currency: str) -> list[Statement]:
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(
            f"The file has {len(data)} bytes; at most {MAX_FILE_BYTES} are read.", field="file"
        )
    if not data.strip():
        raise InvalidInput("The file is empty.", field="file")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return read_camt(data)
    return [read_csv(data, currency=currency)]


def _store(
    session: Session, statements: list[Statement], digest: str, file_name: str, *, actor: Actor, now: datetime
) -> int:
    """Store a file with those of its lines that no other file had; return how many."""
    first = statements[0]
    row = BankStatement(
        digest=digest,
        file_name=visible(PurePath(file_name).name)[:200] or "statement",
        kind=first.kind,
        iban=first.iban[:40],
        skipped=sum(statement.skipped for statement in statements),
        imported_at=now,
        imported_by=actor.name,
    )
    session.add(row)
    session.flush()
    found = {line.key: line for statement in statements for line in statement.lines}
    keys = list(found)
    known: set[str] = set()
    for start in range(0, len(keys), 500):
        query = sa.select(BankLine.key).where(BankLine.key.in_(keys[start : start + 500]))
        known.update(session.scalars(query))
    session.add_all([_row(row, line) for key, line in found.items() if key not in known])
    audit.record(
        session, actor=actor, action="bank_statement.imported", object_type="bank_statement",
        object_id=row.id, details={"file": row.file_name, "lines": len(found)}, now=now,
    )  # fmt: skip
    return len(found) - len(known)


def _row(statement: BankStatement, line: Line) -> BankLine:
    entry = line.entry
    return BankLine(
        statement_id=statement.id,
        key=line.key,
        booked_on=entry.booked_on,
        currency=entry.amount.currency,
        amount_minor=entry.amount.minor,
        payer=visible(entry.payer)[:200],
        payer_iban=visible(entry.payer_iban)[:40],
        text=visible(entry.text)[:1000],
        bank_reference=visible(entry.bank_reference)[:300],
        is_reversal=entry.is_reversal,
        state=LineState.NEW,
    )


def _book_new(db: Database, *, actor: Actor, now: datetime) -> tuple[int, int]:
    """Look for the invoice of each new line; return how many were booked, and how many are left to an operator."""
    with db.reading() as session:
        ids = session.scalars(
            sa.select(BankLine.id).where(BankLine.state == LineState.NEW).order_by(BankLine.id)
        ).all()
    booked = unmatched = 0
    for line_id in ids:
        try:
            with db.unit_of_work() as session:
                line = session.get(BankLine, line_id, with_for_update=True, populate_existing=True)
                if line is None or line.state is not LineState.NEW:
                    continue
                invoice, why = _invoice_of(session, line)
                twin = None if invoice is None else _twin_of(session, line, invoice)
                if twin is not None:
                    why = f"perhaps booked as line {twin}"
                elif invoice is not None:
                    _book(session, line, invoice.account_id, invoice.id, reason="", actor=actor, now=now)
                    booked += 1
                    continue
                line.state, line.note = LineState.UNMATCHED, why
        except DomusError as error:
            with db.unit_of_work() as session:
                session.execute(
                    sa.update(BankLine)
                    .where(BankLine.id == line_id, BankLine.state == LineState.NEW)
                    .values(state=LineState.UNMATCHED, note=str(error)[:500])
                )
        unmatched += 1
    return booked, unmatched


def _invoice_of(session: Session, line: BankLine) -> tuple[Invoice | None, str]:
    """Return the one invoice that a line names, or why there is none."""
    if line.amount_minor < 0:
        return None, "the bank took a payment back"
    if line.is_reversal:
        return None, "the bank takes one of its own bookings back"
    named = invoices_in(line.text, line.bank_reference)
    if not named:
        return None, "no reference of ours in it"
    if len(named) > 1:
        return None, "names several invoices"
    invoice = session.get(Invoice, named.pop())
    return invoice, "" if invoice is not None else "its reference is of no invoice of ours"


def _twin_of(session: Session, line: BankLine, invoice: Invoice) -> int | None:
    """Return an earlier line, from a statement of another kind, that may be the same payment: its key is another there."""
    kind, iban = line.statement.kind, line.statement.iban
    others = (
        sa.select(BankLine)
        .join(BankLine.statement)
        .where(
            BankStatement.kind != kind,
            # Not every CSV names the account.
            sa.true() if not iban else BankStatement.iban.in_([iban, ""]),
            BankLine.id < line.id,
            BankLine.is_reversal.is_(False),
            BankLine.booked_on == line.booked_on,
            BankLine.currency == line.currency,
            BankLine.amount_minor == line.amount_minor,
        )
        .order_by(BankLine.id)
    )
    if session.scalar(sa.select(sa.exists().where(BankStatement.kind != kind))):
        for other in session.scalars(others):
            if invoices_in(other.text, other.bank_reference) == {invoice.id}:
                return other.id
    return None


def _book(
    session: Session,
    line: BankLine,
    account_id: int,
    invoice_id: int | None,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> str:
    payment, outcome = booking.receive(
        session,
        account_id=account_id,
        invoice_id=invoice_id,
        gateway=BANK,
        reference=line.key,
        amount=line.amount,
        actor=actor,
        now=now,
    )
    line.state, line.payment_id, line.note, line.decided_at = LineState.BOOKED, payment.id, outcome[:500], now
    audit.record(
        session, actor=actor, action="bank_line.booked", object_type="bank_line", object_id=line.id,
        account_id=account_id, reason=reason, details={"outcome": outcome}, now=now,
    )  # fmt: skip
    return outcome


def _lock_line(session: Session, line_id: int) -> BankLine:
    line = session.get(BankLine, line_id, with_for_update=True, populate_existing=True)
    if line is None:
        raise NotFound("There is no such transfer.")
    if line.state is not LineState.UNMATCHED:
        raise Conflict(
            f"This transfer is not unmatched any more; it is {line.state.value.replace('_', ' ')}."
        )
    return line
