"""Where it runs.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.inventory``."""
    _location()
    _dom0()
    _ip_pool()
    _ip_address()
    _address_history()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("address_history")
    op.drop_table("ip_address")
    op.drop_table("ip_pool")
    op.drop_table("dom0")
    op.drop_table("location")


def _location() -> None:
    op.create_table(
        "location",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("name", name=op.f("uq_location_name")),
    )


def _dom0() -> None:
    op.create_table(
        "dom0",
        sa.Column("id", KEY, nullable=False),
        sa.Column("minion_id", sa.String(length=253), nullable=False),
        sa.Column("location_id", KEY, nullable=False),
        sa.Column("state", choice("dom0_state", "active", "draining", "maintenance", "lost"), nullable=False),
        sa.Column("hypervisor", choice("hypervisor", "simulated", "xen", "kvm"), nullable=False),
        sa.Column(
            "storage_backend",
            choice("storage_backend", "simulated", "lvm", "lvm_thin", "image"),
            nullable=False,
        ),
        sa.Column("volume_group", sa.String(length=64), nullable=False),
        sa.Column("thin_pool", sa.String(length=64), nullable=False),
        sa.Column("image_dir", sa.String(length=255), nullable=False),
        sa.Column("bridge", sa.String(length=15), nullable=False),
        sa.Column("memory_capacity_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_capacity_mib", sa.BigInteger(), nullable=False),
        sa.Column("vcpus_capacity", sa.BigInteger(), nullable=False),
        sa.Column("memory_reserved_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_reserved_mib", sa.BigInteger(), nullable=False),
        sa.Column("vcpus_reserved", sa.BigInteger(), nullable=False),
        sa.Column("report_key", sa.String(length=64), nullable=False),
        sa.Column("max_parallel_installs", sa.BigInteger(), nullable=False),
        sa.Column("max_removals_per_run", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.Column("boot_id", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("next_run_at", MOMENT, nullable=True),
        sa.Column("failed_runs", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.String(length=1000), nullable=False),
        sa.CheckConstraint(
            "disk_reserved_mib BETWEEN 0 AND disk_capacity_mib", name=op.f("ck_dom0_disk_capacity")
        ),
        sa.CheckConstraint(
            "max_parallel_installs BETWEEN 1 AND 64", name=op.f("ck_dom0_max_parallel_installs")
        ),
        sa.CheckConstraint(
            "max_removals_per_run BETWEEN 1 AND 1000", name=op.f("ck_dom0_max_removals_per_run")
        ),
        sa.CheckConstraint(
            "memory_reserved_mib BETWEEN 0 AND memory_capacity_mib", name=op.f("ck_dom0_memory_capacity")
        ),
        sa.CheckConstraint(
            "vcpus_reserved BETWEEN 0 AND vcpus_capacity", name=op.f("ck_dom0_vcpus_capacity")
        ),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_dom0_location_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dom0")),
        sa.UniqueConstraint("minion_id", name=op.f("uq_dom0_minion_id")),
    )
    op.create_index(op.f("ix_dom0_location_id"), "dom0", ["location_id"])
    op.create_index(op.f("ix_dom0_next_run_at"), "dom0", ["next_run_at"])


def _ip_pool() -> None:
    op.create_table(
        "ip_pool",
        sa.Column("id", KEY, nullable=False),
        sa.Column("location_id", KEY, nullable=False),
        sa.Column("network", sa.String(length=43), nullable=False),
        sa.Column("gateway", sa.String(length=39), nullable=False),
        sa.Column("dns", sa.JSON(), nullable=False),
        sa.Column(
            "zone_type",
            choice(
                "zone_type",
                "support_ticket",
                "ip_per_ip",
                "ip_per_ip_cidr",
                "one_zonefile",
                "one_zonefile_with_minus",
                "one_zonefile_with_name",
                "one_zonefile_with_slash",
            ),
            nullable=False,
        ),
        sa.Column("custom_zone_text", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_ip_pool_location_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ip_pool")),
        sa.UniqueConstraint("network", name=op.f("uq_ip_pool_network")),
    )
    op.create_index(op.f("ix_ip_pool_location_id"), "ip_pool", ["location_id"])


def _ip_address() -> None:
    op.create_table(
        "ip_address",
        sa.Column("id", KEY, nullable=False),
        sa.Column("pool_id", KEY, nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            choice("address_state", "free", "reserved", "assigned", "quarantined", "withheld"),
            nullable=False,
        ),
        sa.Column("vps_id", sa.Uuid(), nullable=True),
        sa.Column("free_again_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(state IN ('reserved', 'assigned')) = (vps_id IS NOT NULL)",
            name=op.f("ck_ip_address_held_by_a_vps"),
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["ip_pool.id"], name=op.f("fk_ip_address_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ip_address")),
        sa.UniqueConstraint("address", name=op.f("uq_ip_address_address")),
    )
    op.create_index("ix_ip_address_pool_id_position", "ip_address", ["pool_id", "position"])
    op.create_index("ix_ip_address_pool_id_state", "ip_address", ["pool_id", "state"])
    op.create_index("ix_ip_address_state_id", "ip_address", ["state", "id"])
    op.create_index(op.f("ix_ip_address_vps_id"), "ip_address", ["vps_id"])


def _address_history() -> None:
    op.create_table(
        "address_history",
        sa.Column("id", KEY, nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("from_at", MOMENT, nullable=False),
        sa.Column("until_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_history")),
    )
    op.create_index(op.f("ix_address_history_address"), "address_history", ["address"])
    op.create_index(op.f("ix_address_history_vps_id"), "address_history", ["vps_id"])
    op.create_index(
        "uq_address_history_open",
        "address_history",
        ["address"],
        unique=True,
        **only_where("until_at IS NULL"),
    )
