"""The coupon of a new order: looked at before anything is reserved, used when all else is done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing import services as billing
from domus.billing.line_texts import coupon_line
from domus.billing.models import Invoice, Order
from domus.coupons import services as coupons
from domus.coupons.models import Coupon
from domus.workflows.order_checks import Choice, OrderRequest


def find(session: Session, request: OrderRequest, choice: Choice, *, now: datetime) -> Coupon | None:
    """Return the coupon that an order form names, if any; raise InvalidInput that says why it would be refused."""
    if not request.coupon.strip():
        return None
    coupon = coupons.find(session, request.coupon)
    coupons.check(session, coupon, choice.price, account_id=request.account_id, now=now)
    return coupon


def open_invoice(session: Session, order: Order, coupon: Coupon | None, *, now: datetime) -> Invoice:
    """Open the invoice of a new order, less what its coupon takes off; raise InvalidInput when it was used up by now."""
    if coupon is None:
        return billing.open_order_invoice(session, order, now=now)
    used, off = coupons.use(session, coupon, order, now=now)
    language = session.get_one(Account, order.account_id).language
    line = coupon_line(off.code, off.millipercent, off.amount, language), -off.amount
    invoice = billing.open_order_invoice(session, order, discounts=[line], now=now)
    coupons.note(session, used, invoice, off)
    return invoice
