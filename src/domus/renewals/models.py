"""What keeps contracts going: the periods they are renewed for, what was done about those not paid, and on which days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.billing.models import Invoice, Subscription
from domus.catalog.models import Price, Product
from domus.db.base import Base, big_pk, enum_column


class StepKind(StrEnum):
    """What is done about a contract that runs out or ran out, in this order."""

    BEFORE = "before"
    """A reminder, so many days before."""
    EXPIRED = "expired"
    """Told on the day itself."""
    AFTER = "after"
    """A reminder, so many days after."""
    LAST_WARNING = "last_warning"
    SUSPENDED = "suspended"
    """The VPS is shut down until it is paid."""
    ENDED = "ended"
    """The VPS is to be removed when its grace time is over."""


class RenewalTerms(Base):
    """On which days the contracts of a product are billed, reminded, suspended and ended; without a row, on DTC's."""

    __tablename__ = "renewal_terms"

    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id", ondelete="CASCADE"), primary_key=True)
    invoice_days: Mapped[int]
    remind_before: Mapped[list[Any]] = mapped_column(sa.JSON)
    remind_after: Mapped[list[Any]] = mapped_column(sa.JSON)
    last_warning_days: Mapped[int]
    suspend_days: Mapped[int]
    end_days: Mapped[int]
    grace_days: Mapped[int]

    product: Mapped[Product] = relationship()

    def __str__(self) -> str:
        return f"of {self.product}"


class Renewal(Base):
    """One period of a contract, and the invoice that asks for it.

    Of a period one lives at most: it is neither asked for twice nor paid twice.
    """

    __tablename__ = "renewal"
    __table_args__ = (
        sa.CheckConstraint("starts_on < ends_on", name="period"),
        sa.CheckConstraint("settled_at IS NULL OR withdrawn_at IS NULL", name="settled_or_withdrawn"),
        sa.Index(
            "uq_renewal_living", "subscription_id", "starts_on", unique=True,
            sqlite_where=sa.text("withdrawn_at IS NULL"), postgresql_where=sa.text("withdrawn_at IS NULL"),
        ),
        # The first index has only those that live; this one answers what a contract ever was renewed for.
        sa.Index("ix_renewal_subscription_id_invoice_id", "subscription_id", "invoice_id"),
        sa.Index(
            "ix_renewal_open", "invoice_id",
            sqlite_where=sa.text("settled_at IS NULL AND withdrawn_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL AND withdrawn_at IS NULL"),
        ),
    )  # fmt: skip

    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    starts_on: Mapped[date]
    """The day until which the contract was paid when this was asked for."""
    ends_on: Mapped[date]
    """The first day that it does not pay for."""
    settled_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    invoice: Mapped[Invoice] = relationship()
    subscription: Mapped[Subscription] = relationship()
    price: Mapped[Price] = relationship()

    @property
    def last_day(self) -> date:
        """Return the last day that it pays for."""
        return self.ends_on - timedelta(days=1)


class DunningStep(Base):
    """Something that was done about a contract, once for the day until which it was paid; mails are made from these."""

    __tablename__ = "dunning_step"
    __table_args__ = (sa.UniqueConstraint("subscription_id", "paid_until", "kind", "day"),)

    id: Mapped[big_pk]
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    paid_until: Mapped[date]
    kind: Mapped[StepKind] = enum_column(StepKind, name="dunning_step_kind")
    day: Mapped[int] = mapped_column(sa.SmallInteger)
    """Of a reminder, which one: so many days before or after; otherwise 0."""
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    """What is to be paid, where it was asked for by then."""
    done_at: Mapped[datetime]

    subscription: Mapped[Subscription] = relationship()
    invoice: Mapped[Invoice | None] = relationship()


class SubscriptionHold(Base):
    """Until that day nothing is done about a contract that is not paid."""

    __tablename__ = "subscription_hold"

    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), primary_key=True)
    until: Mapped[date]
    """The first day on which steps are taken again."""
    reason: Mapped[str] = mapped_column(sa.String(300))
    since: Mapped[datetime]
    actor: Mapped[str] = mapped_column(sa.String(300))

    subscription: Mapped[Subscription] = relationship()
