"""Do the books agree with what gateways said? Each check returns one sentence per problem."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.ledger import FROM_BALANCE
from domus.billing.models import Payment
from domus.gateways.models import GatewayEvent

#: What is booked without anybody outside having said a word: by an operator, with play money, from the ledger itself.
SILENT = ("operator", "test", FROM_BALANCE)


def all_problems(session: Session) -> list[str]:
    """Return every problem found; none is good."""
    return list(_payments_without_an_event(session))


def _payments_without_an_event(session: Session) -> Iterator[str]:
    said = sa.exists().where(
        GatewayEvent.gateway == Payment.gateway, GatewayEvent.subject == Payment.reference
    )
    query = sa.select(Payment).where(Payment.gateway.not_in(SILENT), ~said).order_by(Payment.id)
    for payment in session.scalars(query):
        yield f"Payment {payment.id} ({payment.gateway} {payment.reference}) is booked, and {payment.gateway} never said so."
