"""Coupons, who used them for which order, and what each took off which invoice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.accounts.models import Account
from domus.billing.models import Invoice, Order
from domus.catalog.models import Product
from domus.core.money import Money
from domus.db.base import Base, big_pk, currency_code
from domus.tax.models import percent_text


class Coupon(Base):
    """What takes a part or an amount off an order, and off its renewals where it says so."""

    __tablename__ = "coupon"
    __table_args__ = (
        # The limit is the database's: whoever comes second at the same instant waits for the row, and then finds it used up.
        sa.CheckConstraint("used >= 0 AND (max_uses IS NULL OR used <= max_uses)", name="uses"),
        sa.CheckConstraint("millipercent BETWEEN 0 AND 100000", name="percent"),
        sa.CheckConstraint("payments IS NULL OR payments >= 1", name="payments"),
        sa.CheckConstraint("max_uses_per_account IS NULL OR max_uses_per_account >= 1", name="per_account"),
    )

    id: Mapped[big_pk]
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    """In capitals; customers may type it in any case."""
    description: Mapped[str] = mapped_column(sa.String(200), default="")
    """For operators only."""
    millipercent: Mapped[int] = mapped_column(default=0)
    """Thousandths of a percent; 0 where ``amounts`` are taken off instead."""
    amounts: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    """Minor units by currency; a price in another currency gets nothing."""
    covers_setup_fee: Mapped[bool] = mapped_column(default=False)
    payments: Mapped[int | None]
    """So many payments of a contract, the first among them; None for all that there will be."""
    max_uses: Mapped[int | None]
    max_uses_per_account: Mapped[int | None]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    """The last day on which it can be used for an order (UTC)."""
    periods: Mapped[list[str]] = mapped_column(default=list)
    """Only prices of these periods; all without any."""
    first_order_only: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    used: Mapped[int] = mapped_column(default=0)
    """By how many orders that were not given up."""
    created_at: Mapped[datetime]

    links: Mapped[list[CouponProduct]] = relationship(
        cascade="all, delete-orphan", order_by="CouponProduct.product_id"
    )

    @property
    def product_ids(self) -> list[int]:
        """Return the products that it is for; all without any."""
        return sorted(link.product_id for link in self.links)

    @product_ids.setter
    def product_ids(self, ids: Sequence[int]) -> None:
        present = {link.product_id: link for link in self.links}
        for gone in present.keys() - set(ids):
            self.links.remove(present[gone])
        self.links.extend(CouponProduct(product_id=new) for new in sorted(set(ids) - present.keys()))

    @property
    def worth(self) -> str:
        """Return what it takes off, such as ``20 %`` or ``5.00 EUR, 6.00 USD``."""
        if self.millipercent:
            return percent_text(self.millipercent)
        return ", ".join(str(Money(minor, currency)) for currency, minor in sorted(self.amounts.items()))

    def __str__(self) -> str:
        return self.code


class CouponProduct(Base):
    """One of the products that a coupon is for. Such a product cannot be deleted: the coupon would be for all then."""

    __tablename__ = "coupon_product"

    coupon_id: Mapped[int] = mapped_column(sa.ForeignKey("coupon.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"), primary_key=True, index=True)

    product: Mapped[Product] = relationship()


class CouponUse(Base):
    """An order that a coupon was used for, with what it was worth then: who edits the coupon changes no contract."""

    __tablename__ = "coupon_use"
    __table_args__ = (
        sa.UniqueConstraint("order_id"),
        sa.CheckConstraint("place >= 1", name="place"),
        sa.Index(
            "uq_coupon_use_place", "coupon_id", "account_id", "place", unique=True,
            sqlite_where=sa.text("given_back_at IS NULL"), postgresql_where=sa.text("given_back_at IS NULL"),
        ),
        sa.Index("ix_coupon_use_coupon", "coupon_id", "id"),
    )  # fmt: skip

    id: Mapped[big_pk]
    coupon_id: Mapped[int] = mapped_column(sa.ForeignKey("coupon.id"))
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    order_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("order_.id"))
    place: Mapped[int] = mapped_column(sa.SmallInteger)
    """Which of the account's uses it is; of each place there is one."""
    code: Mapped[str] = mapped_column(sa.String(40))
    millipercent: Mapped[int]
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    """In the order's currency; 0 where a part is taken off."""
    payments: Mapped[int | None]
    used_at: Mapped[datetime]
    given_back_at: Mapped[datetime | None]
    """When the order was given up before it was paid."""

    coupon: Mapped[Coupon] = relationship()
    account: Mapped[Account] = relationship()
    order: Mapped[Order] = relationship()
    discounts: Mapped[list[CouponDiscount]] = relationship(
        back_populates="use", order_by="CouponDiscount.invoice_id"
    )

    @property
    def worth(self) -> str:
        """Return what it takes off each payment."""
        if self.millipercent:
            return percent_text(self.millipercent)
        return str(Money(self.amount_minor, self.currency))

    def __str__(self) -> str:
        return self.code


class CouponDiscount(Base):
    """What a coupon took off one invoice. While the invoice is not cancelled, it counts as one of the coupon's payments."""

    __tablename__ = "coupon_discount"
    __table_args__ = (sa.CheckConstraint("amount_minor > 0", name="positive"),)

    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), primary_key=True)
    use_id: Mapped[int] = mapped_column(sa.ForeignKey("coupon_use.id"), index=True)
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    """As prices are in the catalogue, with tax or without it."""

    invoice: Mapped[Invoice] = relationship()
    use: Mapped[CouponUse] = relationship(back_populates="discounts")
