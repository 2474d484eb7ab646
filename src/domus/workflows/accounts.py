"""Signing up, logging in and out, and what operators do with users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from domus.accounts import audit, passwords, services, sessions, throttle
from domus.accounts.actor import Actor
from domus.accounts.models import LoginSession, User
from domus.commissions import referrals
from domus.core.errors import Conflict, InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.db.rows import changed_rows
from domus.mail import services as mail
from domus.workflows import password_reset

_REFUSED = "The e-mail address or the password is wrong, or the user is disabled."


@dataclass(frozen=True, slots=True)
class LoginTicket:
    """What a browser gets: ``token`` goes into the cookie and is stored nowhere."""

    token: str
    user: User

    def __repr__(self) -> str:
        return f"LoginTicket(user={self.user.email!r})"


def sign_up(
    db: Database,
    *,
    name: str,
    email: str,
    password: str,
    country: str = "",
    referral: str = "",
    remote_address: str,
    now: datetime,
) -> User:
    """Open an account with its first user; *referral* is the code of the link that they came by, or anything else."""
    address = services.parse_email(email)
    passwords.check_new_password(password, email=address)
    with db.unit_of_work() as session:
        throttle.count_attempt(session, throttle.sign_ups_per_address(remote_address), now=now)
    password_hash = passwords.hash_password(password)
    try:
        with db.unit_of_work() as session:
            user = services.add_customer(
                session, name=name, email=address, country=country, password_hash=password_hash, now=now
            )
            audit.record(
                session,
                actor=Actor.of(user),
                action="account.opened",
                object_type="account",
                object_id=user.account_id,
                account_id=user.account_id,
                details={"remote_address": remote_address},
                now=now,
            )
            if referral and user.account is not None:
                referrals.note(session, referral, user.account, now=now)
    except IntegrityError as error:
        raise _taken() from error
    return user


def log_in(
    db: Database, *, email: str, password: str, remote_address: str, lifetime: timedelta, now: datetime
) -> LoginTicket:
    """Check the password and begin a session.

    Raises NotAllowed with the same words whatever was wrong, and TooManyAttempts before the password is looked at. The hash
    is computed outside of any transaction: it is slow on purpose, and others need not wait for it.
    """
    address = _as_typed(email)
    by_email, by_address = throttle.per_email(address), throttle.per_address(remote_address)
    with db.unit_of_work() as session:
        throttle.count_attempt(session, by_email, by_address, now=now)
        user = services.find_user(session, address)
    known = user is not None and user.disabled_at is None
    if not passwords.verify_password(user.password_hash if user and known else None, password):
        _record_refusal(db, user, remote_address, now)
        raise NotAllowed(_REFUSED)
    assert user is not None  # noqa: S101 - verify_password is never right without one
    checked_hash = user.password_hash
    new_hash = passwords.hash_password(password) if passwords.needs_new_hash(user.password_hash) else None
    with db.unit_of_work() as session:
        user = services.get_user(session, user.id)
        if user.password_hash != checked_hash:
            raise NotAllowed(_REFUSED)
        if new_hash is not None:
            user.password_hash = new_hash
        throttle.forgive(session, email=by_email, address=by_address, now=now)
        token = sessions.begin(session, user, remote_address=remote_address, lifetime=lifetime, now=now)
        _record(
            session, user, "user.logged_in", {"remote_address": remote_address}, actor=Actor.of(user), now=now
        )
        _load_account(user)
    return LoginTicket(token, user)


def log_out(db: Database, *, token: str, now: datetime) -> None:
    """End the session; a token that is not good any more is passed over."""
    with db.unit_of_work() as session:
        found = sessions.find(session, token, now=now)
        if found is not None:
            _record(session, found.user, "user.logged_out", {}, actor=Actor.of(found.user), now=now)
        sessions.end(session, token)


def session_user(db: Database, *, token: str, now: datetime) -> User | None:
    """Return the user whose session the token is, with the account, or None."""
    with db.reading() as session:
        found = sessions.find(session, token, now=now)
    if found is None:
        return None
    if now - found.seen_at >= sessions.SEEN_EVERY:
        with db.unit_of_work() as session:
            session.execute(
                sa.update(LoginSession).where(LoginSession.token_hash == found.token_hash).values(seen_at=now)
            )
    return found.user


def change_password(
    db: Database, *, user_id: int, old: str, new: str, keep_token: str | None, now: datetime
) -> None:
    """Change a user's own password; every link for a new one ends, and all of the user's sessions but the present one.

    The user is told by mail.
    """
    with db.unit_of_work() as session:
        user = services.get_user(session, user_id)
        limit = throttle.per_email(user.email)
        throttle.count_attempt(session, limit, now=now)
    if not passwords.verify_password(user.password_hash, old):
        raise InvalidInput("This is not your present password.", field="old")
    if new == old:
        raise InvalidInput("The new password is the old one; take another.", field="new")
    new_hash = passwords.hash_password(passwords.check_new_password(new, email=user.email, field="new"))
    with db.unit_of_work() as session:
        swap = sa.update(User).where(User.id == user_id, User.password_hash == user.password_hash)
        if not changed_rows(session, swap.values(password_hash=new_hash, must_change_password=False)):
            raise Conflict("The password was changed elsewhere meanwhile; log in again.")
        throttle.forgive(session, email=limit, now=now)
        sessions.end_all(session, user_id, keep_token=keep_token)
        password_reset.end_links(session, user_id, now=now)
        account = services.get_user(session, user_id).account
        mail.enqueue(session, "password_changed", account, {}, recipients=[user.email], now=now)
        _record(session, user, "user.password_changed", {}, actor=Actor.of(user), now=now)


def create_operator(
    db: Database,
    *,
    email: str,
    password: str,
    must_change: bool,
    actor: Actor | None = None,
    now: datetime,
) -> User:
    """Add a member of the staff; ``actor`` is who does it, Domus itself when nobody is named."""
    address = services.parse_email(email)
    password_hash = passwords.hash_password(passwords.check_new_password(password, email=address))
    who = actor or Actor.system("setup")
    who.require_operator()
    try:
        with db.unit_of_work() as session:
            user = services.add_operator(
                session, email=address, password_hash=password_hash, must_change=must_change, now=now
            )
            _record(session, user, "user.operator_added", {"email": address}, actor=who, now=now)
            _load_account(user)
    except IntegrityError as error:
        raise _taken() from error
    return user


def set_user_disabled(db: Database, *, user_id: int, disabled: bool, actor: Actor, now: datetime) -> User:
    """Let a user in no more, and end the user's sessions; or let the user in again."""
    actor.require_operator()
    if disabled and actor.user_id == user_id:
        raise Conflict("You cannot disable yourself; another operator has to.")
    with db.unit_of_work() as session:
        user = services.get_user(session, user_id)
        if disabled != (user.disabled_at is not None):
            user.disabled_at = now if disabled else None
            _record(session, user, f"user.{'disabled' if disabled else 'enabled'}", {}, actor=actor, now=now)
        if disabled:
            sessions.end_all(session, user_id)
        _load_account(user)
    return user


def _as_typed(email: str) -> str:
    """Return the address as it would be stored, or whatever was typed, so that nonsense is throttled like the rest."""
    try:
        return services.parse_email(email)
    except InvalidInput:
        return email.replace("\0", "").strip().lower()[:254]


def _record_refusal(db: Database, user: User | None, remote_address: str, now: datetime) -> None:
    """Record a wrong log-in, known user or not: what takes longer for one of them tells which it was."""
    with db.unit_of_work() as session:
        details = {"remote_address": remote_address}
        _record(session, user, "user.login_refused", details, actor=Actor.system("door"), now=now)


def _record(
    session: Session,
    user: User | None,
    action: str,
    details: dict[str, str],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        object_type="user",
        object_id="unknown" if user is None else user.id,
        account_id=None if user is None else user.account_id,
        details=details,
        now=now,
    )


def _load_account(user: User) -> None:
    """Read the account while the session is open; what is returned is detached."""
    _ = user.account


def _taken() -> InvalidInput:
    # Two people who sign up with one address at the same moment both pass the look before; the database then refuses one.
    return InvalidInput(
        "There is an account with this e-mail address already; log in instead.", field="email"
    )
