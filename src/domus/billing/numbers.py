"""Numbers without gaps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.billing.models import NumberSeries

ORDER_SERIES = "order"


def invoice_series(now: datetime) -> str:
    """Return the series of the year: invoices are counted from one each January, in UTC."""
    return f"invoice:{now.year}"


def next_number(session: Session, series: str) -> int:
    """Take the next number of a series; a transaction that is rolled back gives it back.

    On PostgreSQL everybody else who wants a number of the series waits until this transaction ends, so take it late.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = insert(NumberSeries).values(name=series, next_number=2)
    statement = first.on_conflict_do_update(
        index_elements=[NumberSeries.name], set_={"next_number": NumberSeries.next_number + 1}
    ).returning(NumberSeries.next_number)
    taken: int = session.execute(statement).scalar_one()
    return taken - 1
