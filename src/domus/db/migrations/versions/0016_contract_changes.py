"""Changes of contracts, and the size that a running guest was seen with.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and room for what dom0s see."""
    for column in ("observed_memory_mib", "observed_vcpus"):
        op.add_column("vps", sa.Column(column, sa.BigInteger(), nullable=True))
    op.create_table(
        "contract_change",
        sa.Column("id", KEY, nullable=False),
        sa.Column("subscription_id", KEY, nullable=False),
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("state", choice("contract_change_state", "open", "done", "withdrawn"), nullable=False),
        sa.Column("from_price_id", KEY, nullable=False),
        sa.Column("to_price_id", KEY, nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("charge_minor", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("disk_mib", sa.BigInteger(), nullable=False),
        sa.Column("restart", sa.Boolean(), nullable=False),
        sa.Column("invoice_id", KEY, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "credit_minor >= 0 AND charge_minor >= 0", name=op.f("ck_contract_change_not_negative")
        ),
        sa.CheckConstraint("effective_on < until", name=op.f("ck_contract_change_days_left")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_contract_change_subscription_id")
        ),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_contract_change_vps_id")),
        sa.ForeignKeyConstraint(
            ["from_price_id"], ["price.id"], name=op.f("fk_contract_change_from_price_id")
        ),
        sa.ForeignKeyConstraint(["to_price_id"], ["price.id"], name=op.f("fk_contract_change_to_price_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_contract_change_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_change")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_contract_change_invoice_id")),
    )
    for column in ("subscription_id", "vps_id"):
        op.create_index(op.f(f"ix_contract_change_{column}"), "contract_change", [column])
    op.create_index(
        "uq_contract_change_open",
        "contract_change",
        ["subscription_id"],
        unique=True,
        **only_where("state = 'open'"),
    )
    op.create_index("ix_contract_change_state_expires_at", "contract_change", ["state", "expires_at"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("contract_change")
    with op.batch_alter_table("vps") as table:
        table.drop_column("observed_vcpus")
        table.drop_column("observed_memory_mib")
