"""The tail of a VPS's console, fetched from its dom0 when somebody looks."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.core.errors import Conflict
from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.provisioning import services as provisioning
from domus.vps import queries
from domus.vps.models import ConsoleTail, Vps
from domus.vps.states import ON_DOM0

log = logging.getLogger(__name__)

#: However often a page is loaded, the dom0 is asked no more often than this.
ASK_AGAIN = timedelta(seconds=5)

MAX_LINES = 200
MAX_CHARACTERS = 40_000


def ask(db: Database, *, vps_id: uuid.UUID, actor: Actor, now: datetime) -> ConsoleTail:
    """Return what was fetched last, and have it fetched anew; raise NotFound for strangers."""
    with db.unit_of_work() as session:
        vps = queries.lock(session, vps_id, actor=actor)
        if vps.state not in ON_DOM0:
            raise Conflict(f"The VPS is {vps.state.value}; there is no console to look at.")
        tail = session.get(ConsoleTail, vps_id)
        if tail is None:
            tail = ConsoleTail(vps_id=vps_id, text="", problem="")
            session.add(tail)
        if tail.asked_at is None or tail.asked_at <= now - ASK_AGAIN:
            tail.asked_at = now
            provisioning.tell_console_wanted(session, vps_id, now=now)
    return tail


def store(
    db: Database,
    *,
    minion_id: str,
    vps_id: uuid.UUID,
    lines: Sequence[str] | None,
    problem: str,
    now: datetime,
) -> None:
    """Keep what a dom0 returned (``lines`` None: it could not, and says why).

    Only the VPS's own dom0 is heard.
    """
    with db.unit_of_work() as session:
        own = sa.select(Vps.id).join(Dom0, Dom0.id == Vps.dom0_id)
        if session.scalar(own.where(Vps.id == vps_id, Dom0.minion_id == minion_id)) is None:
            log.warning("%s sent a console of VPS %s, which is not on it; ignored", minion_id, vps_id)
            return
        tail = session.get(ConsoleTail, vps_id)
        if tail is None:
            tail = ConsoleTail(vps_id=vps_id, text="")
            session.add(tail)
        if lines is not None:
            tail.text = _plain("\n".join(str(line) for line in lines[-MAX_LINES:]))[-MAX_CHARACTERS:]
            tail.fetched_at = now
        tail.problem = _plain(problem)[:500]


def _plain(text: str) -> str:
    """Return text that can be shown and kept: a guest can write anything on its console."""
    kept = "".join(character for character in text if character in "\n\t" or character.isprintable())
    return kept.encode("utf-8", "replace").decode()
