"""Links by which customers bring others, and who came by them. Each works in the caller's transaction."""

from __future__ import annotations

import re
import secrets
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.commissions.models import Referral, ReferralCode

_CODE = re.compile(r"[A-Za-z0-9_-]{8,32}")


def code_of(session: Session, account_id: int) -> str | None:
    """Return the code of an account's link, or None while it has none."""
    return session.scalar(sa.select(ReferralCode.code).where(ReferralCode.account_id == account_id))


def make_code(session: Session, account_id: int, *, now: datetime) -> str:
    """Return the code of an account's link; it is made the first time, also when that is asked for twice at once."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"account_id": account_id, "code": secrets.token_urlsafe(9), "created_at": now}
    session.execute(
        insert(ReferralCode).values(row).on_conflict_do_nothing(index_elements=[ReferralCode.account_id])
    )
    return session.scalars(sa.select(ReferralCode.code).where(ReferralCode.account_id == account_id)).one()


def referrer_of(session: Session, code: str) -> Account | None:
    """Return whose link has a code, which may be anything that a browser sends."""
    if not _CODE.fullmatch(code):
        return None
    query = sa.select(Account).join(ReferralCode, ReferralCode.account_id == Account.id)
    return session.scalar(query.where(ReferralCode.code == code))


def note(session: Session, code: str, account: Account, *, now: datetime) -> bool:
    """Note who brought an account that was just opened; False for a code of nobody's, and for one's own mailbox."""
    referrer = referrer_of(session, code)
    if referrer is None or referrer.id == account.id or mailbox(referrer.email) == mailbox(account.email):
        return False
    session.add(Referral(account_id=account.id, referrer_id=referrer.id, at=now))
    session.flush()
    return True


def mailbox(email: str) -> str:
    """Return an address without what is behind a plus: ada+2@example.org and ada@example.org are one mailbox."""
    local, _, domain = email.partition("@")
    return f"{local.partition('+')[0]}@{domain}".casefold()
