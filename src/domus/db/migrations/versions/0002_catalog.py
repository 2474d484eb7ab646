"""What is sold.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.catalog``."""
    _product()
    _price()
    _os_template()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("os_template")
    op.drop_table("price")
    op.drop_table("product")


def _product() -> None:
    op.create_table(
        "product",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("virtualization", choice("virtualization", "pv"), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_mib", sa.BigInteger(), nullable=False),
        sa.Column("swap_mib", sa.BigInteger(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("cpu_weight", sa.BigInteger(), nullable=False),
        sa.Column("cpu_cap_percent", sa.BigInteger(), nullable=False),
        sa.Column("traffic_bytes", sa.BigInteger(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("cpu_cap_percent BETWEEN 0 AND 51200", name=op.f("ck_product_cpu_cap")),
        sa.CheckConstraint("cpu_weight BETWEEN 1 AND 65535", name=op.f("ck_product_cpu_weight")),
        sa.CheckConstraint("disk_mib BETWEEN 512 AND 1073741824", name=op.f("ck_product_disk")),
        sa.CheckConstraint("memory_mib BETWEEN 64 AND 4194304", name=op.f("ck_product_memory")),
        sa.CheckConstraint("swap_mib BETWEEN 0 AND 1048576", name=op.f("ck_product_swap")),
        sa.CheckConstraint("traffic_bytes >= 0", name=op.f("ck_product_traffic")),
        sa.CheckConstraint("vcpus BETWEEN 1 AND 512", name=op.f("ck_product_vcpus")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("name", name=op.f("uq_product_name")),
    )


def _price() -> None:
    op.create_table(
        "price",
        sa.Column("id", KEY, nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("renewal_of_id", KEY, nullable=True),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("setup_fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0 AND setup_fee_minor >= 0", name=op.f("ck_price_not_negative")),
        sa.CheckConstraint(
            "renewal_of_id IS NULL OR renewal_of_id <> id", name=op.f("ck_price_not_of_itself")
        ),
        sa.CheckConstraint(
            "renewal_of_id IS NULL OR setup_fee_minor = 0", name=op.f("ck_price_renewals_have_no_setup_fee")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_price_product_id")),
        sa.ForeignKeyConstraint(["renewal_of_id"], ["price.id"], name=op.f("fk_price_renewal_of_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price")),
    )
    op.create_index(op.f("ix_price_product_id"), "price", ["product_id"])
    op.create_index(op.f("ix_price_renewal_of_id"), "price", ["renewal_of_id"])


def _os_template() -> None:
    op.create_table(
        "os_template",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("method", choice("install_method", "bootstrap", "image"), nullable=False),
        sa.Column("distribution", sa.String(length=32), nullable=False),
        sa.Column("release", sa.String(length=32), nullable=False),
        sa.Column("arch", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("min_disk_mib", sa.BigInteger(), nullable=False),
        sa.Column("min_memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "min_disk_mib >= 0 AND min_memory_mib >= 0", name=op.f("ck_os_template_not_negative")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_os_template")),
        sa.UniqueConstraint("name", name=op.f("uq_os_template_name")),
    )
