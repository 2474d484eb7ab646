"""Events of gateways: stored once, claimed by one, finished or put off. Each function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.db.rows import changed_rows
from domus.gateways.interface import Event
from domus.gateways.models import EventState, GatewayEvent, GatewayRefusal

#: So long an event belongs to who claimed it. Looking something up takes seconds; a process that died takes for ever.
LEASE = timedelta(minutes=2)
#: After so many tries, spread over some three days, an operator has to look.
MAX_ATTEMPTS = 16
MAX_PAUSE = timedelta(hours=6)


def store(session: Session, gateway: str, event: Event, body: bytes, *, now: datetime) -> int | None:
    """Store an event and return its id, or None when it is there already: gateways repeat themselves."""
    statement = (
        _insert(session, GatewayEvent)
        .values(
            gateway=gateway,
            event_id=event.event_id,
            kind=event.kind,
            subject=event.subject,
            headers=dict(event.kept_headers),
            # PostgreSQL has no place for a NUL in a text, and JSON has no use for one.
            body=body.decode("utf-8", errors="replace").replace("\0", ""),
            received_at=now,
            state=EventState.WAITING,
            attempts=0,
            next_attempt_at=now,
            outcome="",
        )
        .on_conflict_do_nothing(index_elements=[GatewayEvent.gateway, GatewayEvent.event_id])
        .returning(GatewayEvent.id)
    )
    return session.scalar(statement)


def note_answer(session: Session, gateway: str, subject: str, *, kind: str, now: datetime) -> None:
    """Note what a gateway answered when we asked, as the event that it did not have to send any more."""
    event = Event(event_id=f"{kind}:{subject}", kind=kind, subject=subject)
    event_id = store(session, gateway, event, b"", now=now)
    if event_id is not None:
        finish(session, event_id, EventState.DONE, "asked by ourselves", now=now)


def due(session: Session, *, now: datetime, limit: int) -> Sequence[int]:
    """Return the ids of events to be processed now, the oldest first."""
    query = (
        sa.select(GatewayEvent.id)
        .where(GatewayEvent.state == EventState.WAITING, GatewayEvent.next_attempt_at <= now)
        .order_by(GatewayEvent.next_attempt_at, GatewayEvent.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def claim(session: Session, event_id: int, *, now: datetime) -> GatewayEvent | None:
    """Take an event for the time of the lease; None when it is done, not due, or somebody else's."""
    taken = changed_rows(
        session,
        sa.update(GatewayEvent)
        .where(
            GatewayEvent.id == event_id,
            GatewayEvent.state == EventState.WAITING,
            GatewayEvent.next_attempt_at <= now,
        )
        .values(attempts=GatewayEvent.attempts + 1, next_attempt_at=now + LEASE),
    )
    return session.get(GatewayEvent, event_id, populate_existing=True) if taken else None


def finish(session: Session, event_id: int, state: EventState, outcome: str, *, now: datetime) -> None:
    """Say what became of an event, once."""
    session.execute(
        sa.update(GatewayEvent)
        .where(GatewayEvent.id == event_id, GatewayEvent.state == EventState.WAITING)
        .values(state=state, outcome=outcome[:500], done_at=now)
    )


def put_off(session: Session, event: GatewayEvent, why: str, *, now: datetime) -> None:
    """Try an event again later; when it was tried too often, an operator has to look."""
    if event.attempts >= MAX_ATTEMPTS:
        finish(session, event.id, EventState.ATTENTION, f"tried {event.attempts} times: {why}", now=now)
        return
    session.execute(
        sa.update(GatewayEvent)
        .where(GatewayEvent.id == event.id, GatewayEvent.state == EventState.WAITING)
        .values(next_attempt_at=now + pause_after(event.attempts), outcome=why[:500])
    )


def again(session: Session, event_id: int, *, now: datetime) -> bool:
    """Let an event be processed anew, whatever became of it; False when it waits anyway."""
    return bool(
        changed_rows(
            session,
            sa.update(GatewayEvent)
            .where(GatewayEvent.id == event_id, GatewayEvent.state != EventState.WAITING)
            .values(state=EventState.WAITING, attempts=0, next_attempt_at=now, done_at=None),
        )
    )


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many tries: half a minute, doubled each time, six hours at most."""
    return min(timedelta(seconds=30) * (1 << min(max(attempts - 1, 0), 20)), MAX_PAUSE)


def note_refusal(session: Session, gateway: str, reason: str, *, sender: str, now: datetime) -> None:
    """Count a delivery that was turned away."""
    first = _insert(session, GatewayRefusal).values(
        gateway=gateway, day=now.date(), reason=reason[:200], count=1, last_at=now, last_from=sender[:64]
    )
    changes: Mapping[str, object] = {
        "count": GatewayRefusal.count + 1,
        "last_at": now,
        "last_from": sender[:64],
    }
    session.execute(
        first.on_conflict_do_update(
            index_elements=[GatewayRefusal.gateway, GatewayRefusal.day, GatewayRefusal.reason],
            set_=dict(changes),
        )
    )


def _insert(session: Session, model: type[GatewayEvent] | type[GatewayRefusal]) -> postgresql.Insert:
    """Return an INSERT that knows conflicts; the two dialects write it alike."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(model) if is_postgresql else sqlite.insert(model)  # type: ignore[return-value]
