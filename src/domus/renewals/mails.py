"""Tells customers what was done about their contracts, in the transaction that noted it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.models import Invoice, Subscription
from domus.catalog.models import Price, Product
from domus.core.money import Money
from domus.db.bulk import among
from domus.mail.services import NewMail, enqueue_many
from domus.renewals.dunning import Terms, pause_before_end
from domus.renewals.models import DunningStep, RenewalTerms, StepKind
from domus.renewals.prices import as_terms
from domus.vps.models import Vps


def tell_steps(session: Session, step_ids: Sequence[int], kind: StepKind, *, now: datetime) -> int:
    """Write the mails about steps of one kind that were just noted; return how many."""
    if not step_ids:
        return 0
    terms = {row.product_id: as_terms(row) for row in session.scalars(sa.select(RenewalTerms))}
    letters = [
        _letter(row, kind, terms.get(row.product_id, Terms()), now.date()) for row in _rows(session, step_ids)
    ]
    return enqueue_many(session, f"renewal_{kind.value}", letters, now=now)


def _rows(session: Session, step_ids: Sequence[int]) -> Sequence[Any]:
    query = (
        sa.select(
            DunningStep.id, DunningStep.day, DunningStep.paid_until, Account.id.label("account_id"), Account.email,
            Account.language, Vps.id.label("vps_id"), Vps.name.label("vps"), Vps.hostname,
            Product.id.label("product_id"), Product.name.label("product"),
            # What was asked for; of a contract that nothing was asked for, the price of one period.
            Invoice.id.label("invoice_id"),
            sa.func.coalesce(Invoice.gross_minor, Price.amount_minor).label("amount_minor"),
            sa.func.coalesce(Invoice.currency, Price.currency).label("currency"),
        )
        .join(Subscription, Subscription.id == DunningStep.subscription_id)
        .join(Account, Account.id == Subscription.account_id)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .join(Price, Price.id == Subscription.price_id)
        .join(Product, Product.id == Price.product_id)
        .outerjoin(Invoice, Invoice.id == DunningStep.invoice_id)
        .where(among(session, DunningStep.id, step_ids))
        .order_by(DunningStep.id)
    )  # fmt: skip
    return session.execute(query).all()


def _letter(row: Any, kind: StepKind, terms: Terms, today: date) -> NewMail:
    asked = row.invoice_id is not None
    return NewMail(
        account_id=row.account_id,
        email=row.email,
        language=row.language,
        data={
            "product": row.product,
            "vps": row.vps,
            "hostname": row.hostname,
            "amount": Money(int(row.amount_minor), row.currency),
            "paid_until": row.paid_until,
            "days": _days(kind, row, terms, today),
            "path": f"/invoices/{row.invoice_id}" if asked else f"/vps/{row.vps_id}",
        },
        cause=f"dunning:{row.id}",
    )


def _days(kind: StepKind, row: Any, terms: Terms, today: date) -> int:
    """Return how many days are left until the next thing happens, or of a reminder, which one it is."""
    if kind is StepKind.LAST_WARNING:
        # However late the warning comes, there is a day between it and the suspension.
        return max(1, int(terms.suspend_days - (today - row.paid_until).days))
    if kind is StepKind.SUSPENDED:
        return pause_before_end(terms).days
    if kind is StepKind.ENDED:
        return terms.grace_days
    return int(row.day)
