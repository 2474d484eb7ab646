"""Saved cards: saving one, charging it while nobody is there, forgetting it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing import receiving
from domus.billing.models import InvoiceState
from domus.core.errors import DomusError, InvalidInput, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways import attempts
from domus.gateways.interface import (
    Bill,
    Charges,
    Declined,
    GatewayUnavailable,
    Method,
    Paid,
    Pending,
    Redirect,
)
from domus.gateways.models import AttemptKind, AttemptState, PaymentAttempt, SavedMethod
from domus.gateways.registry import Gateways
from domus.workflows.payments import booking
from domus.workflows.payments.asking import Urls, ask, book_answer, load_invoice, make_bill

log = logging.getLogger(__name__)

#: A charge that was begun less long ago may still be on its way to the gateway.
UNDER_WAY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """What became of charging an invoice to a saved method."""

    paid: bool = False
    pending: bool = False
    """The gateway decides later; an event will say how. Do not charge again meanwhile."""
    problem: str = ""
    """Why not, for people; empty when it was paid."""
    needs_customer: bool = False
    """The customer has to pay by hand: the bank wants them to confirm, or there is nothing that could be charged."""


def begin_saving(
    db: Database, gateways: Gateways, *, account_id: int, gateway: str, currency: str, actor: Actor,
    now: datetime, urls: Urls,
) -> Redirect:  # fmt: skip
    """Begin to save a card without paying anything."""
    actor.require_account(account_id, what="account")
    chosen = gateways.get(gateway)
    if not isinstance(chosen, Charges):
        raise NotFound("This way to pay cannot be saved.")
    with db.unit_of_work() as session:
        attempts.refuse_too_many(session, account_id, now=now)
        row = attempts.open_attempt(
            session, account_id=account_id, invoice_id=None, gateway=gateway, kind=AttemptKind.SAVE,
            amount=Money.zero(currency), now=now,
        )  # fmt: skip
        bill = make_bill(session, row, None, urls=urls, keep_method=True)
    answer = ask(db, row, lambda: chosen.begin_saving(bill), now=now)
    with db.unit_of_work() as session:
        session.get_one(PaymentAttempt, row.id).reference = answer.reference
    return answer


def charge(
    db: Database,
    gateways: Gateways,
    *,
    account_id: int,
    invoice_id: int,
    actor: Actor,
    now: datetime,
    method_id: int | None = None,
) -> Charged:
    """Charge an open invoice to the account's newest saved method, or a given one: whatever the balance does not cover.

    For renewal runs, and for customers who press the button. Two at once, or one that died before it heard the answer,
    charge once: a charge that is open is asked about, never repeated under another key. Nothing is raised for what a card or
    gateway does; the answer says it.
    """
    found = _charge_under_way(db, invoice_id)
    if found is None:
        opened = _open_charge(db, gateways, account_id, invoice_id, method_id, actor=actor, now=now)
        if isinstance(opened, Charged):
            return opened
        row, bill = opened
    else:
        if now - found.created_at < UNDER_WAY:
            return Charged(pending=True, problem="It is being charged at this moment.")
        row, bill = found, None
    gateway = gateways.find(row.gateway)
    if not isinstance(gateway, Charges) or row.method is None:
        return Charged(pending=True, problem=f"The gateway {row.gateway} is switched off here.")
    method = Method(customer=row.method.customer, method=row.method.method)
    try:
        if bill is None:
            answer = gateway.find(method, row.id, since=row.created_at) or Declined(
                attempt_id=row.id, reason="The gateway never heard of it."
            )
        else:
            answer = gateway.charge(method, bill)
    except InvalidInput as error:
        # The gateway knows the card or customer no more.
        answer = Declined(attempt_id=row.id, reason=str(error))
    except GatewayUnavailable as error:
        # The attempt stays open: it may have been charged, and is asked about next time.
        return Charged(pending=True, problem=str(error))
    return _charged(db, row, answer, actor=actor, now=now)


def methods(db: Database, *, account_id: int, actor: Actor) -> Sequence[SavedMethod]:
    """Return the saved methods of an account; the first is the one that renewals are charged to."""
    actor.require_account(account_id, what="account")
    with db.reading() as session:
        return attempts.methods_of(session, account_id)


def remove_method(
    db: Database, gateways: Gateways, *, method_id: int, actor: Actor, now: datetime
) -> SavedMethod:
    """Forget a saved method, here at once and then at the gateway."""
    with db.unit_of_work() as session:
        row = session.get(SavedMethod, method_id, with_for_update=True)
        if row is None:
            raise NotFound("There is no such saved card.")
        actor.require_account(row.account_id, what="saved card")
        if row.removed_at is not None:
            return row
        row.removed_at = now
        audit.record(
            session, actor=actor, action="method.removed", object_type="account", object_id=row.account_id,
            account_id=row.account_id, details={"label": row.label}, now=now,
        )  # fmt: skip
    gateway = gateways.find(row.gateway)
    if isinstance(gateway, Charges):
        try:
            gateway.forget(Method(customer=row.customer, method=row.method))
        except DomusError as error:
            # It is never charged again from here, which is what was asked for.
            log.warning("the gateway %s still keeps the method %s: %s", row.gateway, row.id, error)
    return row


def _charge_under_way(db: Database, invoice_id: int) -> PaymentAttempt | None:
    query = sa.select(PaymentAttempt).where(
        PaymentAttempt.invoice_id == invoice_id,
        PaymentAttempt.kind == AttemptKind.CHARGE,
        PaymentAttempt.state == AttemptState.OPEN,
    )
    with db.reading() as session:
        return session.scalar(query.options(joinedload(PaymentAttempt.method)))


def _open_charge(
    db: Database,
    gateways: Gateways,
    account_id: int,
    invoice_id: int,
    method_id: int | None,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[PaymentAttempt, Bill] | Charged:
    try:
        with db.unit_of_work() as session:
            invoice = load_invoice(session, invoice_id, actor)
            if invoice.account_id != account_id:
                raise NotFound("There is no such invoice.")
            if invoice.state is InvoiceState.PAID:
                return Charged(paid=True)
            if invoice.state is InvoiceState.CANCELLED:
                return Charged(problem="The invoice was cancelled.")
            if booking.pay_invoice_from_balance(session, invoice_id, actor=actor, now=now):
                return Charged(paid=True)
            method = _method_to_charge(session, gateways, account_id, method_id, now=now)
            if method is None:
                return Charged(problem="No saved card can be charged.", needs_customer=True)
            amount = receiving.to_pay(session, invoice)
            obstacle = gateways.get(method.gateway).obstacle(amount)
            if obstacle:
                return Charged(problem=obstacle, needs_customer=True)
            if not actor.is_operator:
                attempts.refuse_too_many(session, account_id, now=now, kinds=tuple(AttemptKind))
            row = attempts.open_attempt(
                session, account_id=account_id, invoice_id=invoice_id, gateway=method.gateway,
                kind=AttemptKind.CHARGE, amount=amount, method_id=method.id, now=now,
            )  # fmt: skip
            row.method = method
            return row, make_bill(session, row, invoice, urls=lambda _attempt_id: ("", ""))
    except IntegrityError:
        return Charged(pending=True, problem="It is being charged by somebody else at this moment.")


def _method_to_charge(
    session: Session, gateways: Gateways, account_id: int, method_id: int | None, *, now: datetime
) -> SavedMethod | None:
    for method in attempts.methods_of(session, account_id):
        lives = method.valid_until is None or method.valid_until >= now.date()
        if method_id in (None, method.id) and lives and isinstance(gateways.find(method.gateway), Charges):
            return method
    return None


def _charged(
    db: Database, row: PaymentAttempt, answer: Paid | Pending | Declined, *, actor: Actor, now: datetime
) -> Charged:
    if isinstance(answer, Paid):
        book_answer(db, row.gateway, answer, actor=actor, now=now)
        return Charged(paid=True)
    booking.book(db, row.gateway, answer, actor=actor, now=now)
    if isinstance(answer, Pending):
        return Charged(pending=True, problem="The gateway has not decided yet.")
    if answer.method_is_dead and row.method_id is not None:
        with db.unit_of_work() as session:
            session.get_one(SavedMethod, row.method_id).removed_at = now
    return Charged(problem=answer.reason, needs_customer=answer.needs_customer or answer.method_is_dead)
