"""Where it runs: locations, dom0s, address pools and addresses."""

from __future__ import annotations

import ipaddress
import secrets
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.db.base import Base, big_pk, enum_column


class Dom0State(StrEnum):
    """What the operator lets a dom0 do."""

    ACTIVE = "active"
    """Takes new VPSs."""
    DRAINING = "draining"
    """Runs what it has, takes nothing new."""
    MAINTENANCE = "maintenance"
    """As draining, and Domus leaves it alone: no state runs."""
    LOST = "lost"
    """Gone for good; its VPSs are to be placed elsewhere."""


class Hypervisor(StrEnum):
    """What runs the guests."""

    SIMULATED = "simulated"
    XEN = "xen"
    KVM = "kvm"


class StorageBackend(StrEnum):
    """What the guests' disks are."""

    SIMULATED = "simulated"
    LVM = "lvm"
    LVM_THIN = "lvm_thin"
    IMAGE = "image"


class AddressState(StrEnum):
    """The way of an address: free > reserved > assigned > quarantined > free."""

    FREE = "free"
    RESERVED = "reserved"
    """Held by an order that is not paid yet."""
    ASSIGNED = "assigned"
    """Belongs to a VPS."""
    QUARANTINED = "quarantined"
    """Was given back; rests before it is sold again."""
    WITHHELD = "withheld"
    """The operator keeps it out of sale."""


class ZoneType(StrEnum):
    """How reverse zones are written for a pool (DTC's kinds)."""

    SUPPORT_TICKET = "support_ticket"
    IP_PER_IP = "ip_per_ip"
    IP_PER_IP_CIDR = "ip_per_ip_cidr"
    ONE_ZONEFILE = "one_zonefile"
    ONE_ZONEFILE_WITH_MINUS = "one_zonefile_with_minus"
    ONE_ZONEFILE_WITH_NAME = "one_zonefile_with_name"
    ONE_ZONEFILE_WITH_SLASH = "one_zonefile_with_slash"


class Location(Base):
    """A place where customers can have their VPS."""

    __tablename__ = "location"

    id: Mapped[big_pk]
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    debian_mirror: Mapped[str] = mapped_column(sa.String(200), default="", server_default="")
    """Where guests there get Debian's packages from; empty is what each dom0 itself uses."""

    def __str__(self) -> str:
        return self.name


class Dom0(Base):
    """A machine that runs VPSs, known to Salt by its minion id.

    ``*_reserved_*`` are the sums of the reservations on it. A database trigger keeps them, and the checks below refuse any
    reservation past the capacity, whoever makes it.
    """

    __tablename__ = "dom0"
    __table_args__ = (
        sa.CheckConstraint("memory_reserved_mib BETWEEN 0 AND memory_capacity_mib", name="memory_capacity"),
        sa.CheckConstraint("disk_reserved_mib BETWEEN 0 AND disk_capacity_mib", name="disk_capacity"),
        sa.CheckConstraint("vcpus_reserved BETWEEN 0 AND vcpus_capacity", name="vcpus_capacity"),
        sa.CheckConstraint("max_parallel_installs BETWEEN 1 AND 64", name="max_parallel_installs"),
        sa.CheckConstraint("max_removals_per_run BETWEEN 1 AND 1000", name="max_removals_per_run"),
    )

    id: Mapped[big_pk]
    minion_id: Mapped[str] = mapped_column(sa.String(253), unique=True)
    location_id: Mapped[int] = mapped_column(sa.ForeignKey("location.id"), index=True)
    state: Mapped[Dom0State] = enum_column(Dom0State, name="dom0_state", default=Dom0State.ACTIVE)
    hypervisor: Mapped[Hypervisor] = enum_column(Hypervisor, name="hypervisor", default=Hypervisor.XEN)
    storage_backend: Mapped[StorageBackend] = enum_column(
        StorageBackend, name="storage_backend", default=StorageBackend.LVM
    )
    volume_group: Mapped[str] = mapped_column(sa.String(64), default="")
    thin_pool: Mapped[str] = mapped_column(sa.String(64), default="")
    image_dir: Mapped[str] = mapped_column(sa.String(255), default="")
    bridge: Mapped[str] = mapped_column(sa.String(15), default="xenbr0")

    memory_capacity_mib: Mapped[int]
    """What guests may have together: the machine's memory without what dom0 keeps."""
    disk_capacity_mib: Mapped[int]
    vcpus_capacity: Mapped[int]
    """Physical CPUs times the ratio the operator sells them at."""
    memory_reserved_mib: Mapped[int] = mapped_column(default=0)
    disk_reserved_mib: Mapped[int] = mapped_column(default=0)
    vcpus_reserved: Mapped[int] = mapped_column(default=0)

    report_key: Mapped[str] = mapped_column(sa.String(64), default=lambda: secrets.token_hex(32))
    """What it seals its reports with; it stands in its pillar and nowhere else."""
    max_parallel_installs: Mapped[int] = mapped_column(default=2)
    max_removals_per_run: Mapped[int] = mapped_column(default=3)

    seen_at: Mapped[datetime | None]
    """When it last answered."""
    boot_id: Mapped[str] = mapped_column(sa.String(64), default="")
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The ``capacity`` of its last report."""
    next_run_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it is to be looked at again although nothing new is wanted: after a failed run, or for a stop that takes time."""
    failed_runs: Mapped[int] = mapped_column(default=0)
    """Runs in a row that did not come back; the wait before the next one grows with it."""
    problem: Mapped[str] = mapped_column(sa.String(1000), default="")

    location: Mapped[Location] = relationship()

    def __str__(self) -> str:
        return self.minion_id


class IpPool(Base):
    """A network whose addresses are given to VPSs."""

    __tablename__ = "ip_pool"

    id: Mapped[big_pk]
    location_id: Mapped[int] = mapped_column(sa.ForeignKey("location.id"), index=True)
    network: Mapped[str] = mapped_column(sa.String(43), unique=True)
    """CIDR, as ``192.0.2.0/24``."""
    gateway: Mapped[str] = mapped_column(sa.String(39))
    dns: Mapped[list[str]] = mapped_column(default=list)
    zone_type: Mapped[ZoneType] = enum_column(ZoneType, name="zone_type", default=ZoneType.ONE_ZONEFILE)
    custom_zone_text: Mapped[str] = mapped_column(sa.Text, default="")
    active: Mapped[bool] = mapped_column(default=True)

    location: Mapped[Location] = relationship()
    addresses: Mapped[list[IpAddress]] = relationship(back_populates="pool")

    @property
    def prefix_length(self) -> int:
        """Return the number after the slash."""
        return ipaddress.ip_network(self.network).prefixlen

    def __str__(self) -> str:
        return f"{self.network} ({self.location})"


class IpAddress(Base):
    """One address that can be given to a VPS."""

    __tablename__ = "ip_address"
    __table_args__ = (
        sa.CheckConstraint(
            "(state IN ('reserved', 'assigned')) = (vps_id IS NOT NULL)", name="held_by_a_vps"
        ),
        sa.Index("ix_ip_address_pool_id_state", "pool_id", "state"),
        sa.Index("ix_ip_address_pool_id_position", "pool_id", "position"),
        sa.Index("ix_ip_address_state_id", "state", "id"),
    )

    id: Mapped[big_pk]
    pool_id: Mapped[int] = mapped_column(sa.ForeignKey("ip_pool.id"))
    address: Mapped[str] = mapped_column(sa.String(39), unique=True)
    position: Mapped[int] = mapped_column(sa.BigInteger)
    """Its place in the pool, so that addresses sort as numbers."""
    state: Mapped[AddressState] = enum_column(AddressState, name="address_state", default=AddressState.FREE)
    vps_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    """The holder. No foreign key: ``vps`` stands above ``inventory``; the reservation test keeps the two together."""
    free_again_at: Mapped[datetime | None]

    pool: Mapped[IpPool] = relationship(back_populates="addresses")

    def __str__(self) -> str:
        return self.address


class AddressHistory(Base):
    """Who held an address from when to when; kept for ever, so that an old abuse report finds its man."""

    __tablename__ = "address_history"
    __table_args__ = (
        sa.Index(
            "uq_address_history_open", "address", unique=True,
            sqlite_where=sa.text("until_at IS NULL"), postgresql_where=sa.text("until_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[big_pk]
    address: Mapped[str] = mapped_column(sa.String(39), index=True)
    vps_id: Mapped[uuid.UUID] = mapped_column(index=True)
    account_id: Mapped[int]
    from_at: Mapped[datetime]
    until_at: Mapped[datetime | None]
