"""On which days the contracts of a product are billed, reminded, suspended and ended. For operators."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.catalog.models import Product
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.db.rows import get_row, write_row
from domus.renewals.dunning import Terms, check_terms, parse_days
from domus.renewals.models import RenewalTerms

__all__ = ["Terms", "parse_days", "remove", "save", "write"]


def save(
    db: Database, *, product_id: int, terms: Terms, is_new: bool, actor: Actor, now: datetime
) -> RenewalTerms:
    """Give a product days of its own, or change them. Steps that were taken are not taken again.

    Raises InvalidInput for days that do not follow one another, Conflict for a second set of days of one product.
    """
    actor.require_operator()
    with db.unit_of_work() as session:
        product = get_row(session, Product, product_id, what="product", field="product_id")
        row = session.get(RenewalTerms, product_id, with_for_update=True)
        if row is not None and is_new:
            raise Conflict(f"{product} has days of its own already; edit those.")
        row = row or RenewalTerms(product_id=product_id)
        write(session, row, product, terms, actor=actor, now=now)
    return row


def write(
    session: Session, row: RenewalTerms, product: Product, terms: Terms, *, actor: Actor, now: datetime
) -> dict[str, tuple[Any, Any]]:
    """Write a product's days into their row, with an audit event; return what changed, as (old, new)."""
    columns = dataclasses.asdict(check_terms(terms))
    columns |= {name: list(columns[name]) for name in ("remind_before", "remind_after")}
    changed = write_row(row, columns)
    row.product = product
    session.add(row)
    session.flush()
    if changed:
        details = {name: [old, new] for name, (old, new) in changed.items()}
        audit.record(
            session, actor=actor, action="renewal_terms.saved", object_type="product", object_id=product.id,
            details=details, now=now,
        )  # fmt: skip
    return changed


def remove(db: Database, *, product_id: int, actor: Actor, now: datetime) -> None:
    """Let a product have the usual days again."""
    actor.require_operator()
    with db.unit_of_work() as session:
        row = session.get(RenewalTerms, product_id)
        if row is None:
            return
        session.delete(row)
        audit.record(
            session, actor=actor, action="renewal_terms.removed", object_type="product", object_id=product_id,
            now=now,
        )  # fmt: skip
