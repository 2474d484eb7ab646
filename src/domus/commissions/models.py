"""Who referred whom, what is paid for that, and how far each commission is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.accounts.models import Account
from domus.billing.models import Invoice
from domus.catalog.models import Product
from domus.core.money import Money
from domus.db.base import Base, big_pk, currency_code, enum_column
from domus.tax.models import percent_text


class CommissionState(StrEnum):
    """The way of a commission."""

    PENDING = "pending"
    """Earned; the customer could still have the money back."""
    CREDITED = "credited"
    """In the balance of whoever referred the customer."""
    PAID_OUT = "paid_out"
    """Paid by an operator."""
    REVERSED = "reversed"
    """Taken back before anything was paid."""


class CommissionRate(Base):
    """What a product earns whoever referred its customer, when it is paid in a currency."""

    __tablename__ = "commission_rate"
    __table_args__ = (
        sa.UniqueConstraint("product_id", "currency"),
        sa.CheckConstraint("millipercent BETWEEN 0 AND 100000", name="percent"),
        sa.CheckConstraint("fixed_minor >= 0 AND millipercent + fixed_minor > 0", name="something"),
    )

    id: Mapped[big_pk]
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"))
    currency: Mapped[currency_code]
    millipercent: Mapped[int] = mapped_column(default=0)
    """Of the net amount of an invoice, in thousandths of a percent."""
    fixed_minor: Mapped[int] = mapped_column(default=0)
    """For each invoice, besides."""
    on_renewals: Mapped[bool] = mapped_column(default=False)
    since: Mapped[datetime]
    """What was paid before earns nothing."""

    product: Mapped[Product] = relationship()

    @property
    def worth(self) -> str:
        """Return what it earns, such as ``10 % and 2.00 EUR``."""
        parts = [percent_text(self.millipercent)] if self.millipercent else []
        if self.fixed_minor:
            parts.append(str(Money(self.fixed_minor, self.currency)))
        return " and ".join(parts)

    def __str__(self) -> str:
        return f"{self.product}, {self.currency}"


class ReferralCode(Base):
    """What stands in the link of an account that refers others."""

    __tablename__ = "referral_code"

    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(32), unique=True)
    created_at: Mapped[datetime]


class Referral(Base):
    """Who brought an account. Written when it signs up, and never changed."""

    __tablename__ = "referral"
    __table_args__ = (sa.CheckConstraint("account_id <> referrer_id", name="not_oneself"),)

    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    referrer_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    at: Mapped[datetime]


class Commission(Base):
    """What one paid invoice earned. Of an invoice there is one at most."""

    __tablename__ = "commission"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="positive"),
        sa.CheckConstraint("reversed_minor BETWEEN 0 AND amount_minor", name="reversed_of_it"),
        sa.Index("ix_commission_state_payable", "state", "payable_at"),
        sa.Index("ix_commission_account", "account_id", "id"),
    )

    id: Mapped[big_pk]
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), unique=True)
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"))
    """Who earns it."""
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"))
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    reversed_minor: Mapped[int] = mapped_column(default=0)
    """So much of it was taken back."""
    state: Mapped[CommissionState] = enum_column(
        CommissionState, name="commission_state", default=CommissionState.PENDING
    )
    earned_at: Mapped[datetime]
    payable_at: Mapped[datetime]
    """When the customer can have the money back no more."""
    settled_at: Mapped[datetime | None]
    reference: Mapped[str] = mapped_column(sa.String(128), default="")
    """How an operator paid it."""

    account: Mapped[Account] = relationship()
    invoice: Mapped[Invoice] = relationship()
    product: Mapped[Product] = relationship()

    @property
    def amount(self) -> Money:
        """Return what was earned."""
        return Money(self.amount_minor, self.currency)

    @property
    def left(self) -> Money:
        """Return what of it was not taken back."""
        return Money(self.amount_minor - self.reversed_minor, self.currency)
