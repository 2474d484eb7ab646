"""Tells customers that their invoices are paid, with the invoice attached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.models import Invoice, Order
from domus.core.money import Money
from domus.db.bulk import among
from domus.mail.services import NewMail, enqueue_many


def tell_paid(session: Session, invoice_ids: Sequence[int], *, now: datetime) -> None:
    """Write the mails about invoices that were just numbered, in the transaction that did it."""
    session.flush()
    query = (
        sa.select(
            Invoice.id, Invoice.number, Invoice.currency, Invoice.gross_minor, Account.id, Account.email, Account.language,
            Order.number,
        )
        .join(Invoice.account)
        .outerjoin(Invoice.order)
        .where(among(session, Invoice.id, invoice_ids))
    )  # fmt: skip
    letters = [
        NewMail(
            account_id=account_id,
            email=email,
            language=language,
            data={
                "number": number,
                "amount": Money(gross_minor, currency),
                "order": "" if order is None else f"#{order}",
                "path": f"/invoices/{invoice_id}",
            },
            cause=f"invoice:{invoice_id}",
            attachments=[f"invoice:{invoice_id}"],
        )
        for invoice_id, number, currency, gross_minor, account_id, email, language, order in session.execute(
            query.order_by(Invoice.id)
        ).all()
    ]
    enqueue_many(session, "invoice", letters, now=now)
