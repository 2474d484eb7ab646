"""Which contracts something is due for. Each question is one statement, and the preview asks the same ones as the run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.billing import ledger
from domus.billing.models import Invoice, InvoiceState, LedgerEntry, Subscription
from domus.catalog.models import Price
from domus.gateways.models import AttemptKind, AttemptState, PaymentAttempt, SavedMethod
from domus.inventory.models import Dom0, Dom0State
from domus.renewals import dunning
from domus.renewals.dunning import Terms, Window
from domus.renewals.models import DunningStep, Renewal, RenewalTerms, StepKind, SubscriptionHold
from domus.renewals.prices import Group, PriceList, as_terms
from domus.vps.models import Suspension, SuspensionReason, Vps, VpsState
from domus.vps.services import REMOVAL_MARGIN

#: What every question gives of a contract.
_CONTRACT = (
    Subscription.id,
    Subscription.account_id,
    Subscription.price_id,
    Subscription.anchor_day,
    Subscription.paid_until,
    Vps.id.label("vps_id"),
    Vps.hostname,
)
Question = Any  # a SELECT of these columns, and for some questions of more


def to_invoice(group: Group, today: date) -> Question:
    """Ask for contracts whose next period is to be asked for."""
    asked = sa.exists().where(
        Renewal.subscription_id == Subscription.id,
        Renewal.starts_on == Subscription.paid_until,
        Renewal.withdrawn_at.is_(None),
    )
    lead = timedelta(days=group.terms.invoice_days)
    return _living(group).where(Subscription.paid_until <= today + lead, ~asked)


def to_pay_from_balance(prices: PriceList, now: datetime, *, suspended: bool) -> Question:
    """Ask for due renewals that the balance of their account covers; those of VPSs that run, or those of suspended ones.

    With the suspended ones come those that were ended because they were not paid, as long as a payment brings them back.
    What a customer opened earlier than the run would have, or for another period, is left for the customer to pay.
    Where one balance covers several of them but not all together, all are asked for.
    """
    prepaid = (
        sa.select(-sa.func.coalesce(sa.func.sum(LedgerEntry.amount_minor), 0))
        .where(
            LedgerEntry.ledger_account
            == sa.literal(ledger.balance(0)[:-1]) + sa.cast(Invoice.account_id, sa.String),
            LedgerEntry.currency == Invoice.currency,
        )
        .correlate(Invoice)
        .scalar_subquery()
    )
    stands = sa.and_(_is_active(), ~_suspended())
    if suspended:
        stands = sa.or_(sa.and_(_is_active(), _suspended()), _ended_and_kept(now))
    is_due = [
        sa.and_(
            Subscription.price_id.in_(group.price_ids),
            Subscription.paid_until <= now.date() + timedelta(days=group.terms.invoice_days),
        )
        for group in prices.groups
    ]
    return _open_renewals().where(
        stands,
        sa.or_(sa.false(), *is_due),
        _is_usual(prices),
        Invoice.gross_minor > 0,
        prepaid >= Invoice.gross_minor,
    )


def to_settle_free(now: datetime) -> Question:
    """Ask for open renewals that a coupon leaves nothing to pay of, as long as something is there to be renewed."""
    return _open_renewals().where(Invoice.gross_minor == 0, sa.or_(_is_active(), _ended_and_kept(now)))


def to_charge(prices: PriceList, today: date, *, days_before: int) -> Question:
    """Ask for open renewals that are due soon, or overdue, and whose account has a saved method to be charged.

    What a customer opened for another period is left for the customer to pay. Nobody's card is charged for a VPS whose
    dom0 is lost: an operator has to see to that first.
    """
    lost = sa.select(Dom0.id).where(Dom0.state == Dom0State.LOST)
    saved = sa.exists().where(SavedMethod.account_id == Invoice.account_id, SavedMethod.removed_at.is_(None))
    tried = sa.select(sa.func.count(PaymentAttempt.id)).where(*_failed_charge()).correlate(Invoice)
    last = sa.select(sa.func.max(PaymentAttempt.created_at)).where(*_failed_charge()).correlate(Invoice)
    return (
        _open_renewals()
        .where(
            _is_active(),
            Subscription.paid_until <= today + timedelta(days=days_before),
            _is_usual(prices),
            Invoice.gross_minor > 0,
            Vps.dom0_id.not_in(lost),
            saved,
        )
        .add_columns(tried.scalar_subquery().label("tries"), last.scalar_subquery().label("last_try_at"))
    )


def to_remind(group: Group, window: Window, today: date) -> Question:
    """Ask for contracts that a reminder is due for, or the last warning; with the invoice, where there is one."""
    question = _living(group).where(
        Subscription.paid_until <= window.latest, ~_step(window.kind, window.day), ~_held(today)
    )
    if window.earliest is not None:
        question = question.where(Subscription.paid_until >= window.earliest)
    return question.add_columns(_open_invoice().label("invoice_id"))


def to_suspend(group: Group, now: datetime) -> Question:
    """Ask for contracts so far overdue that their VPS is to be shut down, and whose customers were warned in time.

    One that was released by hand comes again, unless it is held.
    """
    today, terms = now.date(), group.terms
    return _living(group).where(
        Subscription.paid_until <= today - timedelta(days=terms.suspend_days),
        _step(StepKind.LAST_WARNING, 0, until=now - dunning.NOTICE),
        ~_suspended(),
        ~_held(today),
    )


def to_end(group: Group, now: datetime) -> Question:
    """Ask for contracts that were suspended as long as their terms say and are to be ended."""
    today, terms = now.date(), group.terms
    return _living(group).where(
        Subscription.paid_until <= today - timedelta(days=terms.end_days),
        _step(StepKind.SUSPENDED, 0),
        # The step is from the first time; since then it may have been released by hand and suspended again.
        _suspended(until=now - dunning.pause_before_end(terms)),
        ~_held(today),
    )


def to_end_as_cancelled(today: date) -> Question:
    """Ask for contracts that were cancelled for today or before and go on."""
    return (
        sa.select(*_CONTRACT)
        .select_from(Subscription)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .where(Subscription.cancel_on <= today, Subscription.ended_on.is_(None), _is_active())
    )


def to_close(now: datetime) -> Question:
    """Ask for renewals that nobody can pay any more, because the VPS is gone or being wiped."""
    is_gone = sa.or_(
        Vps.state == VpsState.REMOVED,
        sa.and_(Vps.state == VpsState.REMOVING, Vps.remove_not_before <= now),
    )
    return (
        sa.select(Renewal.invoice_id.label("id"), Subscription.id.label("subscription_id"))
        .select_from(Renewal)
        .join(Subscription, Subscription.id == Renewal.subscription_id)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .where(Renewal.settled_at.is_(None), Renewal.withdrawn_at.is_(None), is_gone)
    )


def chunk(
    question: Question, key: Any, *, after: int = 0, only: Sequence[int] | None = None, limit: int
) -> Question:
    """Return the next rows of a question in the order of their ids, or those of certain ids."""
    which = key > after if only is None else key.in_(only)
    return question.where(which).order_by(key).limit(limit)


def open_renewal(session: Session, subscription_id: int) -> Renewal | None:
    """Return the renewal of a contract that waits for its money, if any, with its invoice."""
    query = sa.select(Renewal).where(
        Renewal.subscription_id == subscription_id,
        Renewal.settled_at.is_(None),
        Renewal.withdrawn_at.is_(None),
    )
    return session.scalar(query.order_by(Renewal.starts_on).limit(1).options(joinedload(Renewal.invoice)))


def contract_of_vps(session: Session, vps: Vps) -> Subscription | None:
    """Return the contract behind a VPS with its price and product, or None while its order is not paid."""
    query = sa.select(Subscription).where(Subscription.order_id == vps.order_id)
    return session.scalar(query.options(joinedload(Subscription.price).joinedload(Price.product)))


def vps_of(session: Session, subscription_id: int) -> Vps | None:
    """Return the VPS behind a contract."""
    return session.scalar(
        sa.select(Vps)
        .join(Subscription, Subscription.order_id == Vps.order_id)
        .where(Subscription.id == subscription_id)
    )


def steps_of(session: Session, subscription_id: int, *, limit: int = 50) -> Sequence[DunningStep]:
    """Return what was done about a contract, the latest first."""
    query = sa.select(DunningStep).where(DunningStep.subscription_id == subscription_id)
    return session.scalars(query.order_by(DunningStep.id.desc()).limit(limit)).all()


def renewals_of(session: Session, subscription_id: int, *, limit: int = 50) -> Sequence[Renewal]:
    """Return the periods that a contract was renewed for, or was to be, the latest first."""
    query = sa.select(Renewal).where(Renewal.subscription_id == subscription_id)
    return session.scalars(
        query.order_by(Renewal.invoice_id.desc()).limit(limit).options(joinedload(Renewal.invoice))
    ).all()


def hold_of(session: Session, subscription_id: int) -> SubscriptionHold | None:
    """Return until when a contract is left in peace, also when that day has passed."""
    return session.get(SubscriptionHold, subscription_id)


def terms_of(session: Session, subscription: Subscription) -> Terms:
    """Return the days of a contract's product."""
    own = sa.select(RenewalTerms).join(Price, Price.product_id == RenewalTerms.product_id)
    row = session.scalar(own.where(Price.id == subscription.price_id))
    return Terms() if row is None else as_terms(row)


def step_at(session: Session, subscription: Subscription, kind: StepKind) -> datetime | None:
    """Return when a step was taken about the day until which a contract is paid now."""
    return session.scalar(
        sa.select(DunningStep.done_at).where(
            DunningStep.subscription_id == subscription.id,
            DunningStep.paid_until == subscription.paid_until,
            DunningStep.kind == kind,
        )
    )


def _living(group: Group) -> Question:
    """Ask for contracts of a group that go on, that nobody cancelled, and whose VPS was handed over."""
    return (
        sa.select(*_CONTRACT)
        .select_from(Subscription)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .where(
            Subscription.ended_on.is_(None),
            Subscription.cancel_on.is_(None),
            Subscription.price_id.in_(group.price_ids),
            _is_active(),
        )
    )


def _is_active() -> sa.ColumnElement[bool]:
    """Ask for VPSs that were handed over, in a form that no index answers: nearly all are, and the contracts are few."""
    return sa.func.coalesce(Vps.state, sa.null()) == VpsState.ACTIVE


def _open_renewals() -> Question:
    """Ask for renewals that wait for their money."""
    return (
        sa.select(
            Invoice.id,
            Renewal.subscription_id,
            Renewal.starts_on,
            Renewal.ends_on,
            Invoice.account_id,
            Invoice.company_id,
            Invoice.currency,
            Invoice.net_minor,
            Invoice.tax_minor,
            Invoice.gross_minor,
            Invoice.issued_at,
        )
        .select_from(Renewal)
        .join(Invoice, Invoice.id == Renewal.invoice_id)
        .join(Subscription, Subscription.id == Renewal.subscription_id)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .where(
            Renewal.settled_at.is_(None),
            Renewal.withdrawn_at.is_(None),
            Invoice.state == InvoiceState.OPEN,
            # Should another run have paid it a moment ago, this no longer holds of the row that is locked.
            Subscription.paid_until == Renewal.starts_on,
        )
    )


def _is_usual(prices: PriceList) -> sa.ColumnElement[bool]:
    """Ask for renewals of the period that a contract is renewed for unless somebody chooses another."""
    return sa.or_(Renewal.price_id == Subscription.price_id, Renewal.price_id.in_(prices.usual))


def _failed_charge() -> tuple[sa.ColumnElement[bool], ...]:
    return (
        PaymentAttempt.invoice_id == Invoice.id,
        PaymentAttempt.kind == AttemptKind.CHARGE,
        PaymentAttempt.state == AttemptState.FAILED,
    )


def _step(kind: StepKind, day: int, *, until: datetime | None = None) -> sa.ColumnElement[bool]:
    taken = sa.exists().where(
        DunningStep.subscription_id == Subscription.id,
        DunningStep.paid_until == Subscription.paid_until,
        DunningStep.kind == kind,
        DunningStep.day == day,
    )
    return taken if until is None else taken.where(DunningStep.done_at <= until)


def _suspended(*, until: datetime | None = None) -> sa.ColumnElement[bool]:
    stands = sa.exists().where(Suspension.vps_id == Vps.id, Suspension.reason == SuspensionReason.UNPAID)
    return stands if until is None else stands.where(Suspension.since <= until)


def _ended_and_kept(now: datetime) -> sa.ColumnElement[bool]:
    """Ask for VPSs whose contract ended unpaid and whose disk is still there for a while."""
    return sa.and_(
        Vps.state == VpsState.REMOVING,
        Vps.remove_not_before > now + REMOVAL_MARGIN,
        _step(StepKind.ENDED, 0),
    )


def _held(today: date) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        SubscriptionHold.subscription_id == Subscription.id, SubscriptionHold.until > today
    )


def _open_invoice() -> sa.ScalarSelect[int]:
    return (
        sa.select(Renewal.invoice_id)
        .where(
            Renewal.subscription_id == Subscription.id,
            Renewal.starts_on == Subscription.paid_until,
            Renewal.withdrawn_at.is_(None),
        )
        .limit(1)
        .correlate(Subscription)
        .scalar_subquery()
    )
