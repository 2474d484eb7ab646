"""Do the books agree with what gateways said? Each check returns one sentence per problem."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.ledger import FROM_BALANCE
from domus.billing.models import Payment
from domus.gateways.models import BankLine, GatewayEvent, LineState

BANK = "bank"

#: What is booked without anybody outside having said a word: by an operator, with play money, from the ledger itself.
SILENT = ("operator", "test", FROM_BALANCE)


def all_problems(session: Session) -> list[str]:
    """Return every problem found; none is good."""
    return [*_payments_without_an_event(session), *_transfers_that_differ_from_the_bank(session)]


def _payments_without_an_event(session: Session) -> Iterator[str]:
    said = sa.exists().where(
        GatewayEvent.gateway == Payment.gateway, GatewayEvent.subject == Payment.reference
    )
    query = sa.select(Payment).where(Payment.gateway.not_in((*SILENT, BANK)), ~said).order_by(Payment.id)
    for payment in session.scalars(query):
        yield f"Payment {payment.id} ({payment.gateway} {payment.reference}) is booked, and {payment.gateway} never said so."


def _transfers_that_differ_from_the_bank(session: Session) -> Iterator[str]:
    line = sa.exists().where(BankLine.payment_id == Payment.id, BankLine.amount_minor == Payment.amount_minor)
    for payment in session.scalars(sa.select(Payment).where(Payment.gateway == BANK, ~line)):
        yield f"Payment {payment.id} is booked as a transfer, and no statement of the bank has it."
    unpaid = sa.select(BankLine).where(BankLine.state == LineState.BOOKED, BankLine.payment_id.is_(None))
    for found in session.scalars(unpaid):
        yield f"The transfer {found} (line {found.id}) counts as booked and is not."
