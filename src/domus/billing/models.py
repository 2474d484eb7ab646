"""What is owed and what was paid. Amounts are integer minor units; nothing here is edited after the fact, only reversed."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.accounts.models import Account
from domus.catalog.models import Addon, AddonKind, Price
from domus.core.languages import DEFAULT_LANGUAGE
from domus.core.money import Money
from domus.db.base import Base, big_pk, currency_code, enum_column, uuid_pk
from domus.tax.models import Company


class OrderState(StrEnum):
    """The way of an order."""

    PLACED = "placed"
    """Priced and reserved; waits for the money until ``hold_until``."""
    PAID = "paid"
    """Paid; the VPS is being made."""
    FULFILLED = "fulfilled"
    """The VPS was handed over."""
    CANCELLED = "cancelled"
    """Withdrawn or never paid; nothing is held for it."""
    REFUNDED = "refunded"
    """Paid, not delivered, and the money is given back."""


class InvoiceState(StrEnum):
    """The way of an invoice."""

    OPEN = "open"
    """Asks for money; has no number yet, so that an unpaid one leaves no gap."""
    PAID = "paid"
    """Numbered and frozen."""
    CANCELLED = "cancelled"
    """Never paid, never numbered."""


class PaymentState(StrEnum):
    """The way of a payment."""

    CONFIRMED = "confirmed"
    REFUNDED = "refunded"


class Order(Base):
    """A customer's wish for one VPS."""

    __tablename__ = "order_"
    __table_args__ = (
        sa.UniqueConstraint("account_id", "request_token"),
        sa.Index("ix_order__state_number", "state", "number"),
    )

    id: Mapped[uuid_pk]
    number: Mapped[int] = mapped_column(unique=True)
    """What people call it; from a series of its own."""
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    state: Mapped[OrderState] = enum_column(OrderState, name="order_state", default=OrderState.PLACED)
    request_token: Mapped[str] = mapped_column(sa.String(64))
    """Made by the form: the same form sent twice is one order."""
    placed_at: Mapped[datetime] = mapped_column(index=True)
    hold_until: Mapped[datetime] = mapped_column(index=True)
    paid_at: Mapped[datetime | None]
    fulfilled_at: Mapped[datetime | None]

    account: Mapped[Account] = relationship()
    price: Mapped[Price] = relationship()
    invoices: Mapped[list[Invoice]] = relationship(back_populates="order", order_by="Invoice.id")
    addons: Mapped[list[OrderAddon]] = relationship(back_populates="order", order_by="OrderAddon.addon_id")

    @property
    def invoice(self) -> Invoice:
        """Return the invoice that the order was placed with."""
        return self.invoices[0]

    def __str__(self) -> str:
        return f"#{self.number}"


class OrderAddon(Base):
    """What was ordered beside the product, as it was then. Amounts are in the currency of the order's price."""

    __tablename__ = "order_addon"
    __table_args__ = (sa.CheckConstraint("count >= 1 AND amount_minor >= 0", name="not_negative"),)

    order_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("order_.id"), primary_key=True)
    addon_id: Mapped[int] = mapped_column(sa.ForeignKey("addon.id"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[AddonKind] = enum_column(AddonKind, name="order_addon_kind")
    unit: Mapped[int]
    count: Mapped[int]
    amount_minor: Mapped[int]
    """Of one piece, for one period."""

    order: Mapped[Order] = relationship(back_populates="addons")


class Invoice(Base):
    """What an account owes for one thing. Its total is the sum of its lines."""

    __tablename__ = "invoice"
    __table_args__ = (
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name="gross"),
        sa.CheckConstraint("(state = 'paid') = (number IS NOT NULL)", name="numbered_when_paid"),
        sa.Index("ix_invoice_state_id", "state", "id"),
    )

    id: Mapped[big_pk]
    number: Mapped[str | None] = mapped_column(sa.String(32), unique=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    order_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("order_.id"), index=True)
    state: Mapped[InvoiceState] = enum_column(InvoiceState, name="invoice_state", default=InvoiceState.OPEN)
    currency: Mapped[currency_code]
    net_minor: Mapped[int]
    tax_minor: Mapped[int]
    gross_minor: Mapped[int]
    issued_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    company_id: Mapped[int | None] = mapped_column(sa.ForeignKey("company.id"), index=True)
    """None on what was issued before there were companies."""
    seller: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """The company as it was (``billing.parties``)."""
    buyer: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    """The customer as it was."""
    language: Mapped[str] = mapped_column(
        sa.String(8), default=DEFAULT_LANGUAGE, server_default=DEFAULT_LANGUAGE
    )
    tax_rule: Mapped[str] = mapped_column(sa.String(32), default="", server_default="")
    """``tax.rules.Rule``, or nothing on what was issued before there were rules."""
    tax_country: Mapped[str] = mapped_column(sa.String(2), default="", server_default="")
    tax_millipercent: Mapped[int] = mapped_column(default=0, server_default="0")
    tax_note: Mapped[str] = mapped_column(sa.String(300), default="", server_default="")

    account: Mapped[Account] = relationship()
    company: Mapped[Company | None] = relationship()
    order: Mapped[Order | None] = relationship(back_populates="invoices")
    credit_notes: Mapped[list[CreditNote]] = relationship(back_populates="invoice", order_by="CreditNote.id")
    lines: Mapped[list[InvoiceLine]] = relationship(back_populates="invoice", order_by="InvoiceLine.id")
    payments: Mapped[list[Payment]] = relationship(back_populates="invoice")

    @property
    def gross(self) -> Money:
        """Return what is to be paid."""
        return Money(self.gross_minor, self.currency)

    def __str__(self) -> str:
        return self.number or f"draft {self.id}"


class InvoiceLine(Base):
    """One thing on an invoice, with the text frozen as it was sold."""

    __tablename__ = "invoice_line"

    id: Mapped[big_pk]
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    text: Mapped[str] = mapped_column(sa.String(300))
    net_minor: Mapped[int]
    tax_minor: Mapped[int] = mapped_column(default=0)

    invoice: Mapped[Invoice] = relationship(back_populates="lines")


class CreditNote(Base):
    """Takes an invoice back, in whole or in part: what would be an edit is a document of its own.

    Amounts are positive here: so much less is owed. Parties, language and tax are those of the invoice.
    """

    __tablename__ = "credit_note"
    __table_args__ = (
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name="gross"),
        sa.CheckConstraint("gross_minor > 0", name="positive"),
    )

    id: Mapped[big_pk]
    number: Mapped[str] = mapped_column(sa.String(32), unique=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    currency: Mapped[currency_code]
    net_minor: Mapped[int]
    tax_minor: Mapped[int]
    gross_minor: Mapped[int]
    reason: Mapped[str] = mapped_column(sa.String(500), default="")
    issued_at: Mapped[datetime] = mapped_column(index=True)

    invoice: Mapped[Invoice] = relationship(back_populates="credit_notes")

    @property
    def gross(self) -> Money:
        """Return what is given back."""
        return Money(self.gross_minor, self.currency)

    def __str__(self) -> str:
        return self.number


class Payment(Base):
    """Money that arrived. A gateway's reference is booked once, whatever the gateway repeats.

    One that fits its invoice exactly settles it. Any other (too little, too much, too late) has no invoice: it goes to the
    account's balance, and out of that an invoice is settled by a payment of the gateway ``balance``.
    """

    __tablename__ = "payment"
    __table_args__ = (
        sa.UniqueConstraint("gateway", "reference"),
        sa.CheckConstraint("amount_minor > 0", name="positive"),
        sa.Index("ix_payment_state_id", "state", "id"),
    )

    id: Mapped[big_pk]
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(sa.ForeignKey("account.id"), index=True)
    """Who paid. None only on what the release before this one booked; its invoice knows."""
    gateway: Mapped[str] = mapped_column(sa.String(32))
    """``operator`` (marked as paid by hand), ``balance`` (prepaid), or the name of a gateway."""
    reference: Mapped[str] = mapped_column(sa.String(128))
    state: Mapped[PaymentState] = enum_column(
        PaymentState, name="payment_state", default=PaymentState.CONFIRMED
    )
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    received_at: Mapped[datetime]
    refunded_at: Mapped[datetime | None]

    invoice: Mapped[Invoice | None] = relationship(back_populates="payments")

    @property
    def amount(self) -> Money:
        """Return how much arrived."""
        return Money(self.amount_minor, self.currency)


class LedgerTransaction(Base):
    """One booking: two or more entries that sum to zero. Append only: the database refuses changes."""

    __tablename__ = "ledger_transaction"

    id: Mapped[big_pk]
    at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(sa.String(32))
    """``invoice``, ``payment``, ``refund``, ``credit``."""
    reference: Mapped[str] = mapped_column(sa.String(128), unique=True)
    """What it is for, such as ``payment:12``; unique, so that nothing is booked twice."""
    actor: Mapped[str] = mapped_column(sa.String(300))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)

    entries: Mapped[list[LedgerEntry]] = relationship(back_populates="transaction", order_by="LedgerEntry.id")

    def __str__(self) -> str:
        return self.reference


class LedgerEntry(Base):
    """One side of a booking: debit is positive, credit negative."""

    __tablename__ = "ledger_entry"

    id: Mapped[big_pk]
    transaction_id: Mapped[int] = mapped_column(sa.ForeignKey("ledger_transaction.id"), index=True)
    ledger_account: Mapped[str] = mapped_column(sa.String(64), index=True)
    """``receivable:7`` (what account 7 owes), ``revenue``, ``tax``, ``cash:test``."""
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]

    transaction: Mapped[LedgerTransaction] = relationship(back_populates="entries")


class NumberSeries(Base):
    """The next number of a series without gaps; taken in the transaction that uses it."""

    __tablename__ = "number_series"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    next_number: Mapped[int] = mapped_column(default=1)


class Subscription(Base):
    """The contract behind a VPS: what is renewed, at which price, and until when it is paid."""

    __tablename__ = "subscription"

    id: Mapped[big_pk]
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    order_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("order_.id"), unique=True)
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    started_on: Mapped[date]
    anchor_day: Mapped[int] = mapped_column(sa.SmallInteger)
    paid_until: Mapped[date] = mapped_column(index=True)
    ended_on: Mapped[date | None]
    cancel_on: Mapped[date | None] = mapped_column(index=True)
    """On or after this day it ends, because somebody cancelled it; nothing more is asked for until then."""
    cancel_reason: Mapped[str] = mapped_column(sa.String(300), default="", server_default="")

    account: Mapped[Account] = relationship()
    order: Mapped[Order] = relationship()
    price: Mapped[Price] = relationship()
    addons: Mapped[list[SubscriptionAddon]] = relationship(order_by="SubscriptionAddon.addon_id")


class SubscriptionAddon(Base):
    """What a contract has beside its product now: it is renewed with it."""

    __tablename__ = "subscription_addon"
    __table_args__ = (sa.CheckConstraint("count >= 1", name="count"),)

    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), primary_key=True)
    addon_id: Mapped[int] = mapped_column(sa.ForeignKey("addon.id"), primary_key=True)
    count: Mapped[int]

    addon: Mapped[Addon] = relationship()
