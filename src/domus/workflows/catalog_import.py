"""A catalogue file brought into the database: first what would be different, in words, and then all of it or nothing.

Things are known by their names (a pool by its network, a price by its period and currency). What the file does not name
stays as it is, and is told; what an entry does not say stays as it was. Nothing is ever deleted: ``active: false`` takes it
off sale.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.core.errors import Conflict, InvalidInput
from domus.db.engine import Database
from domus.db.locks import lock_name
from domus.inventory.models import IpPool, Location
from domus.mail.models import MailTemplate
from domus.workflows import catalog_export
from domus.workflows.catalog_entries import Entries
from domus.workflows.catalog_file import entries, named, parse

#: A catalogue of thousands of products is smaller; this much the panel takes in one form.
MAX_BYTES = 400_000


@dataclass(frozen=True, slots=True)
class Difference:
    """What a file would change, in words; what is not in it and stays; and the catalogue that this was said of."""

    changes: tuple[str, ...]
    kept: tuple[str, ...]
    fingerprint: str


class _UndoneError(Exception):
    """Ends a transaction that was only there to look what it would do."""

    def __init__(self, found: Difference) -> None:
        super().__init__()
        self.found = found


def difference(db: Database, *, text: str, actor: Actor, now: datetime) -> Difference:
    """Return what the file would change; nothing is. Raises InvalidInput that names the place of what is wrong in it.

    It is done, by the same code that does it for good, and undone.
    """
    try:
        with db.unit_of_work() as session:
            _look(session, text, actor=actor, now=now)
    except _UndoneError as undone:
        return undone.found
    except IntegrityError as error:
        raise _changed_meanwhile() from error


def bring_in(
    db: Database, *, text: str, fingerprint: str | None = None, actor: Actor, now: datetime
) -> Difference:
    """Make the catalogue as the file says, in one transaction, and return what was different.

    With the ``fingerprint`` of a difference that somebody agreed to: raises Conflict, and changes nothing, when the
    catalogue is another one by now.
    """
    try:
        with db.unit_of_work() as session:
            return _bring_in(session, text, expected=fingerprint, actor=actor, now=now)
    except IntegrityError as error:
        raise _changed_meanwhile() from error


def _look(session: Session, text: str, *, actor: Actor, now: datetime) -> NoReturn:
    raise _UndoneError(_bring_in(session, text, actor=actor, now=now))


def _bring_in(
    session: Session, text: str, *, expected: str | None = None, actor: Actor, now: datetime
) -> Difference:
    actor.require_operator()
    if len(text.encode()) > MAX_BYTES:
        raise InvalidInput(f"A catalogue file has at most {MAX_BYTES:,} bytes.", field="file")
    document = parse(text)
    _lock(session)
    fingerprint = hashlib.sha256(catalog_export.text_of(session).encode()).hexdigest()
    if expected is not None and expected != fingerprint:
        raise _changed_meanwhile()
    reader = Entries(session, actor, now)
    sections = reader.sections()
    unknown = sorted(set(document) - set(sections))
    if unknown:
        raise InvalidInput(
            f"{unknown[0]!r} is not a part of a catalogue; its parts are {', '.join(sections)}."
        )
    for section, write in sections.items():
        if section not in document:
            reader.kept.append(f"The file says nothing about {section.replace('_', ' ')}.")
        for entry, where in entries(document.get(section), section):
            with named(where):
                write(entry)
    changes, kept = tuple(reader.changes), (*reader.kept, *reader.not_named(document))
    if changes:
        audit.record(
            session, actor=actor, action="catalogue.imported", object_type="catalogue", object_id="",
            details={"changes": len(changes), "sha256": hashlib.sha256(text.encode()).hexdigest()}, now=now,
        )  # fmt: skip
    return Difference(changes, kept, fingerprint)


def _lock(session: Session) -> None:
    """Let nobody change what was read until the transaction ends, and only one file be brought in at a time."""
    lock_name(session, "catalogue")
    for model in (Location, IpPool, OsTemplate, Product, Price, Addon, MailTemplate):
        key: Any = model.__table__.c.id
        session.execute(sa.select(key).order_by(key).with_for_update(key_share=True))


def _changed_meanwhile() -> Conflict:
    return Conflict(
        "The catalogue was changed since this difference was shown; nothing was changed now. Look at it again."
    )
