"""A VPS: what is wanted of it, what was seen of it, and what happened to it."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.accounts.models import Account
from domus.billing.models import Order
from domus.catalog.models import OsTemplate, Product, Virtualization
from domus.db.base import Base, big_pk, enum_column, uuid_pk
from domus.inventory.models import Dom0

#: A hypervisor rounds a guest's memory; what is this near counts as all of it.
MEMORY_SLACK_MIB = 4


class VpsState(StrEnum):
    """Where a VPS is in its life."""

    RESERVED = "reserved"
    """Ordered, not paid: holds its place and addresses."""
    PROVISIONING = "provisioning"
    """Paid: being made on its dom0."""
    PROVISION_FAILED = "provision_failed"
    """Making it failed or took too long; it can be retried or refunded."""
    ACTIVE = "active"
    """Handed over."""
    REMOVING = "removing"
    """To be taken off its dom0; what it held is not free yet."""
    REMOVED = "removed"
    """Gone; kept for its history."""
    CANCELLED = "cancelled"
    """Never made; its order was not paid."""


class Power(StrEnum):
    """Whether a domU runs, as wanted (the first two) or as seen on its dom0."""

    RUNNING = "running"
    STOPPED = "stopped"
    CRASHED = "crashed"
    PAUSED = "paused"
    ABSENT = "absent"
    """The dom0 does not know it."""


class SuspensionReason(StrEnum):
    """Why a VPS may not run; each is lifted on its own."""

    UNPAID = "unpaid"
    TRAFFIC = "traffic"
    ABUSE = "abuse"
    OPERATOR = "operator"
    SECURITY = "security"


class Vps(Base):
    """A virtual server.

    The sizes are its own: a product that is edited later does not change what was sold.
    """

    __tablename__ = "vps"
    __table_args__ = (
        sa.CheckConstraint("wanted_power IN ('running', 'stopped')", name="wanted_power"),
        sa.CheckConstraint("applied_revision <= revision", name="applied_revision"),
        sa.CheckConstraint("offered_revision <= revision", name="offered_revision"),
        sa.Index("ix_vps_dom0_id_state", "dom0_id", "state"),
        sa.Index("ix_vps_created_at", "created_at", "id"),
        sa.Index("ix_vps_state_created_at", "state", "created_at", "id"),
        sa.Index(
            "ix_vps_problem", "created_at",
            sqlite_where=sa.text("problem <> ''"), postgresql_where=sa.text("problem <> ''"),
        ),
        # Searched by the beginning, which an index ordered by PostgreSQL's locale cannot answer.
        sa.Index("ix_vps_hostname", "hostname", postgresql_ops={"hostname": "text_pattern_ops"}),
        sa.Index(
            "ix_vps_not_offered", "dom0_id",
            sqlite_where=sa.text("revision > offered_revision"),
            postgresql_where=sa.text("revision > offered_revision"),
        ),
    )  # fmt: skip

    id: Mapped[uuid_pk]
    name: Mapped[str] = mapped_column(sa.String(32), unique=True)
    """The domU's name, ``vps-`` and a part of the uuid."""
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"), index=True)
    order_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("order_.id"), unique=True)
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"))
    template_id: Mapped[int] = mapped_column(sa.ForeignKey("os_template.id"))
    dom0_id: Mapped[int] = mapped_column(sa.ForeignKey("dom0.id"))
    state: Mapped[VpsState] = enum_column(VpsState, name="vps_state", default=VpsState.RESERVED)
    state_since: Mapped[datetime]
    created_at: Mapped[datetime]

    hostname: Mapped[str] = mapped_column(sa.String(253))
    root_password_hash: Mapped[str | None] = mapped_column(sa.String(128))
    ssh_keys: Mapped[list[str]] = mapped_column(default=list)
    virtualization: Mapped[Virtualization] = enum_column(
        Virtualization, name="vps_virtualization", default=Virtualization.PV
    )
    memory_mib: Mapped[int]
    vcpus: Mapped[int]
    cpu_weight: Mapped[int]
    cpu_cap_percent: Mapped[int]

    install_id: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4)
    """Changes when the operating system is to be installed again."""
    install_attempt: Mapped[int] = mapped_column(default=1)
    """Grows with every retry of a failed installation."""

    revision: Mapped[int] = mapped_column(default=0)
    """Grows with every change of what is wanted."""
    offered_revision: Mapped[int] = mapped_column(default=0)
    """The newest revision that a run on its dom0 was begun for; a newer one makes the dom0 due at once."""
    applied_revision: Mapped[int] = mapped_column(default=0)
    """The newest revision that its dom0 says holds."""
    wanted_power: Mapped[Power] = enum_column(Power, name="wanted", default=Power.STOPPED)
    boot_serial: Mapped[int] = mapped_column(default=0)
    """Reboots asked for."""
    hard_reboot: Mapped[bool] = mapped_column(default=False)
    hard_stop: Mapped[bool] = mapped_column(default=False)
    tombstone_token: Mapped[uuid.UUID | None]
    remove_not_before: Mapped[datetime | None]

    observed_power: Mapped[Power] = enum_column(Power, name="observed", default=Power.ABSENT)
    observed_at: Mapped[datetime | None]
    observed_memory_mib: Mapped[int | None]
    """What the running guest had when its dom0 last looked; None while it does not run, or its dom0 does not say."""
    observed_vcpus: Mapped[int | None]
    problem: Mapped[str] = mapped_column(sa.String(1000), default="")
    """What its dom0 said went wrong; empty when nothing did."""

    account: Mapped[Account] = relationship()
    order: Mapped[Order] = relationship()
    product: Mapped[Product] = relationship()
    template: Mapped[OsTemplate] = relationship()
    dom0: Mapped[Dom0] = relationship()
    disks: Mapped[list[Disk]] = relationship(back_populates="vps", order_by="Disk.id")
    nics: Mapped[list[Nic]] = relationship(back_populates="vps", order_by="Nic.id")
    suspensions: Mapped[list[Suspension]] = relationship(back_populates="vps")
    transitions: Mapped[list[VpsTransition]] = relationship(back_populates="vps", order_by="VpsTransition.id")

    @property
    def lacks_memory(self) -> bool:
        """Tell whether the running guest has less memory than is wanted: it gets it at its next start."""
        seen = self.observed_memory_mib
        return seen is not None and seen < self.memory_mib - MEMORY_SLACK_MIB

    @property
    def lacks_vcpus(self) -> bool:
        """Tell whether the running guest has fewer CPUs than are wanted."""
        return self.observed_vcpus is not None and self.observed_vcpus < self.vcpus

    def __str__(self) -> str:
        return self.name


class Disk(Base):
    """A volume of a VPS on its dom0."""

    __tablename__ = "disk"
    __table_args__ = (sa.UniqueConstraint("vps_id", "name"), sa.UniqueConstraint("vps_id", "device"))

    id: Mapped[big_pk]
    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"))
    name: Mapped[str] = mapped_column(sa.String(16))
    role: Mapped[str] = mapped_column(sa.String(8))
    """``root``, ``swap`` or ``data``."""
    size_mib: Mapped[int]
    device: Mapped[str] = mapped_column(sa.String(16))
    filesystem: Mapped[str] = mapped_column(sa.String(8))

    vps: Mapped[Vps] = relationship(back_populates="disks")


class Nic(Base):
    """A network card of a VPS. Which addresses it carries is known by ``inventory.IpAddress.vps_id``."""

    __tablename__ = "nic"

    id: Mapped[big_pk]
    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"), index=True)
    mac: Mapped[str] = mapped_column(sa.String(17), unique=True)

    vps: Mapped[Vps] = relationship(back_populates="nics")


class Reservation(Base):
    """What a VPS takes from its dom0, from the order until it is wiped.

    A trigger adds it to the dom0's sums.
    """

    __tablename__ = "reservation"
    __table_args__ = (
        sa.CheckConstraint("memory_mib >= 0 AND disk_mib >= 0 AND vcpus >= 0", name="not_negative"),
    )

    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"), primary_key=True)
    dom0_id: Mapped[int] = mapped_column(sa.ForeignKey("dom0.id"), index=True)
    memory_mib: Mapped[int]
    disk_mib: Mapped[int]
    vcpus: Mapped[int]


class Suspension(Base):
    """One reason for which a VPS may not run, until it is lifted."""

    __tablename__ = "suspension"

    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"), primary_key=True)
    reason: Mapped[SuspensionReason] = enum_column(
        SuspensionReason, name="suspension_reason", primary_key=True
    )
    note: Mapped[str] = mapped_column(sa.String(500), default="")
    since: Mapped[datetime]
    actor: Mapped[str] = mapped_column(sa.String(300))

    vps: Mapped[Vps] = relationship(back_populates="suspensions")


class VpsTransition(Base):
    """A change of a VPS's state, or of its wanted or observed power.

    From what to what, when, by whom and why.
    """

    __tablename__ = "vps_transition"

    id: Mapped[big_pk]
    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(sa.String(16))
    """``state``, ``wanted``, ``observed`` or ``suspension``."""
    old: Mapped[str] = mapped_column(sa.String(32))
    new: Mapped[str] = mapped_column(sa.String(32))
    actor: Mapped[str] = mapped_column(sa.String(300))
    reason: Mapped[str] = mapped_column(sa.String(500), default="")

    vps: Mapped[Vps] = relationship(back_populates="transitions")


class ConsoleTail(Base):
    """The last lines of a VPS's console, fetched when somebody looks."""

    __tablename__ = "console_tail"

    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"), primary_key=True)
    text: Mapped[str] = mapped_column(sa.Text, default="")
    fetched_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(sa.String(500), default="")
