"""Log-ins: the token that a browser holds and the row that makes it good."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.accounts.models import LoginSession, User

TOKEN_BYTES = 32
#: ``seen_at`` is for people to look at; to write it at every request would make every page a write.
SEEN_EVERY = timedelta(minutes=1)


def begin(session: Session, user: User, *, remote_address: str, lifetime: timedelta, now: datetime) -> str:
    """Start a session and return its token, which is stored nowhere."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.execute(sa.delete(LoginSession).where(LoginSession.expires_at <= now))
    session.add(
        LoginSession(
            token_hash=token_hash(token),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime,
            remote_address=remote_address[:45],
        )
    )
    return token


def find(session: Session, token: str, *, now: datetime) -> LoginSession | None:
    """Return the session of the token with its user and account, unless it has expired or the user is disabled."""
    return session.scalar(
        sa.select(LoginSession)
        .join(LoginSession.user)
        .where(
            LoginSession.token_hash == token_hash(token),
            LoginSession.expires_at > now,
            User.disabled_at.is_(None),
        )
        .options(joinedload(LoginSession.user).joinedload(User.account))
    )


def end(session: Session, token: str) -> None:
    """End the session of the token, if there is one."""
    session.execute(sa.delete(LoginSession).where(LoginSession.token_hash == token_hash(token)))


def end_all(session: Session, user_id: int, *, keep_token: str | None = None) -> None:
    """End every session of a user but the one of ``keep_token``."""
    statement = sa.delete(LoginSession).where(LoginSession.user_id == user_id)
    if keep_token is not None:
        statement = statement.where(LoginSession.token_hash != token_hash(keep_token))
    session.execute(statement)


def token_hash(token: str) -> str:
    """Return what is stored. A token is 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()
