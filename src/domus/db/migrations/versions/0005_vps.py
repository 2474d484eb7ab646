"""The virtual servers.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.vps``."""
    _vps()
    _disk()
    _nic()
    _reservation()
    _suspension()
    _vps_transition()
    _console_tail()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("console_tail")
    op.drop_table("vps_transition")
    op.drop_table("suspension")
    op.drop_table("reservation")
    op.drop_table("nic")
    op.drop_table("disk")
    op.drop_table("vps")


def _vps() -> None:
    op.create_table(
        "vps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("template_id", KEY, nullable=False),
        sa.Column("dom0_id", KEY, nullable=False),
        sa.Column(
            "state",
            choice(
                "vps_state",
                "reserved",
                "provisioning",
                "provision_failed",
                "active",
                "removing",
                "removed",
                "cancelled",
            ),
            nullable=False,
        ),
        sa.Column("state_since", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("hostname", sa.String(length=253), nullable=False),
        sa.Column("root_password_hash", sa.String(length=128), nullable=True),
        sa.Column("ssh_keys", sa.JSON(), nullable=False),
        sa.Column("virtualization", choice("vps_virtualization", "pv"), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("cpu_weight", sa.BigInteger(), nullable=False),
        sa.Column("cpu_cap_percent", sa.BigInteger(), nullable=False),
        sa.Column("install_id", sa.Uuid(), nullable=False),
        sa.Column("install_attempt", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("offered_revision", sa.BigInteger(), nullable=False),
        sa.Column("applied_revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "wanted_power",
            choice("wanted", "running", "stopped", "crashed", "paused", "absent"),
            nullable=False,
        ),
        sa.Column("boot_serial", sa.BigInteger(), nullable=False),
        sa.Column("hard_reboot", sa.Boolean(), nullable=False),
        sa.Column("hard_stop", sa.Boolean(), nullable=False),
        sa.Column("tombstone_token", sa.Uuid(), nullable=True),
        sa.Column("remove_not_before", MOMENT, nullable=True),
        sa.Column(
            "observed_power",
            choice("observed", "running", "stopped", "crashed", "paused", "absent"),
            nullable=False,
        ),
        sa.Column("observed_at", MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=1000), nullable=False),
        sa.CheckConstraint("wanted_power IN ('running', 'stopped')", name=op.f("ck_vps_wanted_power")),
        sa.CheckConstraint("applied_revision <= revision", name=op.f("ck_vps_applied_revision")),
        sa.CheckConstraint("offered_revision <= revision", name=op.f("ck_vps_offered_revision")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_vps_account_id")),
        sa.ForeignKeyConstraint(["dom0_id"], ["dom0.id"], name=op.f("fk_vps_dom0_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order_.id"], name=op.f("fk_vps_order_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_vps_product_id")),
        sa.ForeignKeyConstraint(["template_id"], ["os_template.id"], name=op.f("fk_vps_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vps")),
        sa.UniqueConstraint("name", name=op.f("uq_vps_name")),
        sa.UniqueConstraint("order_id", name=op.f("uq_vps_order_id")),
    )
    op.create_index(op.f("ix_vps_account_id"), "vps", ["account_id"])
    op.create_index("ix_vps_created_at", "vps", ["created_at", "id"])
    op.create_index("ix_vps_dom0_id_state", "vps", ["dom0_id", "state"])
    op.create_index(
        "ix_vps_hostname", "vps", ["hostname"], unique=False, postgresql_ops={"hostname": "text_pattern_ops"}
    )
    op.create_index(
        "ix_vps_not_offered", "vps", ["dom0_id"], unique=False, **only_where("revision > offered_revision")
    )
    op.create_index(
        "ix_vps_problem",
        "vps",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("problem <> ''"),
        postgresql_where=sa.text("problem <> ''"),
    )
    op.create_index("ix_vps_state_created_at", "vps", ["state", "created_at", "id"])


def _disk() -> None:
    op.create_table(
        "disk",
        sa.Column("id", KEY, nullable=False),
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("size_mib", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.String(length=16), nullable=False),
        sa.Column("filesystem", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_disk_vps_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disk")),
        sa.UniqueConstraint("vps_id", "device", name=op.f("uq_disk_vps_id_device")),
        sa.UniqueConstraint("vps_id", "name", name=op.f("uq_disk_vps_id_name")),
    )


def _nic() -> None:
    op.create_table(
        "nic",
        sa.Column("id", KEY, nullable=False),
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_nic_vps_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nic")),
        sa.UniqueConstraint("mac", name=op.f("uq_nic_mac")),
    )
    op.create_index(op.f("ix_nic_vps_id"), "nic", ["vps_id"])


def _reservation() -> None:
    op.create_table(
        "reservation",
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("dom0_id", KEY, nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_mib", sa.BigInteger(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "memory_mib >= 0 AND disk_mib >= 0 AND vcpus >= 0", name=op.f("ck_reservation_not_negative")
        ),
        sa.ForeignKeyConstraint(["dom0_id"], ["dom0.id"], name=op.f("fk_reservation_dom0_id")),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_reservation_vps_id")),
        sa.PrimaryKeyConstraint("vps_id", name=op.f("pk_reservation")),
    )
    op.create_index(op.f("ix_reservation_dom0_id"), "reservation", ["dom0_id"])


def _suspension() -> None:
    op.create_table(
        "suspension",
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column(
            "reason",
            choice("suspension_reason", "unpaid", "traffic", "abuse", "operator", "security"),
            nullable=False,
        ),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_suspension_vps_id")),
        sa.PrimaryKeyConstraint("vps_id", "reason", name=op.f("pk_suspension")),
    )


def _vps_transition() -> None:
    op.create_table(
        "vps_transition",
        sa.Column("id", KEY, nullable=False),
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("old", sa.String(length=32), nullable=False),
        sa.Column("new", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_vps_transition_vps_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vps_transition")),
    )
    op.create_index(op.f("ix_vps_transition_vps_id"), "vps_transition", ["vps_id"])


def _console_tail() -> None:
    op.create_table(
        "console_tail",
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fetched_at", MOMENT, nullable=True),
        sa.Column("asked_at", MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_console_tail_vps_id")),
        sa.PrimaryKeyConstraint("vps_id", name=op.f("pk_console_tail")),
    )
