"""The renewal of one contract: asked for, settled, withdrawn; and the steps that are taken when it is not paid.

Each works in the caller's transaction, which holds the contract locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import invoicing
from domus.billing import services as billing
from domus.billing.models import Subscription
from domus.catalog.models import Price
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.coupons import running
from domus.coupons.discounts import Discount
from domus.db.rows import changed_rows
from domus.renewals import queries
from domus.renewals.addons import lines_of
from domus.renewals.mails import tell_steps
from domus.renewals.models import DunningStep, Renewal, StepKind, SubscriptionHold
from domus.renewals.opening import discount_text, line_text, refuse_nothing
from domus.renewals.prices import Offer
from domus.vps.models import Vps

#: Further ahead than this nobody pays: it is a typing error, or a button pressed again and again.
FARTHEST_AHEAD = timedelta(days=3 * 366)


def lock(session: Session, vps: Vps) -> Subscription | None:
    """Return the contract behind a locked VPS as it is now, locked in turn; None while its order is not paid.

    The VPS is locked before its contract, and that before its invoice, by everybody who locks more than one of them.
    """
    query = sa.select(Subscription).where(Subscription.order_id == vps.order_id)
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.scalar(locked)


def ask(session: Session, contract: Subscription, vps: Vps, offer: Offer, *, now: datetime) -> Renewal:
    """Return the open renewal of a contract's next period at an offer, and open it when there is none.

    One that was opened at another offer is withdrawn. Raises Conflict when it is paid years ahead.
    """
    living = queries.open_renewal(session, contract.id)
    if living is not None and living.price_id == offer.price_id:
        return living
    if contract.paid_until > now.date() + FARTHEST_AHEAD:
        raise Conflict(
            f"This is paid until {contract.paid_until:%Y-%m-%d} already; that is far enough ahead."
        )
    if living is not None:
        withdraw(session, living, now=now)
    ends_on = offer.period.end(contract.paid_until, anchor_day=contract.anchor_day)
    text = line_text(offer, vps.hostname, contract.paid_until, ends_on)
    account = session.get_one(Account, contract.account_id)
    price = session.get_one(Price, offer.price_id)
    lines = [(text, offer.amount), *lines_of(session, contract, price, account.language)]
    refuse_nothing(sum((amount for _, amount in lines), Money.zero(offer.amount.currency)))
    coupon = running.of_order(session, contract.order_id)
    off = None if coupon is None else coupon.off(offer.amount)
    if off is not None:
        lines.append((discount_text(off, account.language), -off.amount))
        _refuse_free(off, sum((amount for _, amount in lines), Money.zero(offer.amount.currency)))
    invoice = invoicing.draft(session, account, lines, now=now)
    if coupon is not None and off is not None:
        running.note_many(session, {invoice.id: (coupon, off)})
    renewal = Renewal(
        invoice_id=invoice.id,
        subscription_id=contract.id,
        price_id=offer.price_id,
        starts_on=contract.paid_until,
        ends_on=ends_on,
    )
    session.add(renewal)
    session.flush()
    return renewal


def _refuse_free(off: Discount, total: Money) -> None:
    """Raise Conflict for a period that a coupon leaves nothing to pay of: pressing a button is no payment."""
    if not total:
        raise Conflict(
            f"With the coupon {off.code} the next period costs nothing; it is renewed by itself when its day comes."
        )


def settle(session: Session, renewal: Renewal, *, now: datetime) -> bool:
    """Extend the contract of a renewal whose invoice was just paid; False when that had been done already.

    Raises Conflict when the contract is not paid until where the renewal begins: then nothing fits, and nothing is booked.
    """
    # One whose money was given back before it began is withdrawn, and its payment may be told again.
    open_one = (
        Renewal.invoice_id == renewal.invoice_id,
        Renewal.settled_at.is_(None),
        Renewal.withdrawn_at.is_(None),
    )
    if not changed_rows(session, sa.update(Renewal).where(*open_one).values(settled_at=now)):
        return False
    extend = (
        sa.update(Subscription)
        .where(Subscription.id == renewal.subscription_id, Subscription.paid_until == renewal.starts_on)
        .values(paid_until=renewal.ends_on, ended_on=None)
    )
    if not changed_rows(session, extend):
        raise Conflict(
            "The contract is no longer paid until the day on which this renewal begins; nothing was booked."
        )
    return True


def withdraw(session: Session, renewal: Renewal, *, now: datetime) -> None:
    """Take back what was asked for and not paid."""
    billing.cancel_invoice(session, renewal.invoice)
    session.execute(
        sa.update(Renewal)
        .where(Renewal.invoice_id == renewal.invoice_id, Renewal.settled_at.is_(None))
        .values(withdrawn_at=now)
    )


def withdraw_open(session: Session, contract: Subscription, *, now: datetime) -> None:
    """Take back what a contract is still asked for, as when it ends by a refund."""
    living = queries.open_renewal(session, contract.id)
    if living is not None:
        withdraw(session, living, now=now)


def record_steps(
    session: Session, contracts: Sequence[Any], kind: StepKind, day: int, *, now: datetime
) -> int:
    """Note that a step was taken about contracts (rows of `queries`), and tell the customers.

    Returns for how many it was the first time.
    """
    rows = [
        {
            "subscription_id": row.id,
            "paid_until": row.paid_until,
            "kind": kind,
            "day": day,
            "invoice_id": row.invoice_id,
            "done_at": now,
        }
        for row in contracts
    ]
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(DunningStep).on_conflict_do_nothing().returning(DunningStep.id)
    noted = session.scalars(statement, rows).all() if rows else []
    tell_steps(session, noted, kind, now=now)
    return len(noted)


def hold(
    session: Session, contract: Subscription, *, until: date, reason: str, actor: Actor, now: datetime
) -> None:
    """Leave a contract in peace until a day; a hold that stands is replaced."""
    row = session.get(SubscriptionHold, contract.id) or SubscriptionHold(subscription_id=contract.id)
    row.until, row.reason, row.since, row.actor = until, reason, now, actor.name
    session.add(row)
    session.flush()


def end_hold(session: Session, contract: Subscription) -> bool:
    """Let steps be taken again at once; False when nothing was held."""
    which = sa.delete(SubscriptionHold).where(SubscriptionHold.subscription_id == contract.id)
    return bool(changed_rows(session, which))
