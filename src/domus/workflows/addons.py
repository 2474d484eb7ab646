"""Editing add-ons, with their prices. For operators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing.models import OrderAddon, SubscriptionAddon
from domus.catalog import addons
from domus.catalog.addons import AddonFields, AddonPriceFields
from domus.catalog.models import Addon
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.db.rows import get_row
from domus.workflows import editing

__all__ = ["AddonFields", "AddonPriceFields", "delete", "save", "write"]


def save(
    db: Database,
    *,
    addon_id: int | None,
    fields: AddonFields,
    prices: Sequence[AddonPriceFields],
    actor: Actor,
    now: datetime,
) -> Addon:
    """Add an add-on of a product, or change one.

    Of one that was ordered the product, the kind and the size of a piece stay, and the periods that contracts may be renewed
    for keep a price: what was sold goes on.
    """
    actor.require_operator()
    try:
        with db.unit_of_work() as session:
            row = None if addon_id is None else get_row(session, Addon, addon_id, what="add-on")
            row, _ = write(session, row, fields, prices, actor=actor, now=now)
            _ = row.product.name
    except IntegrityError as error:
        raise Conflict(
            "The add-on could not be saved: somebody changed it or took its name; look again."
        ) from error
    return row


def write(
    session: Session,
    row: Addon | None,
    fields: AddonFields,
    prices: Sequence[AddonPriceFields],
    *,
    actor: Actor,
    now: datetime,
) -> tuple[Addon, dict[str, tuple[Any, Any]]]:
    """Write an add-on and its prices, checked, in the caller's transaction; return the row and what changed."""
    checked = addons.check_addon(session, fields, own_id=None if row is None else row.id)
    amounts = addons.check_prices(prices)
    is_new = row is None
    if row is None:
        row = Addon()
    else:
        _refuse_to_change_contracts(session, row, checked, amounts)
    changed = editing.write(session, row, checked, what="addon", is_new=is_new, actor=actor, now=now)
    new_prices = addons.set_prices(session, row, amounts)
    if new_prices:
        audit.record(
            session, actor=actor, action="addon.priced", object_type="addon", object_id=row.id,
            details={name: list(pair) for name, pair in new_prices.items()}, now=now,
        )  # fmt: skip
    return row, changed | new_prices


def delete(db: Database, *, addon_id: int, actor: Actor, now: datetime) -> None:
    """Delete an add-on that was never ordered, with its prices."""
    editing.delete(
        db, Addon, addon_id, what="addon", instead="take it off sale instead", actor=actor, now=now
    )


def _refuse_to_change_contracts(
    session: Session, row: Addon, fields: AddonFields, prices: Sequence[AddonPriceFields]
) -> None:
    if not session.scalar(sa.select(sa.exists().where(OrderAddon.addon_id == row.id))):
        return
    if (row.product_id, row.kind, row.unit) != (fields.product_id, fields.kind, fields.unit):
        raise Conflict(
            "This was ordered already: its product, kind and size cannot change any more. Take it off sale and add another."
        )
    in_use = session.scalar(sa.select(sa.exists().where(SubscriptionAddon.addon_id == row.id)))
    kept = {(price.period_text, price.currency) for price in prices}
    gone = [price for price in row.prices if (price.period_text, price.currency) not in kept]
    if in_use and gone:
        raise Conflict(
            f"Contracts have this, so its price for {gone[0].period_text} in {gone[0].currency} has to stay; it can change."
        )
