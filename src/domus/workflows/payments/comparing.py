"""Compares the books with what gateways say that they took, in both directions; what we never heard of is booked."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing.models import Payment
from domus.core.errors import DomusError
from domus.db.engine import Database
from domus.gateways import events
from domus.gateways.interface import Lists, Paid
from domus.gateways.registry import Gateways
from domus.workflows.payments import booking

#: A payment this young may be in one of the two and on its way to the other.
SETTLING = timedelta(minutes=15)


def compare(db: Database, gateways: Gateways, *, since: datetime, now: datetime) -> list[str]:
    """Return a sentence for every payment since then that only one side knew; none is good."""
    found = []
    for gateway in gateways:
        if isinstance(gateway, Lists):
            try:
                found += _compare(db, gateway, since=since, now=now)
            except DomusError as error:
                found.append(f"{gateway.name} could not be asked: {error}")
    return found


def _compare(db: Database, gateway: Lists, *, since: datetime, now: datetime) -> list[str]:
    taken = {paid.reference: paid for paid in gateway.paid_since(since)}
    with db.reading() as session:
        booked = session.execute(
            sa.select(Payment.reference, Payment.received_at).where(Payment.gateway == gateway.name)
        )
        moments = {reference: moment for reference, moment in booked if moment >= since or reference in taken}
    said = [_book(db, gateway.name, taken[reference], now=now) for reference in taken.keys() - moments.keys()]
    said += [
        f"{gateway.name}: {reference} is in the books, and the gateway does not list it."
        for reference, moment in moments.items()
        # One that was paid before may have been booked after.
        if reference not in taken and since + SETTLING <= moment <= now - SETTLING
    ]
    return sorted(said)


def _book(db: Database, gateway: str, paid: Paid, *, now: datetime) -> str:
    try:
        with db.unit_of_work() as session:
            events.note_answer(session, gateway, paid.reference, kind="listed", now=now)
        outcome = booking.book(db, gateway, paid, actor=Actor.system(gateway), now=now)
    except DomusError as error:
        outcome = f"could not be booked: {error}"
    return f"{gateway}: {paid.reference} was not in the books; {outcome}."
