"""Who pays, who logs in, and what was done by whom."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.core.languages import DEFAULT_LANGUAGE
from domus.db.base import Base, big_pk, enum_column


class Role(StrEnum):
    """What a user may see."""

    CUSTOMER = "customer"
    """Sees and drives what belongs to the user's own account."""
    OPERATOR = "operator"
    """Sees and drives everything; belongs to no account."""


class ContactKind(StrEnum):
    """What a further address of an account is for."""

    BILLING = "billing"
    """Invoices, reminders, refunds."""
    TECHNICAL = "technical"
    """News of the machines."""
    ABUSE = "abuse"
    """Complaints about what the machines do."""


class Account(Base):
    """Who orders and pays."""

    __tablename__ = "account"
    __table_args__ = (
        # Searched by the beginning, which an index ordered by PostgreSQL's locale cannot answer.
        sa.Index("ix_account_name_prefix", "name", postgresql_ops={"name": "text_pattern_ops"}),
        sa.Index("ix_account_email_prefix", "email", postgresql_ops={"email": "text_pattern_ops"}),
    )

    id: Mapped[big_pk]
    name: Mapped[str] = mapped_column(sa.String(200))
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    company: Mapped[str] = mapped_column(sa.String(200), default="", server_default="")
    address: Mapped[str] = mapped_column(sa.String(500), default="", server_default="")
    """Lines as they stand on an envelope, without names and country."""
    vat_number: Mapped[str] = mapped_column(sa.String(20), default="", server_default="")
    language: Mapped[str] = mapped_column(
        sa.String(8), default=DEFAULT_LANGUAGE, server_default=DEFAULT_LANGUAGE
    )
    """Of invoices and mails (``core.languages``)."""
    created_at: Mapped[datetime]

    users: Mapped[list[User]] = relationship(back_populates="account")
    contacts: Mapped[list[AccountContact]] = relationship(
        back_populates="account", order_by="AccountContact.id", cascade="all, delete-orphan"
    )

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class AccountContact(Base):
    """A further address that mails of one kind go to."""

    __tablename__ = "account_contact"
    __table_args__ = (sa.UniqueConstraint("account_id", "kind", "email"),)

    id: Mapped[big_pk]
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"))
    kind: Mapped[ContactKind] = enum_column(ContactKind, name="contact_kind")
    email: Mapped[str] = mapped_column(sa.String(254))

    account: Mapped[Account] = relationship(back_populates="contacts")


class User(Base):
    """Who logs in."""

    __tablename__ = "user_"
    __table_args__ = (
        sa.CheckConstraint("(role = 'operator') = (account_id IS NULL)", name="customers_have_an_account"),
    )

    id: Mapped[big_pk]
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("account.id"), index=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    role: Mapped[Role] = enum_column(Role, name="role")
    must_change_password: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    account: Mapped[Account | None] = relationship(back_populates="users")

    @property
    def is_operator(self) -> bool:
        """Tell whether this user belongs to the staff."""
        return self.role is Role.OPERATOR

    def __str__(self) -> str:
        return self.email


class LoginSession(Base):
    """A log-in that is still good. The cookie holds the token; the database only its SHA-256."""

    __tablename__ = "login_session"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user_.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    remote_address: Mapped[str] = mapped_column(sa.String(45))

    user: Mapped[User] = relationship()


class LoginFailure(Base):
    """A failed log-in, counted per address and per e-mail to slow guessing down."""

    __tablename__ = "login_failure"
    __table_args__ = (sa.Index("ix_login_failure_key_at", "key", "at"),)

    id: Mapped[big_pk]
    key: Mapped[str] = mapped_column(sa.String(300))
    at: Mapped[datetime]


class PasswordReset(Base):
    """Somebody asked for a new password. The token stands in the mail; the database has its SHA-256."""

    __tablename__ = "password_reset"

    id: Mapped[big_pk]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user_.id"), index=True)
    requested_at: Mapped[datetime] = mapped_column(index=True)
    token_hash: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    """None until the mail is sent, and new at each attempt."""
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class AuditEvent(Base):
    """What was done, by whom, to what, and why. Append only: the database refuses changes."""

    __tablename__ = "audit_event"
    __table_args__ = (sa.Index("ix_audit_event_object", "object_type", "object_id"),)

    id: Mapped[big_pk]
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(sa.String(300))
    """``user:7 alice@example.org``, ``staff:1 olga@example.com``, ``dom0:dom0-a``, ``system:engine``, ``cli:root``."""
    action: Mapped[str] = mapped_column(sa.String(64))
    """Dotted, object first: ``vps.shutdown``, ``order.paid``."""
    object_type: Mapped[str] = mapped_column(sa.String(32))
    object_id: Mapped[str] = mapped_column(sa.String(64))
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("account.id"), index=True)
    reason: Mapped[str] = mapped_column(sa.String(500), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
