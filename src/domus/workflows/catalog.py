"""Editing what is sold. For operators."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing.models import Order, Subscription
from domus.catalog import services
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.catalog.services import PriceFields, ProductFields, TemplateFields
from domus.contracts.models import ContractChange
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.workflows import editing

__all__ = [
    "PriceFields",
    "ProductFields",
    "TemplateFields",
    "delete_price",
    "delete_product",
    "delete_template",
    "save_price",
    "save_product",
    "save_template",
]


def save_product(
    db: Database, *, product_id: int | None, fields: ProductFields, actor: Actor, now: datetime
) -> Product:
    """Add a product, or change one; what was sold before keeps its sizes."""

    def check(session: Session) -> ProductFields:
        return services.check_product(session, fields, own_id=product_id)

    return editing.save(
        db, Product, product_id, check, what="product", created={"created_at": now}, actor=actor, now=now
    )


def save_price(
    db: Database, *, price_id: int | None, fields: PriceFields, actor: Actor, now: datetime
) -> Price:
    """Add a price, or change one.

    Of a price that something was ordered at or changed to, only the amounts and ``active`` change: a contract's period and
    currency are not the operator's to change any more, and a new price does the same.
    """

    def check(session: Session) -> PriceFields:
        checked = services.check_price(session, fields, own_id=price_id)
        if price_id is not None:
            _refuse_to_change_contracts(session, price_id, checked)
        return checked

    return editing.save(
        db, Price, price_id, check, what="price", load=lambda price: price.product, actor=actor, now=now
    )


def save_template(
    db: Database, *, template_id: int | None, fields: TemplateFields, actor: Actor, now: datetime
) -> OsTemplate:
    """Add an operating system to choose from, or change one."""

    def check(session: Session) -> TemplateFields:
        return services.check_template(session, fields, own_id=template_id)

    return editing.save(db, OsTemplate, template_id, check, what="template", actor=actor, now=now)


def delete_product(db: Database, *, product_id: int, actor: Actor, now: datetime) -> None:
    """Delete a product that was never ordered, with its prices and add-ons."""

    def delete_prices(session: Session, product: Product) -> None:
        # Their prices go with them.
        session.execute(sa.delete(Addon).where(Addon.product_id == product.id))
        prices = sa.delete(Price).where(Price.product_id == product.id)
        session.execute(prices.where(Price.renewal_of_id.is_not(None)))
        session.execute(prices)

    editing.delete(
        db,
        Product,
        product_id,
        what="product",
        instead="deactivate it instead",
        first=delete_prices,
        actor=actor,
        now=now,
    )


def delete_price(db: Database, *, price_id: int, actor: Actor, now: datetime) -> None:
    """Delete a price that nothing was ordered at and that no other price renews."""
    editing.delete(db, Price, price_id, what="price", instead="deactivate it instead", actor=actor, now=now)


def delete_template(db: Database, *, template_id: int, actor: Actor, now: datetime) -> None:
    """Delete an operating system that no VPS was made with."""
    editing.delete(
        db, OsTemplate, template_id, what="template", instead="deactivate it instead", actor=actor, now=now
    )


def _refuse_to_change_contracts(session: Session, price_id: int, fields: PriceFields) -> None:
    price = session.get(Price, price_id)
    used = sa.or_(
        sa.exists().where(Order.price_id == price_id),
        # A contract may have come to it by a change.
        sa.exists().where(Subscription.price_id == price_id),
        sa.exists().where(ContractChange.to_price_id == price_id),
    )
    if price is None or not session.scalar(sa.select(used)):
        return
    terms = (price.product_id, price.renewal_of_id, price.period_text, price.currency)
    if terms != (fields.product_id, fields.renewal_of_id, fields.period_text, fields.currency):
        raise Conflict(
            "Something was ordered at this price: its product, period and currency cannot change any more. "
            "Deactivate it and add another."
        )
