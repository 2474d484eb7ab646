"""Renewals of one contract: asked for, paid, and what follows from that for the VPS.

A payment extends the contract from the day until which it was paid, lifts ``unpaid`` and no other suspension, and calls a
removal back that has not begun to wipe.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing import services as billing
from domus.billing.models import Subscription
from domus.catalog.models import Price
from domus.catalog.queries import renewal_prices
from domus.core.errors import Conflict, InvalidInput, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State
from domus.provisioning import jobs, outbox
from domus.provisioning import services as provisioning
from domus.provisioning.models import JobKind
from domus.renewals import queries, services
from domus.renewals.models import Renewal
from domus.renewals.prices import offer_of
from domus.vps import queries as vps_queries
from domus.vps import services as vps_services
from domus.vps.models import Power, SuspensionReason, Vps, VpsState
from domus.workflows import suspensions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Locked:
    """A renewal with its contract and VPS, which nobody else changes until the transaction ends."""

    vps: Vps
    contract: Subscription
    renewal: Renewal


def ask(
    db: Database, *, vps_id: uuid.UUID, price_id: int | None = None, actor: Actor, now: datetime
) -> Renewal:
    """Open the renewal of a VPS's next period, or return the one that is open; early is as good as late.

    ``price_id`` chooses among what the contract can be renewed at. Raises Conflict when the contract has ended, InvalidInput
    for a price that is not among them.
    """
    with db.unit_of_work() as session:
        vps = vps_queries.lock(session, vps_id, actor=actor)
        contract = services.lock(session, vps)
        if contract is None or vps.state is not VpsState.ACTIVE or contract.ended_on is not None:
            raise Conflict("There is no contract of this VPS that could be renewed.")
        if contract.cancel_on is not None:
            raise Conflict("This contract was cancelled; take that back first, then it can be renewed.")
        price = _chosen(session, contract, price_id)
        renewal = services.ask(session, contract, vps, offer_of(price), now=now)
    return get(db, invoice_id=renewal.invoice_id, actor=actor)


def get(db: Database, *, invoice_id: int, actor: Actor) -> Renewal:
    """Return a renewal with its contract and invoice; raise NotFound for strangers, and for an invoice of another kind."""
    with db.reading() as session:
        query = sa.select(Renewal).where(Renewal.invoice_id == invoice_id)
        found = session.scalar(query.options(joinedload(Renewal.invoice), joinedload(Renewal.subscription)))
    if found is None:
        raise NotFound("There is no such renewal.")
    actor.require_account(found.subscription.account_id, what="renewal")
    return found


def pay_with_test_gateway(db: Database, *, invoice_id: int, actor: Actor, now: datetime) -> Renewal:
    """Pay with play money. Whether that is allowed here is the door's to know (`Settings.test_gateway`)."""
    reference = f"invoice:{invoice_id}"
    return _pay(db, invoice_id, gateway="test", reference=reference, reason="", actor=actor, now=now)


def mark_paid(db: Database, *, invoice_id: int, actor: Actor, reason: str = "", now: datetime) -> Renewal:
    """Book a renewal as paid by other means; operators only."""
    actor.require_operator()
    reference = f"invoice:{invoice_id}"
    return _pay(db, invoice_id, gateway="operator", reference=reference, reason=reason, actor=actor, now=now)


def lock(session: Session, invoice_id: int, actor: Actor) -> Locked:
    """Lock the VPS, the contract and the renewal of an invoice, in this order; raise NotFound when it renews nothing."""
    renewal = session.get(Renewal, invoice_id)
    vps = None if renewal is None else queries.vps_of(session, renewal.subscription_id)
    if renewal is None or vps is None:
        raise NotFound("There is no such renewal.")
    vps = vps_queries.lock(session, vps.id, actor=actor)
    contract = services.lock(session, vps)
    session.refresh(renewal)
    if contract is None:
        raise NotFound("There is no such renewal.")
    return Locked(vps, contract, renewal)


def lock_open(session: Session, invoice_id: int, *, now: datetime) -> Locked | None:
    """Lock what an invoice renews, for money that arrives; None when it renews nothing, or was settled or withdrawn.

    When nothing is left that the money could bring back, the renewal is withdrawn: the invoice is cancelled from here on.
    """
    if session.get(Renewal, invoice_id) is None:
        return None
    locked = lock(session, invoice_id, Actor.system("payments"))
    if locked.renewal.settled_at is not None or locked.renewal.withdrawn_at is not None:
        return None
    if is_too_late(locked.vps, now=now):
        services.withdraw(session, locked.renewal, now=now)
        return None
    return locked


def settle(
    session: Session,
    locked: Locked,
    *,
    gateway: str,
    reference: str,
    amount: Money,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> bool:
    """Book a payment of a locked renewal with all that follows; False, and nothing changes, when it was booked already.

    Raises Conflict, and books nothing, when the VPS is being wiped by now, and in all cases in which `billing.settle` does.
    """
    renewal, vps = locked.renewal, locked.vps
    if renewal.settled_at is None and is_too_late(vps, now=now):
        raise Conflict("This VPS is removed, or is being wiped at this moment; nothing was booked.")
    invoice = renewal.invoice
    billing.settle(
        session, invoice, gateway=gateway, reference=reference, amount=amount, actor=actor, now=now
    )
    if not begin(session, locked, reason=reason, actor=actor, now=now):
        log.info("the payment %s of invoice %s came again; nothing to do", reference, invoice)
        return False
    return True


def begin(session: Session, locked: Locked, *, reason: str = "", actor: Actor, now: datetime) -> bool:
    """Set going what follows from a renewal's invoice being settled; False when that was done already."""
    renewal, vps = locked.renewal, locked.vps
    if not services.settle(session, renewal, now=now):
        return False
    note = reason or f"paid until {renewal.ends_on:%Y-%m-%d}"
    _bring_back(session, vps, note=note, actor=actor, now=now)
    audit.record(
        session, actor=actor, action="renewal.paid", object_type="vps", object_id=vps.id,
        account_id=vps.account_id, reason=reason, now=now,
        details={"invoice": renewal.invoice_id, "paid_until": f"{renewal.ends_on:%Y-%m-%d}"},
    )  # fmt: skip
    if session.get_one(Dom0, vps.dom0_id).state is Dom0State.LOST:
        # The money is the customer's wish to have it; that nothing can be started, an operator has to see.
        log.warning("invoice %s was paid for %s, whose dom0 is lost", renewal.invoice_id, vps.name)
        audit.record(
            session, actor=actor, action="renewal.paid_for_lost", object_type="vps", object_id=vps.id,
            account_id=vps.account_id, reason="its dom0 is lost", now=now,
            details={"invoice": renewal.invoice_id},
        )  # fmt: skip
    return True


def is_too_late(vps: Vps, *, now: datetime) -> bool:
    """Tell whether nothing is left that a payment could bring back."""
    if vps.state is VpsState.ACTIVE:
        return False
    due = vps.remove_not_before
    return vps.state is not VpsState.REMOVING or due is None or now >= due - vps_services.REMOVAL_MARGIN


def _pay(
    db: Database, invoice_id: int, *, gateway: str, reference: str, reason: str, actor: Actor, now: datetime
) -> Renewal:
    with db.unit_of_work() as session:
        locked = lock(session, invoice_id, actor)
        settle(
            session, locked, gateway=gateway, reference=reference, amount=locked.renewal.invoice.gross,
            reason=reason, actor=actor, now=now,
        )  # fmt: skip
    return get(db, invoice_id=invoice_id, actor=actor)


def _chosen(session: Session, contract: Subscription, price_id: int | None) -> Price:
    ordered = session.get_one(Price, contract.price_id, options=[joinedload(Price.product)])
    offered: Sequence[Price] = renewal_prices(session, ordered)
    if price_id is not None:
        chosen = next((price for price in offered if price.id == price_id), None)
        if chosen is None:
            raise InvalidInput("This VPS cannot be renewed at that price.", field="price_id")
        return chosen
    same = [price for price in offered if price.period_text == ordered.period_text]
    return (same or list(offered))[0]


def _bring_back(session: Session, vps: Vps, *, note: str, actor: Actor, now: datetime) -> None:
    """Let the VPS run again as far as money kept it from it, and tell Salt."""
    unpaid, tag = SuspensionReason.UNPAID, outbox.RENEWAL_PAID
    restored = _restore(session, vps, note=note, actor=actor, now=now)
    if suspensions.lift(session, vps, unpaid, note=note, actor=actor, now=now, tag=tag):
        return
    if restored is not None and vps.wanted_power is Power.RUNNING and not vps.suspensions:
        provisioning.ask_dom0(
            session, vps.id, JobKind.START, revision=restored, actor=actor, reason=note, now=now, tag=tag
        )
    else:
        provisioning.tell_vps_changed(session, vps.id, now=now, tag=tag)


def _restore(session: Session, vps: Vps, *, note: str, actor: Actor, now: datetime) -> int | None:
    """Call a removal back; return the new revision, or None when there was none."""
    if vps.state is not VpsState.REMOVING:
        return None
    vps_services.transition(session, vps.id, "restore", actor=actor, reason=note, now=now)
    jobs.cancel_all(session, vps.id, now=now)
    revision = vps_services.want_back(session, vps.id, actor=actor, reason=note, now=now)
    session.refresh(vps)
    return revision
