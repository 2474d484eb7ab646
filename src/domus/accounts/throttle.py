"""Slows guessing down: so many attempts per name and per address in a quarter of an hour, then wait."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import LoginFailure
from domus.core.errors import TooManyAttempts
from domus.db.locks import lock_name

WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``attempts`` in WINDOW under one key."""

    key: str
    attempts: int


def per_email(email: str) -> Limit:
    """Limit wrong passwords for one e-mail address, known or not."""
    return Limit(f"email:{email}", 5)


def per_address(remote_address: str) -> Limit:
    """Limit wrong passwords from one network address."""
    return Limit(f"address:{_network(remote_address)}", 20)


def sign_ups_per_address(remote_address: str) -> Limit:
    """Limit new accounts from one network address."""
    return Limit(f"sign-up:{_network(remote_address)}", 10)


def resets_per_email(email: str) -> Limit:
    """Limit mails about a new password to one e-mail address, known or not."""
    return Limit(f"reset:{email}", 3)


def resets_per_address(remote_address: str) -> Limit:
    """Limit what is asked and tried about new passwords from one network address."""
    return Limit(f"reset-from:{_network(remote_address)}", 20)


def coupons_per_account(account_id: int) -> Limit:
    """Limit the codes of coupons that an account tries and that are none."""
    return Limit(f"coupon:{account_id}", 20)


def _network(remote_address: str) -> str:
    """Return what one customer of a provider has: one IPv4 address, or 2^64 IPv6 addresses to choose from."""
    try:
        address = ipaddress.ip_address(remote_address)
    except ValueError:
        return remote_address[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def count_attempt(session: Session, *limits: Limit, now: datetime) -> None:
    """Count an attempt under each limit, or raise TooManyAttempts and count nothing.

    It is counted before its outcome is known, so that many guesses at once are not all let through; ``forgive`` takes it
    back when it was right.
    """
    for limit in sorted(limits, key=lambda one: one.key):
        lock_name(session, limit.key)
        attempts = session.scalars(
            sa.select(LoginFailure.at)
            .where(LoginFailure.key == limit.key, LoginFailure.at > now - WINDOW)
            .order_by(LoginFailure.at.desc())
            .limit(limit.attempts)
        ).all()
        if len(attempts) == limit.attempts:
            raise _wait(attempts[-1] + WINDOW - now)
    session.add_all(LoginFailure(key=limit.key, at=now) for limit in limits)


def forgive(
    session: Session, *, email: Limit | None = None, address: Limit | None = None, now: datetime
) -> None:
    """Take back what was counted for an attempt that was right: everything under the e-mail, this one under the address.

    Somebody who knows one password thus cannot use it to guess others from the same address without end.
    """
    if email is not None:
        session.execute(sa.delete(LoginFailure).where(LoginFailure.key == email.key))
    if address is not None:
        mine = sa.select(sa.func.max(LoginFailure.id)).where(
            LoginFailure.key == address.key, LoginFailure.at == now
        )
        session.execute(sa.delete(LoginFailure).where(LoginFailure.id == mine.scalar_subquery()))
    session.execute(sa.delete(LoginFailure).where(LoginFailure.at <= now - WINDOW))


def _wait(rest: timedelta) -> TooManyAttempts:
    seconds = max(1, int(rest.total_seconds()))
    minutes = -(-seconds // 60)
    return TooManyAttempts(
        f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}.",
        retry_after_seconds=seconds,
    )
