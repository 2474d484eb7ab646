"""Bills and contracts to look at. Reads only."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.billing.models import Invoice, Order, Subscription
from domus.catalog.models import Price


def invoices_of(session: Session, account_id: int) -> Sequence[Invoice]:
    """Return the invoices of an account with lines and payments, the newest first."""
    query = (
        sa.select(Invoice)
        .where(Invoice.account_id == account_id)
        .order_by(Invoice.issued_at.desc(), Invoice.id.desc())
        .options(selectinload(Invoice.lines), selectinload(Invoice.payments), joinedload(Invoice.order))
    )
    return session.scalars(query).all()


def invoice(session: Session, invoice_id: int) -> Invoice | None:
    """Return one invoice with account, order, lines and payments."""
    query = sa.select(Invoice).where(Invoice.id == invoice_id)
    return session.scalar(
        query.options(
            selectinload(Invoice.lines),
            selectinload(Invoice.payments),
            joinedload(Invoice.order),
            joinedload(Invoice.account),
        )
    )


def order(session: Session, order_id: uuid.UUID) -> Order | None:
    """Return one order with account, price, product and invoices."""
    query = sa.select(Order).where(Order.id == order_id)
    return session.scalar(
        query.options(
            joinedload(Order.account),
            joinedload(Order.price).joinedload(Price.product),
            selectinload(Order.invoices).selectinload(Invoice.lines),
            selectinload(Order.invoices).selectinload(Invoice.payments),
        )
    )


def subscription_of(session: Session, order_id: uuid.UUID) -> Subscription | None:
    """Return the contract that began with an order, with its price, product and renewals."""
    query = sa.select(Subscription).where(Subscription.order_id == order_id)
    price = joinedload(Subscription.price)
    return session.scalar(query.options(price.joinedload(Price.product), price.selectinload(Price.renewals)))
