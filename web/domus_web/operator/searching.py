"""Searches that an index answers: by the beginning of a text, or by a value as a whole."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from domus.inventory.models import Dom0, Dom0State
from domus.vps.models import Vps, VpsState

#: The last code point: no text that begins like another sorts behind that one with this appended.
_LAST = "\U0010ffff"
#: Larger numbers are no key of ours, and PostgreSQL refuses them as a bigint.
_MAX_KEY = 2**63 - 1

#: Written out and not as a parameter: only so do the databases see that the index of these rows answers it.
HAS_PROBLEM: sa.ColumnElement[bool] = Vps.problem != sa.literal_column("''")


def on_lost_dom0() -> sa.ColumnElement[bool]:
    """Ask for VPSs that are paid for and whose dom0 is gone for good."""
    lost = sa.select(Dom0.id).where(Dom0.state == Dom0State.LOST)
    return sa.and_(Vps.state == VpsState.ACTIVE, Vps.dom0_id.in_(lost))


def begins_with(session: Session, column: InstrumentedAttribute[str], text: str) -> sa.ColumnElement[bool]:
    """Return the condition that *column* begins with *text*, in the form that this database has an index for."""
    if session.get_bind().dialect.name == "postgresql":
        return column.startswith(text, autoescape=True)
    return sa.and_(column >= text, column < text + _LAST)


def parse_uuid(text: str) -> uuid.UUID | None:
    """Return *text* as a uuid, or None when it is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def parse_number(text: str) -> int | None:
    """Return *text* as a whole number that can be a key, or None when it is none."""
    cleaned = text.strip().lstrip("#")
    if not cleaned.isascii() or not cleaned.isdecimal() or len(cleaned) > 19 or int(cleaned) > _MAX_KEY:
        return None
    return int(cleaned)


def parse_address(text: str) -> str | None:
    """Return *text* as the database writes an address, or None when it is none."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None


def parse_key(column: InstrumentedAttribute[Any], text: str) -> Any:
    """Return *text* as a value of a primary key, or None when it cannot be one."""
    if isinstance(column.type, sa.Uuid):
        return parse_uuid(text)
    if isinstance(column.type, sa.Integer):
        return parse_number(text)
    return text
