"""What somebody wants changed about a contract: another price, and with it another size of its VPS."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.billing.models import Invoice, Subscription
from domus.catalog.models import Price
from domus.core.money import Money
from domus.db.base import Base, big_pk, currency_code, enum_column
from domus.vps.models import Vps


class ChangeState(StrEnum):
    """The way of a change."""

    OPEN = "open"
    """Agreed and reserved; waits for the money until ``expires_at``."""
    DONE = "done"
    """The contract is at its new price; the machine follows."""
    WITHDRAWN = "withdrawn"
    """Taken back, never paid, or overtaken by something else; nothing is held for it."""


class ContractChange(Base):
    """A contract goes from one price to another, with the days left settled to the day. One is open at most.

    Amounts are in the catalogue's prices (with or without tax, as the company sells).
    """

    __tablename__ = "contract_change"
    __table_args__ = (
        sa.CheckConstraint("credit_minor >= 0 AND charge_minor >= 0", name="not_negative"),
        sa.CheckConstraint("effective_on < until", name="days_left"),
        sa.Index(
            "uq_contract_change_open", "subscription_id", unique=True,
            sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'"),
        ),
        sa.Index("ix_contract_change_state_expires_at", "state", "expires_at"),
    )  # fmt: skip

    id: Mapped[big_pk]
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), index=True)
    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"), index=True)
    state: Mapped[ChangeState] = enum_column(
        ChangeState, name="contract_change_state", default=ChangeState.OPEN
    )
    from_price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    to_price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    effective_on: Mapped[date]
    """The first day at the new price: the day on which it was agreed."""
    until: Mapped[date]
    """Until when the contract was paid then; the amounts are for the days between the two."""
    currency: Mapped[currency_code]
    credit_minor: Mapped[int]
    charge_minor: Mapped[int]
    memory_mib: Mapped[int]
    vcpus: Mapped[int]
    disk_mib: Mapped[int]
    """The root disk's new size."""
    restart: Mapped[bool] = mapped_column(default=False)
    """Whether the VPS is restarted for it at once."""
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"), unique=True)
    """What is to be paid; None when nothing is."""
    revision: Mapped[int | None]
    """The revision of the VPS that has the new size; None before, and when the size stays."""
    actor: Mapped[str] = mapped_column(sa.String(300))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(sa.String(300), default="")
    """Why it was withdrawn."""

    subscription: Mapped[Subscription] = relationship()
    vps: Mapped[Vps] = relationship()
    invoice: Mapped[Invoice | None] = relationship()
    from_price: Mapped[Price] = relationship(foreign_keys=[from_price_id])
    to_price: Mapped[Price] = relationship(foreign_keys=[to_price_id])

    @property
    def credit(self) -> Money:
        """Return what came back for the days that were not used."""
        return Money(self.credit_minor, self.currency)

    @property
    def charge(self) -> Money:
        """Return what the new price asks for the days left."""
        return Money(self.charge_minor, self.currency)

    def __str__(self) -> str:
        return f"change {self.id}"
