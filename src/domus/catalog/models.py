"""What is sold: products, their prices, and the operating systems to choose from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.core.money import Money
from domus.core.periods import Period
from domus.db.base import Base, big_pk, currency_code, enum_column


class Virtualization(StrEnum):
    """How a guest meets the hypervisor."""

    PV = "pv"
    """Paravirtual: boots the kernel that dom0 holds ready."""


class InstallMethod(StrEnum):
    """How a template becomes a root file system."""

    BOOTSTRAP = "bootstrap"
    """Package by package, by the distribution's own tool."""
    IMAGE = "image"
    """From an archive (or a golden volume) that Domus built once."""


class AddonKind(StrEnum):
    """What an add-on adds to a VPS."""

    IPV4 = "ipv4"
    """Further IPv4 addresses, from the pools of its location."""
    DISK = "disk"
    """Room on its root volume."""
    MEMORY = "memory"
    VCPU = "vcpu"


class Product(Base):
    """A size of VPS. Units are in the names; ``cpu_cap_percent`` 0 means no cap, 150 one and a half CPUs."""

    __tablename__ = "product"
    __table_args__ = (
        sa.CheckConstraint("memory_mib BETWEEN 64 AND 4194304", name="memory"),
        sa.CheckConstraint("disk_mib BETWEEN 512 AND 1073741824", name="disk"),
        sa.CheckConstraint("swap_mib BETWEEN 0 AND 1048576", name="swap"),
        sa.CheckConstraint("vcpus BETWEEN 1 AND 512", name="vcpus"),
        sa.CheckConstraint("cpu_weight BETWEEN 1 AND 65535", name="cpu_weight"),
        sa.CheckConstraint("cpu_cap_percent BETWEEN 0 AND 51200", name="cpu_cap"),
        sa.CheckConstraint("traffic_bytes >= 0", name="traffic"),
    )

    id: Mapped[big_pk]
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    description: Mapped[str] = mapped_column(sa.String(500), default="")
    virtualization: Mapped[Virtualization] = enum_column(
        Virtualization, name="virtualization", default=Virtualization.PV
    )
    memory_mib: Mapped[int]
    disk_mib: Mapped[int]
    swap_mib: Mapped[int] = mapped_column(default=512)
    vcpus: Mapped[int] = mapped_column(default=1)
    cpu_weight: Mapped[int] = mapped_column(default=256)
    cpu_cap_percent: Mapped[int] = mapped_column(default=0)
    traffic_bytes: Mapped[int] = mapped_column(default=0)
    """A calendar month, in and out together; 0 is unmetered."""
    private: Mapped[bool] = mapped_column(default=False)
    """Sold by the operator only; not on the order page."""
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]

    prices: Mapped[list[Price]] = relationship(back_populates="product", order_by="Price.id")
    addons: Mapped[list[Addon]] = relationship(back_populates="product", order_by="Addon.id")

    @property
    def disk_total_mib(self) -> int:
        """Return what a VPS of this size takes from a dom0's storage: root and swap."""
        return self.disk_mib + self.swap_mib

    def __str__(self) -> str:
        return self.name


class Price(Base):
    """What a product costs for a period: to order it, or (``renewal_of`` set) to renew what was ordered at another price.

    DTC kept these as products with a Renewal-ID; here a price that renews points at the price that it renews.
    """

    __tablename__ = "price"
    __table_args__ = (
        sa.CheckConstraint("amount_minor >= 0 AND setup_fee_minor >= 0", name="not_negative"),
        sa.CheckConstraint("renewal_of_id IS NULL OR renewal_of_id <> id", name="not_of_itself"),
        sa.CheckConstraint("renewal_of_id IS NULL OR setup_fee_minor = 0", name="renewals_have_no_setup_fee"),
    )

    id: Mapped[big_pk]
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"), index=True)
    renewal_of_id: Mapped[int | None] = mapped_column(sa.ForeignKey("price.id"), index=True)
    period_text: Mapped[str] = mapped_column("period", sa.String(10))
    currency: Mapped[currency_code]
    amount_minor: Mapped[int]
    setup_fee_minor: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)

    product: Mapped[Product] = relationship(back_populates="prices")
    renewal_of: Mapped[Price | None] = relationship(remote_side="Price.id", back_populates="renewals")
    renewals: Mapped[list[Price]] = relationship(back_populates="renewal_of", order_by="Price.id")

    @property
    def period(self) -> Period:
        """Return the period that is paid for."""
        return Period.parse(self.period_text)

    @property
    def amount(self) -> Money:
        """Return the price of one period."""
        return Money(self.amount_minor, self.currency)

    @property
    def setup_fee(self) -> Money:
        """Return what is added once, on the order."""
        return Money(self.setup_fee_minor, self.currency)

    def __str__(self) -> str:
        return f"{self.product} · {self.amount} for {self.period.describe()}"


class Addon(Base):
    """Something more that can be ordered with a product, in pieces."""

    __tablename__ = "addon"
    __table_args__ = (
        sa.UniqueConstraint("product_id", "name"),
        sa.CheckConstraint("unit >= 1", name="unit"),
        sa.CheckConstraint("minimum >= 0 AND maximum >= 1 AND minimum <= maximum", name="count"),
    )

    id: Mapped[big_pk]
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"))
    name: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[AddonKind] = enum_column(AddonKind, name="addon_kind")
    unit: Mapped[int] = mapped_column(default=1)
    """How much one piece is: MiB of disk or memory, vCPUs or addresses otherwise."""
    minimum: Mapped[int] = mapped_column(default=0)
    """So many pieces an order has at least."""
    maximum: Mapped[int] = mapped_column(default=1)
    active: Mapped[bool] = mapped_column(default=True)

    product: Mapped[Product] = relationship(back_populates="addons")
    prices: Mapped[list[AddonPrice]] = relationship(
        back_populates="addon",
        order_by="(AddonPrice.period_text, AddonPrice.currency)",
        cascade="all, delete-orphan",
    )

    def price_for(self, period_text: str, currency: str) -> Money | None:
        """Return what one piece costs for a period; None when it is not sold for it."""
        same = (
            price for price in self.prices if (price.period_text, price.currency) == (period_text, currency)
        )
        return next((price.amount for price in same), None)

    def __str__(self) -> str:
        return self.name


class AddonPrice(Base):
    """What one piece of an add-on costs for a period, with an order as with a renewal."""

    __tablename__ = "addon_price"
    __table_args__ = (sa.CheckConstraint("amount_minor >= 0", name="not_negative"),)

    addon_id: Mapped[int] = mapped_column(sa.ForeignKey("addon.id", ondelete="CASCADE"), primary_key=True)
    period_text: Mapped[str] = mapped_column("period", sa.String(10), primary_key=True)
    currency: Mapped[str] = mapped_column(sa.String(3), primary_key=True)
    amount_minor: Mapped[int]

    addon: Mapped[Addon] = relationship(back_populates="prices")

    @property
    def amount(self) -> Money:
        """Return the price of one piece."""
        return Money(self.amount_minor, self.currency)


class OsTemplate(Base):
    """An operating system that can be installed."""

    __tablename__ = "os_template"
    __table_args__ = (sa.CheckConstraint("min_disk_mib >= 0 AND min_memory_mib >= 0", name="not_negative"),)

    id: Mapped[big_pk]
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    """Lower-case letters, digits, dots and hyphens: it becomes a file name on the dom0."""
    title: Mapped[str] = mapped_column(sa.String(120))
    method: Mapped[InstallMethod] = enum_column(InstallMethod, name="install_method")
    distribution: Mapped[str] = mapped_column(sa.String(32), default="debian")
    release: Mapped[str] = mapped_column(sa.String(32))
    arch: Mapped[str] = mapped_column(sa.String(16), default="amd64")
    version: Mapped[str] = mapped_column(sa.String(32), default="1")
    min_disk_mib: Mapped[int] = mapped_column(default=1024)
    min_memory_mib: Mapped[int] = mapped_column(default=128)
    active: Mapped[bool] = mapped_column(default=True)

    def fits(self, product: Product) -> bool:
        """Tell whether a product is large enough for it."""
        return self.min_disk_mib <= product.disk_mib and self.min_memory_mib <= product.memory_mib

    def __str__(self) -> str:
        return self.title
