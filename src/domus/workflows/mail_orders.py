"""Tells customers about their orders."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.models import Invoice, Order
from domus.catalog.models import Price
from domus.mail import services as mail


def tell_placed(session: Session, order: Order, invoice: Invoice, *, hostname: str, now: datetime) -> None:
    """Write the mail that an order was placed, with what is to be paid until when."""
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
