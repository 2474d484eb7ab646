"""What gateways said and what was asked of them. None of it moves money: that is booked in ``domus.billing``."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.accounts.models import Account
from domus.billing.models import Invoice, Payment
from domus.core.money import Money
from domus.db.base import Base, big_pk, currency_code, enum_column, uuid_pk


class EventState(StrEnum):
    """The way of an event."""

    WAITING = "waiting"
    """Stored; to be processed from ``next_attempt_at`` on."""
    DONE = "done"
    """What it says is booked."""
    IGNORED = "ignored"
    """It concerns nothing of ours."""
    ATTENTION = "attention"
    """An operator has to look: it speaks of money that belongs to nothing we know, or was tried too often."""


class GatewayEvent(Base):
    """What a gateway told us, as it told it. Stored before anything is done about it, and once."""

    __tablename__ = "gateway_event"
    __table_args__ = (
        sa.UniqueConstraint("gateway", "event_id"),
        sa.Index("ix_gateway_event_state_next_attempt_at", "state", "next_attempt_at"),
        sa.Index("ix_gateway_event_gateway_subject", "gateway", "subject"),
    )

    id: Mapped[big_pk]
    gateway: Mapped[str] = mapped_column(sa.String(32))
    event_id: Mapped[str] = mapped_column(sa.String(255))
    kind: Mapped[str] = mapped_column(sa.String(100))
    subject: Mapped[str] = mapped_column(sa.String(255))
    """The gateway's name of what it speaks of: that is looked up, and the body is not believed."""
    headers: Mapped[dict[str, str]] = mapped_column(sa.JSON())
    body: Mapped[str] = mapped_column(sa.Text())
    received_at: Mapped[datetime]
    state: Mapped[EventState] = enum_column(
        EventState, name="gateway_event_state", default=EventState.WAITING
    )
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(sa.String(500), default="")

    def __str__(self) -> str:
        return f"{self.gateway} {self.event_id}"


class GatewayRefusal(Base):
    """Deliveries that were turned away, counted by day and reason: whoever sends many fills no table."""

    __tablename__ = "gateway_refusal"
    __table_args__ = (sa.UniqueConstraint("gateway", "day", "reason"),)

    id: Mapped[big_pk]
    gateway: Mapped[str] = mapped_column(sa.String(32))
    day: Mapped[date] = mapped_column(index=True)
    reason: Mapped[str] = mapped_column(sa.String(200))
    count: Mapped[int]
    last_at: Mapped[datetime]
    last_from: Mapped[str] = mapped_column(sa.String(64))


class SavedMethod(Base):
    """A card or the like that a customer lets us charge again. The number stays with the gateway."""

    __tablename__ = "saved_method"
    __table_args__ = (sa.UniqueConstraint("gateway", "method"),)

    id: Mapped[big_pk]
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    gateway: Mapped[str] = mapped_column(sa.String(32))
    customer: Mapped[str] = mapped_column(sa.String(128))
    """The gateway's name of the customer."""
    method: Mapped[str] = mapped_column(sa.String(128))
    """The gateway's name of the card."""
    label: Mapped[str] = mapped_column(sa.String(100))
    """What people recognise it by, such as ``Visa ending in 4242``."""
    valid_until: Mapped[date | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class AttemptKind(StrEnum):
    """What an attempt is for."""

    PAY = "pay"
    """The customer is there and pays."""
    CHARGE = "charge"
    """A saved method is charged while nobody is there."""
    SAVE = "save"
    """A method is saved; nothing is paid."""


class AttemptState(StrEnum):
    """The way of an attempt."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


class PaymentAttempt(Base):
    """One try to have an invoice paid. Its id is the key under which the gateway does it once, however often it is asked."""

    __tablename__ = "payment_attempt"
    __table_args__ = (
        sa.Index(
            "ix_payment_attempt_one_open_charge",
            "invoice_id",
            unique=True,
            sqlite_where=sa.text("kind = 'charge' AND state = 'open'"),
            postgresql_where=sa.text("kind = 'charge' AND state = 'open'"),
        ),
        sa.Index("ix_payment_attempt_state_next_look_at", "state", "next_look_at"),
        sa.Index("ix_payment_attempt_gateway_reference", "gateway", "reference"),
    )

    id: Mapped[uuid_pk]
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    gateway: Mapped[str] = mapped_column(sa.String(32))
    kind: Mapped[AttemptKind] = enum_column(AttemptKind, name="attempt_kind")
    state: Mapped[AttemptState] = enum_column(AttemptState, name="attempt_state", default=AttemptState.OPEN)
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    method_id: Mapped[int | None] = mapped_column(sa.ForeignKey("saved_method.id"))
    reference: Mapped[str] = mapped_column(sa.String(255), default="")
    """The gateway's name of what it made for us; empty until it answered."""
    created_at: Mapped[datetime] = mapped_column(index=True)
    next_look_at: Mapped[datetime | None]
    """When to ask the gateway by ourselves how it stands, should no event have come."""
    looks: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(sa.String(500), default="")

    account: Mapped[Account] = relationship()
    invoice: Mapped[Invoice | None] = relationship()
    method: Mapped[SavedMethod | None] = relationship()

    @property
    def amount(self) -> Money:
        """Return what was to be paid."""
        return Money(self.amount_minor, self.currency)


class RefundState(StrEnum):
    """The way of a refund at its gateway."""

    ASKED = "asked"
    DONE = "done"
    FAILED = "failed"
    """The gateway will not do it; the money is in the customer's balance instead."""


class GatewayRefund(Base):
    """Money that a gateway is to send back, or has. Its id is the key under which that is done once."""

    __tablename__ = "gateway_refund"
    __table_args__ = (
        sa.UniqueConstraint("payment_id", "reference"),
        sa.Index("ix_gateway_refund_state_next_attempt_at", "state", "next_attempt_at"),
        sa.CheckConstraint("amount_minor > 0", name="positive"),
    )

    id: Mapped[uuid_pk]
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payment.id"), index=True)
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    state: Mapped[RefundState] = enum_column(RefundState, name="refund_state", default=RefundState.ASKED)
    reference: Mapped[str | None] = mapped_column(sa.String(128))
    """The gateway's name of it."""
    from_outside: Mapped[bool] = mapped_column(default=False)
    """Made at the gateway, not by us."""
    created_at: Mapped[datetime] = mapped_column(index=True)
    next_attempt_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(sa.String(500), default="")

    payment: Mapped[Payment] = relationship()

    @property
    def amount(self) -> Money:
        """Return how much is given back."""
        return Money(self.amount_minor, self.currency)


class DisputeState(StrEnum):
    """The way of a dispute."""

    OPEN = "open"
    """The gateway has taken the money until it is decided."""
    WON = "won"
    LOST = "lost"


class Dispute(Base):
    """A payment that its payer has contested at bank or gateway."""

    __tablename__ = "dispute"
    __table_args__ = (sa.UniqueConstraint("gateway", "reference"),)

    id: Mapped[big_pk]
    payment_id: Mapped[int] = mapped_column(sa.ForeignKey("payment.id"), index=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    gateway: Mapped[str] = mapped_column(sa.String(32))
    reference: Mapped[str] = mapped_column(sa.String(128))
    state: Mapped[DisputeState] = enum_column(DisputeState, name="dispute_state")
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    reason: Mapped[str] = mapped_column(sa.String(100), default="")
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    payment: Mapped[Payment] = relationship()
    account: Mapped[Account] = relationship()


class BankStatement(Base):
    """A file of the bank's that was read; the same file is known again by its digest."""

    __tablename__ = "bank_statement"

    id: Mapped[big_pk]
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    kind: Mapped[str] = mapped_column(sa.String(32))
    iban: Mapped[str] = mapped_column(sa.String(40))
    skipped: Mapped[int]
    imported_at: Mapped[datetime]
    imported_by: Mapped[str] = mapped_column(sa.String(300))

    def __str__(self) -> str:
        return self.file_name


class LineState(StrEnum):
    """The way of a line of a statement."""

    NEW = "new"
    """Stored; nobody has looked for its invoice yet."""
    BOOKED = "booked"
    UNMATCHED = "unmatched"
    """Money that belongs to nothing that we can tell: an operator assigns it."""
    SET_ASIDE = "set_aside"
    """Not from a customer."""


class BankLine(Base):
    """Money that arrived on our bank account. Each is booked once, however many files list it."""

    __tablename__ = "bank_line"
    __table_args__ = (sa.Index("ix_bank_line_state_id", "state", "id"),)

    id: Mapped[big_pk]
    statement_id: Mapped[int] = mapped_column(sa.ForeignKey("bank_statement.id"), index=True)
    key: Mapped[str] = mapped_column(sa.String(80), unique=True)
    booked_on: Mapped[date]
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    payer: Mapped[str] = mapped_column(sa.String(200))
    payer_iban: Mapped[str] = mapped_column(sa.String(40))
    text: Mapped[str] = mapped_column(sa.String(1000))
    bank_reference: Mapped[str] = mapped_column(sa.String(300))
    is_reversal: Mapped[bool]
    state: Mapped[LineState] = enum_column(LineState, name="bank_line_state", default=LineState.NEW)
    note: Mapped[str] = mapped_column(sa.String(500), default="")
    payment_id: Mapped[int | None] = mapped_column(sa.ForeignKey("payment.id"), unique=True)
    decided_at: Mapped[datetime | None]

    statement: Mapped[BankStatement] = relationship()
    payment: Mapped[Payment | None] = relationship()

    @property
    def amount(self) -> Money:
        """Return how much arrived."""
        return Money(self.amount_minor, self.currency)

    def __str__(self) -> str:
        return f"{self.amount} of {self.booked_on:%Y-%m-%d}"
