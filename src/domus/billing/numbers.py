"""Numbers without gaps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.billing.models import NumberSeries

ORDER_SERIES = "order"


#: Kinds of documents, whose series are called ``invoice:2026``, ``invoice:DE-2026`` and so on.
INVOICE = "invoice"
CREDIT = "credit"

#: What a number begins with, before the company's prefix and the year.
LETTERS = {INVOICE: "", CREDIT: "C-"}


def next_document(session: Session, kind: str, prefix: str, *, now: datetime) -> str:
    """Take the next number of a company's invoices or credit notes; they are counted from one each January, in UTC."""
    return next_documents(session, kind, prefix, 1, now=now)[0]


def next_documents(session: Session, kind: str, prefix: str, count: int, *, now: datetime) -> list[str]:
    """Take so many numbers at once."""
    stem = f"{prefix}-{now.year}" if prefix else str(now.year)
    first = _take(session, f"{kind}:{stem}", count)
    return [f"{LETTERS[kind]}{stem}-{number:05d}" for number in range(first, first + count)]


def next_number(session: Session, series: str) -> int:
    """Take the next number of a series; a transaction that is rolled back gives it back.

    On PostgreSQL everybody else who wants a number of the series waits until this transaction ends, so take it late.
    """
    return _take(session, series, 1)


def _take(session: Session, series: str, count: int) -> int:
    """Take so many numbers, and return the first of them."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = insert(NumberSeries).values(name=series, next_number=1 + count)
    statement = first.on_conflict_do_update(
        index_elements=[NumberSeries.name], set_={"next_number": NumberSeries.next_number + count}
    ).returning(NumberSeries.next_number)
    following: int = session.execute(statement).scalar_one()
    return following - count
