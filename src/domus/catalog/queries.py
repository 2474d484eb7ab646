"""What is for sale. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, contains_eager, selectinload

from domus.catalog.models import Addon, OsTemplate, Price, Product


def sellable_prices(session: Session, *, include_private: bool = False) -> Sequence[Price]:
    """Return the prices that a new order can be placed at, with their products and renewals, the smallest first."""
    query = (
        sa.select(Price)
        .join(Price.product)
        .where(Price.active, Price.renewal_of_id.is_(None), Product.active)
        .order_by(Product.memory_mib, Product.disk_mib, Product.id, Price.id)
        .options(
            contains_eager(Price.product).selectinload(Product.addons).selectinload(Addon.prices),
            selectinload(Price.renewals),
        )
    )
    if not include_private:
        query = query.where(Product.private.is_(False))
    return session.scalars(query).all()


def templates_for(session: Session, product: Product) -> Sequence[OsTemplate]:
    """Return the operating systems that fit into a product."""
    query = (
        sa.select(OsTemplate)
        .where(
            OsTemplate.active,
            OsTemplate.min_disk_mib <= product.disk_mib,
            OsTemplate.min_memory_mib <= product.memory_mib,
        )
        .order_by(OsTemplate.title, OsTemplate.name)
    )
    return session.scalars(query).all()


def renewal_prices(session: Session, price: Price) -> Sequence[Price]:
    """Return what a contract ordered at this price can be renewed at: its renewals, or the price itself without any."""
    query = sa.select(Price).where(Price.renewal_of_id == price.id, Price.active).order_by(Price.id)
    return session.scalars(query.options(selectinload(Price.product))).all() or [price]
