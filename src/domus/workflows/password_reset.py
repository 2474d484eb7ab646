"""A new password by mail: who can read the mails of the address may choose one.

Whether there is a user of an address, nobody learns: the answer is the same, and a mail goes only to those whom there are.
The token is made when the mail is sent, so that it stands in the mail alone; the database has its hash.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit, passwords, services, sessions, throttle
from domus.accounts.actor import Actor
from domus.accounts.models import PasswordReset, User
from domus.core.errors import Conflict, NotFound
from domus.db.engine import Database
from domus.db.rows import changed_rows
from domus.mail import services as mail

EVENT = "password_reset"

#: Counted from when the mail is sent.
LIFE = timedelta(minutes=60)

#: A mail that waits longer than this is not about anything that anybody still waits for.
REQUEST_LIFE = timedelta(hours=24)

PATH = "/reset-password"


def ask(db: Database, *, email: str, remote_address: str, now: datetime) -> None:
    """Send a link to the user of an address, if there is one who may log in.

    Raises InvalidInput for what is no address and TooManyAttempts; otherwise it says nothing, whoever asks for whomever.
    """
    address = services.parse_email(email)
    with db.unit_of_work() as session:
        limits = (throttle.resets_per_email(address), throttle.resets_per_address(remote_address))
        throttle.count_attempt(session, *limits, now=now)
        user = services.find_user(session, address)
        if user is None or user.disabled_at is not None:
            return
        reset = PasswordReset(user_id=user.id, requested_at=now)
        session.add(reset)
        session.flush()
        data = {"reset_id": reset.id, "minutes": int(LIFE.total_seconds()) // 60}
        mail.enqueue(session, EVENT, user.account, data, recipients=[user.email], now=now)
        _record(session, user, "user.password_reset_asked", remote_address, now)


def make_link(session: Session, reset_id: int, *, now: datetime) -> dict[str, Any]:
    """Make the token of a request, for the mail that is about to be sent; that of an earlier attempt ends."""
    token = secrets.token_urlsafe(32)
    found = changed_rows(
        session,
        sa.update(PasswordReset)
        .where(
            PasswordReset.id == reset_id,
            PasswordReset.used_at.is_(None),
            PasswordReset.requested_at > now - REQUEST_LIFE,
        )
        .values(token_hash=_hash(token), expires_at=now + LIFE),
    )
    if not found:
        raise Conflict("This request for a new password is over.")
    return {"path": f"{PATH}/{token}"}


def end_links(session: Session, user_id: int, *, now: datetime) -> None:
    """End every link of a user, also those whose mail still waits: whoever asked for them gets in by none of them."""
    unused = sa.update(PasswordReset).where(PasswordReset.user_id == user_id, PasswordReset.used_at.is_(None))
    session.execute(unused.values(used_at=now))


def is_good(db: Database, *, token: str, now: datetime) -> bool:
    """Tell whether a link can still be used, to say so before somebody thinks of a password."""
    with db.reading() as session:
        return _find(session, token, now) is not None


def choose(db: Database, *, token: str, password: str, remote_address: str, now: datetime) -> User:
    """Set a new password by a token, once; every session and every other link of the user ends.

    Raises NotFound for a token that is not good (any more), InvalidInput for a bad password, and TooManyAttempts.
    """
    with db.unit_of_work() as session:
        throttle.count_attempt(session, throttle.resets_per_address(remote_address), now=now)
    with db.reading() as session:
        reset = _find(session, token, now)
        user = None if reset is None else services.get_user(session, reset.user_id)
    if reset is None or user is None:
        raise _over()
    checked = passwords.check_new_password(password, email=user.email, field="new")
    new_hash = passwords.hash_password(checked)
    with db.unit_of_work() as session:
        # The user's row comes first, as where a password is changed: two who go on to the links would block each other.
        user = session.get_one(User, reset.user_id, with_for_update=True)
        swap = sa.update(PasswordReset).where(PasswordReset.id == reset.id, PasswordReset.used_at.is_(None))
        if not changed_rows(session, swap.values(used_at=now)):
            raise _over()
        user.password_hash, user.must_change_password = new_hash, False
        end_links(session, user.id, now=now)
        sessions.end_all(session, user.id)
        throttle.forgive(session, email=throttle.per_email(user.email), now=now)
        mail.enqueue(session, "password_changed", user.account, {}, recipients=[user.email], now=now)
        _record(session, user, "user.password_reset", remote_address, now)
    return user


def _find(session: Session, token: str, now: datetime) -> PasswordReset | None:
    query = (
        sa.select(PasswordReset)
        .join(User, User.id == PasswordReset.user_id)
        .where(
            PasswordReset.token_hash == _hash(token),
            PasswordReset.used_at.is_(None),
            PasswordReset.expires_at > now,
            User.disabled_at.is_(None),
        )
    )
    return session.scalar(query)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _over() -> NotFound:
    return NotFound("This link is used or over; please ask for a new one.")


def _record(session: Session, user: User, action: str, remote_address: str, now: datetime) -> None:
    audit.record(
        session, actor=Actor.system("door"), action=action, object_type="user", object_id=user.id,
        account_id=user.account_id, details={"remote_address": remote_address}, now=now,
    )  # fmt: skip
