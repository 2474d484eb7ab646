"""Accounts and users: making them and checking what people type."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from domus.accounts.models import Account, Role, User
from domus.core.countries import parse_country
from domus.core.errors import InvalidInput, NotFound
from domus.core.texts import own_name


def parse_email(text: str, *, field: str = "email") -> str:
    """Return the address in lower case; raise InvalidInput when no mail could be sent to it."""
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidInput(f"This is not an e-mail address: {error}", field=field) from error


def add_customer(
    session: Session, *, name: str, email: str, country: str, password_hash: str, now: datetime
) -> User:
    """Add an account and its first user; raise InvalidInput when somebody has the address already."""
    _refuse_known(session, email)
    account = Account(
        name=own_name(name, field="name", maximum=200),
        email=email,
        country=parse_country(country),
        created_at=now,
    )
    user = User(account=account, email=email, password_hash=password_hash, role=Role.CUSTOMER, created_at=now)
    session.add(user)
    session.flush()
    return user


def add_operator(
    session: Session, *, email: str, password_hash: str, must_change: bool, now: datetime
) -> User:
    """Add a member of the staff; raise InvalidInput when somebody has the address already."""
    _refuse_known(session, email)
    user = User(
        email=email,
        password_hash=password_hash,
        role=Role.OPERATOR,
        must_change_password=must_change,
        created_at=now,
    )
    session.add(user)
    session.flush()
    return user


def find_user(session: Session, email: str) -> User | None:
    """Return the user with the address."""
    return session.scalar(sa.select(User).where(User.email == email))


def get_user(session: Session, user_id: int) -> User:
    """Return a user with its account; raise NotFound when there is none."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _refuse_known(session: Session, email: str) -> None:
    taken = sa.or_(
        sa.exists().where(User.email == email),
        sa.exists().where(Account.email == email),
    )
    if session.scalar(sa.select(taken)):
        raise InvalidInput(
            "There is an account with this e-mail address already; log in instead.", field="email"
        )
