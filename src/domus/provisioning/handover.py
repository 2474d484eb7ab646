"""Tells a customer that a VPS is ready."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.models import Order
from domus.inventory.models import IpAddress
from domus.mail import services as mail
from domus.vps.models import Vps


def tell_ready(session: Session, vps: Vps, *, now: datetime) -> None:
    """Write the mail that a VPS is running for the first time, with what is needed to log in."""
    order = session.get_one(Order, vps.order_id)
    held = sa.select(IpAddress.address).where(IpAddress.vps_id == vps.id)
    addresses = session.scalars(held.order_by(IpAddress.pool_id, IpAddress.position)).all()
    data = {
        "order": str(order),
        "product": order.price.product.name,
        "amount": order.price.amount,
        "hostname": vps.hostname,
        "vps": vps.name,
        "addresses": ", ".join(addresses),
        "path": f"/vps/{vps.id}",
    }
    account = session.get_one(Account, vps.account_id)
    mail.enqueue(session, "vps_ready", account, data, cause=f"vps:{vps.id}:ready", now=now)
