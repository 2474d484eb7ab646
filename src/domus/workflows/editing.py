"""How an operator's editors save and delete: one way for everything that is edited by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.core.errors import Conflict
from domus.db.base import Base
from domus.db.engine import Database
from domus.db.rows import get_row, write_row

Row = TypeVar("Row", bound=Base)


def save(
    db: Database,
    model: type[Row],
    row_id: int | None,
    check: Callable[[Session], Any],
    *,
    what: str,
    created: Mapping[str, Any] | None = None,
    load: Callable[[Row], object] = str,
    actor: Actor,
    now: datetime,
) -> Row:
    """Check fields and write them into the row with the id, or into a new one, with an audit event of what changed.

    ``check`` returns the dataclass of columns as they are to be stored. ``created`` are columns that only a new row gets.
    ``load`` touches what the caller reads after the session is closed.
    """
    actor.require_operator()
    try:
        with db.unit_of_work() as session:
            fields = check(session)
            row = model(**(created or {})) if row_id is None else get_row(session, model, row_id, what=what)
            write(session, row, fields, what=what, is_new=row_id is None, actor=actor, now=now)
            load(row)
    except IntegrityError as error:
        raise Conflict(
            f"The {what} could not be saved: somebody changed it or took its name; look again."
        ) from error
    return row


def write(
    session: Session, row: Row, fields: Any, *, what: str, is_new: bool, actor: Actor, now: datetime
) -> dict[str, tuple[Any, Any]]:
    """Write checked fields (a dataclass of columns) into a row, with an audit event; return what changed, as (old, new)."""
    changed = write_row(row, dataclasses.asdict(fields))
    session.add(row)
    session.flush()
    if changed:
        _record(session, row, what, "created" if is_new else "changed", changed, actor, now)
    return changed


def delete(
    db: Database,
    model: type[Row],
    row_id: int,
    *,
    what: str,
    instead: str,
    first: Callable[[Session, Row], object] | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Delete a row that nothing refers to; raise Conflict, with what to do ``instead`` in words, when something does.

    The database's foreign keys know what refers to it. ``first`` removes what is a part of it.
    """
    actor.require_operator()
    try:
        with db.unit_of_work() as session:
            row = get_row(session, model, row_id, what=what)
            _record(session, row, what, "deleted", {"name": (str(row), None)}, actor, now)
            if first is not None:
                first(session, row)
            # Not session.delete(row), which would first cut loose what refers to it.
            session.execute(sa.delete(model).where(sa.inspect(model).primary_key[0] == row_id))
    except IntegrityError as error:
        raise Conflict(f"This {what} is in use and cannot be deleted; {instead}.") from error


def _record(
    session: Session,
    row: Any,
    what: str,
    action: str,
    changed: Mapping[str, tuple[Any, Any]],
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=f"{what}.{action}",
        object_type=what,
        object_id=row.id,
        details={name: [_plain(old), _plain(new)] for name, (old, new) in changed.items()},
        now=now,
    )


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | list) else str(value)
