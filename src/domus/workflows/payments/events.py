"""What gateways deliver: checked, stored, answered; and processed afterwards, from the gateway's present word."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import joinedload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing.models import InvoiceState
from domus.core.errors import Conflict, DomusError, InvalidInput, NotFound
from domus.db.engine import Database
from domus.gateways import attempts, events
from domus.gateways.interface import (
    Captures,
    Charges,
    Declined,
    Delivery,
    DeliveryRefused,
    Event,
    Fact,
    Gateway,
    GatewayUnavailable,
    Listens,
    Method,
    Paid,
    Pending,
)
from domus.gateways.models import AttemptKind, AttemptState, EventState, GatewayEvent, PaymentAttempt
from domus.gateways.registry import Gateways
from domus.workflows.payments import booking, givenback
from domus.workflows.payments.booking import NotYet

__all__ = ["Worked", "accept", "look_at", "process", "repeat", "work"]

log = logging.getLogger(__name__)

#: No gateway's event comes near.
MAX_DELIVERY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What one round of ``work`` did."""

    events: int = 0
    refunds: int = 0
    attempts: int = 0
    failed: int = 0


def accept(
    db: Database, gateways: Gateways, name: str, delivery: Delivery, *, sender: str, now: datetime
) -> int | None:
    """Store an event of a gateway; return its id, or None when we have it already.

    Raises DeliveryRefused unless the gateway made it, which is counted for the operator; and NotFound for a gateway that
    sends nothing here.
    """
    gateway = gateways.find(name)
    if not isinstance(gateway, Listens):
        raise NotFound("No gateway of that name sends anything here.")
    try:
        event = _verified(gateway, delivery, now=now)
    except DeliveryRefused as error:
        log.warning("a delivery for %s from %s was refused: %s", name, sender, error)
        with db.unit_of_work() as session:
            events.note_refusal(session, name, str(error), sender=sender, now=now)
        raise
    with db.unit_of_work() as session:
        return events.store(session, name, event, delivery.body, now=now)


def process(db: Database, gateways: Gateways, event_id: int, *, now: datetime) -> str:
    """Look up what an event is about and book it; return what came of it. Nothing is done twice, whoever else tries."""
    with db.unit_of_work() as session:
        event = events.claim(session, event_id, now=now)
    if event is None:
        return "somebody else does it, or it is done"
    try:
        state, outcome = _booked(db, gateways, event, now=now)
    except (GatewayUnavailable, NotYet) as error:
        with db.unit_of_work() as session:
            events.put_off(session, event, str(error), now=now)
        return str(error)
    except (Conflict, InvalidInput, NotFound) as error:
        state, outcome = EventState.ATTENTION, str(error)
        log.warning("the event %s needs an operator: %s", event, error)
    except Exception as error:
        with db.unit_of_work() as session:
            events.put_off(session, event, f"unexpected {type(error).__name__}", now=now)
        raise
    with db.unit_of_work() as session:
        events.finish(session, event_id, state, outcome, now=now)
    return outcome


def repeat(db: Database, *, event_id: int, actor: Actor, reason: str, now: datetime) -> None:
    """Let an event be processed anew, for instance after what it belongs to was put right; operators only."""
    actor.require_operator()
    with db.unit_of_work() as session:
        if session.get(GatewayEvent, event_id) is None:
            raise NotFound("There is no such event.")
        if not events.again(session, event_id, now=now):
            raise Conflict("This event waits to be processed anyway.")
        audit.record(
            session, actor=actor, action="gateway_event.repeated", object_type="gateway_event",
            object_id=event_id, reason=reason, now=now,
        )  # fmt: skip


def look_at(db: Database, gateways: Gateways, attempt_id: uuid.UUID, *, now: datetime) -> str:
    """Ask the gateway how an attempt stands, and book it: the event may come later than the customer, or never."""
    with db.reading() as session:
        attempt = session.get(PaymentAttempt, attempt_id, options=[joinedload(PaymentAttempt.method)])
    if attempt is None:
        raise NotFound("There is no such payment.")
    gateway = gateways.find(attempt.gateway)
    facts = _captured(db, gateway, _ask(gateway, attempt))
    outcome = ""
    _note_answers(db, attempt.gateway, facts, now=now)
    for fact in facts:
        outcome = booking.book(db, attempt.gateway, fact, actor=Actor.system(attempt.gateway), now=now)
    return outcome


def work(db: Database, gateways: Gateways, *, now: datetime, limit: int = 100) -> Worked:
    """Do what is due: events that wait, refunds that gateways are to be asked for, attempts that nobody heard of.

    Any number may do it at once. What fails is tried again later; one that fails keeps no other.
    """
    givenback.ask_for_booked(db, gateways, now=now)
    with db.reading() as session:
        event_ids = events.due(session, now=now, limit=limit)
        refund_ids = givenback.due(session, now=now, limit=limit)
        attempt_ids = attempts.due(session, now=now, limit=limit)
    failed = sum(
        (
            _all(event_ids, lambda event_id: process(db, gateways, event_id, now=now)),
            _all(refund_ids, lambda refund_id: givenback.carry_out(db, gateways, refund_id, now=now)),
            _all(attempt_ids, lambda attempt_id: _look_at_due(db, gateways, attempt_id, now=now)),
        )
    )
    return Worked(events=len(event_ids), refunds=len(refund_ids), attempts=len(attempt_ids), failed=failed)


def _note_answers(db: Database, gateway: str, facts: Iterable[Fact], *, now: datetime) -> None:
    """Note the payments that a gateway told of when it was asked, so that each booked one has been spoken of."""
    for fact in facts:
        if isinstance(fact, Paid) and fact.attempt_id is not None:
            with db.unit_of_work() as session:
                events.note_answer(session, gateway, fact.reference, kind="asked", now=now)


def _verified(gateway: Listens, delivery: Delivery, *, now: datetime) -> Event:
    if len(delivery.body) > MAX_DELIVERY_BYTES:
        raise DeliveryRefused(f"At most {MAX_DELIVERY_BYTES} bytes are taken.")
    return gateway.verify(delivery, now=now)


def _all(ids: Iterable[object], act: Callable[..., object]) -> int:
    """Do each; return how many failed."""
    failed = 0
    for one in ids:
        try:
            act(one)
        except (DomusError, SQLAlchemyError) as error:
            log.warning("%s was not done and is tried again later: %s", one, error)
            failed += 1
        except Exception:
            # An answer that nobody foresaw must not keep the others waiting.
            log.exception("%s was not done and is tried again later", one)
            failed += 1
    return failed


def _look_at_due(db: Database, gateways: Gateways, attempt_id: uuid.UUID, *, now: datetime) -> None:
    try:
        look_at(db, gateways, attempt_id, now=now)
    finally:
        with db.unit_of_work() as session:
            attempts.look_later(session, attempt_id, now=now)


def _booked(
    db: Database, gateways: Gateways, event: GatewayEvent, *, now: datetime
) -> tuple[EventState, str]:
    if not event.subject:
        return EventState.IGNORED, "nothing of ours follows from it"
    gateway = gateways.find(event.gateway)
    if not isinstance(gateway, Listens):
        raise GatewayUnavailable(f"The gateway {event.gateway} is switched off here.")
    actor = Actor.system(event.gateway)
    facts = _captured(db, gateway, gateway.look_up(event.subject))
    _note_answers(
        db,
        event.gateway,
        [fact for fact in facts if getattr(fact, "reference", "") != event.subject],
        now=now,
    )
    outcomes = [booking.book(db, event.gateway, fact, actor=actor, now=now) for fact in facts]
    said = "; ".join(outcome for outcome in outcomes if outcome)
    if not said:
        return EventState.IGNORED, "it concerns nothing of ours"
    return EventState.DONE, said


def _captured(db: Database, gateway: Gateway | None, facts: Iterable[Fact]) -> list[Fact]:
    """Have the gateway take what customers have agreed to, while it is still wanted; return how all stands then."""
    known: list[Fact] = []
    for fact in facts:
        if not isinstance(fact, Pending) or not fact.to_capture or not isinstance(gateway, Captures):
            known.append(fact)
            continue
        with db.reading() as session:
            attempt = session.get(
                PaymentAttempt, fact.attempt_id, options=[joinedload(PaymentAttempt.invoice)]
            )
        if attempt is None or attempt.gateway != gateway.name:
            raise Conflict(f"The attempt {fact.attempt_id} is not in our books; nothing was captured.")
        if attempt.invoice is None or attempt.invoice.state is not InvoiceState.OPEN:
            known.append(Declined(attempt_id=attempt.id, reason="Nothing is due for the invoice any more."))
        else:
            known.extend(gateway.capture(fact.to_capture))
    return known


def _ask(gateway: Gateway | None, attempt: PaymentAttempt) -> list[Fact]:
    if attempt.state is AttemptState.DONE:
        return []
    if attempt.kind is AttemptKind.CHARGE and attempt.method is not None:
        if not isinstance(gateway, Charges):
            raise GatewayUnavailable(f"The gateway {attempt.gateway} is switched off here.")
        method = Method(customer=attempt.method.customer, method=attempt.method.method)
        found = gateway.find(method, attempt.id, since=attempt.created_at)
        return [found or Declined(attempt_id=attempt.id, reason="The gateway never heard of it.")]
    if not attempt.reference:
        return [Pending(attempt_id=attempt.id)]
    if not isinstance(gateway, Listens):
        raise GatewayUnavailable(f"The gateway {attempt.gateway} is switched off here.")
    return list(gateway.look_up(attempt.reference))
