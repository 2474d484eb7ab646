"""Add-ons of products, orders and contracts.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, choice

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KINDS = ("ipv4", "disk", "memory", "vcpu")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "addon",
        sa.Column("id", KEY, nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", choice("addon_kind", *_KINDS), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("minimum", sa.BigInteger(), nullable=False),
        sa.Column("maximum", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("unit >= 1", name=op.f("ck_addon_unit")),
        sa.CheckConstraint(
            "minimum >= 0 AND maximum >= 1 AND minimum <= maximum", name=op.f("ck_addon_count")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_addon_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addon")),
        sa.UniqueConstraint("product_id", "name", name=op.f("uq_addon_product_id_name")),
    )
    op.create_table(
        "addon_price",
        sa.Column("addon_id", KEY, nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_addon_price_not_negative")),
        sa.ForeignKeyConstraint(
            ["addon_id"], ["addon.id"], name=op.f("fk_addon_price_addon_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("addon_id", "period", "currency", name=op.f("pk_addon_price")),
    )
    op.create_table(
        "order_addon",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("addon_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", choice("order_addon_kind", *_KINDS), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("count >= 1 AND amount_minor >= 0", name=op.f("ck_order_addon_not_negative")),
        sa.ForeignKeyConstraint(["addon_id"], ["addon.id"], name=op.f("fk_order_addon_addon_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order_.id"], name=op.f("fk_order_addon_order_id")),
        sa.PrimaryKeyConstraint("order_id", "addon_id", name=op.f("pk_order_addon")),
    )
    op.create_table(
        "subscription_addon",
        sa.Column("subscription_id", KEY, nullable=False),
        sa.Column("addon_id", KEY, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("count >= 1", name=op.f("ck_subscription_addon_count")),
        sa.ForeignKeyConstraint(["addon_id"], ["addon.id"], name=op.f("fk_subscription_addon_addon_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_subscription_addon_subscription_id")
        ),
        sa.PrimaryKeyConstraint("subscription_id", "addon_id", name=op.f("pk_subscription_addon")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("subscription_addon", "order_addon", "addon_price", "addon"):
        op.drop_table(table)
