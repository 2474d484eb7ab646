"""Tells customers about their orders."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.models import Invoice, Order
from domus.catalog.models import Price
from domus.mail import services as mail
from domus.mail.models import OutgoingMail

log = logging.getLogger(__name__)

#: Placing an order costs nothing, and an account's addresses may be anybody's: more than this a day nobody reads.
MOST_A_DAY = 30


def tell_placed(session: Session, order: Order, invoice: Invoice, *, hostname: str, now: datetime) -> None:
    """Write the mail that an order was placed, with what is to be paid until when.

    An account that places order after order gets no more than so many of them a day.
    """
    if _told_enough(session, order.account_id, now):
        log.warning("account %s places many orders; it is told no more today", order.account_id)
        return
    data = {
        "order": str(order),
        "product": session.get_one(Price, order.price_id).product.name,
        "hostname": hostname,
        "amount": invoice.gross,
        "hold_until": order.hold_until,
        "path": f"/orders/{order.id}",
    }
    account = session.get_one(Account, order.account_id)
    mail.enqueue(session, "order_placed", account, data, cause=f"order:{order.id}:placed", now=now)


def _told_enough(session: Session, account_id: int, now: datetime) -> bool:
    today = sa.select(sa.func.count()).where(
        OutgoingMail.account_id == account_id,
        OutgoingMail.event == "order_placed",
        OutgoingMail.created_at > now - timedelta(days=1),
    )
    return (session.scalar(today) or 0) >= MOST_A_DAY
