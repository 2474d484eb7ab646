"""Coupons.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, only_where

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _add_coupon()
    op.create_table(
        "coupon_product",
        sa.Column("coupon_id", KEY, nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("fk_coupon_product_coupon_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_coupon_product_product_id")),
        sa.PrimaryKeyConstraint("coupon_id", "product_id", name=op.f("pk_coupon_product")),
    )
    op.create_index("ix_coupon_product_product_id", "coupon_product", ["product_id"])
    _add_use()
    op.create_table(
        "coupon_discount",
        sa.Column("invoice_id", KEY, nullable=False),
        sa.Column("use_id", KEY, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_coupon_discount_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_coupon_discount_invoice_id")),
        sa.ForeignKeyConstraint(["use_id"], ["coupon_use.id"], name=op.f("fk_coupon_discount_use_id")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_coupon_discount")),
    )
    op.create_index("ix_coupon_discount_use_id", "coupon_discount", ["use_id"])


def downgrade() -> None:
    """Drop them."""
    for table in ("coupon_discount", "coupon_use", "coupon_product", "coupon"):
        op.drop_table(table)


def _add_coupon() -> None:
    op.create_table(
        "coupon",
        sa.Column("id", KEY, nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("millipercent", sa.BigInteger(), nullable=False),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.Column("covers_setup_fee", sa.Boolean(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=True),
        sa.Column("max_uses", sa.BigInteger(), nullable=True),
        sa.Column("max_uses_per_account", sa.BigInteger(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("periods", sa.JSON(), nullable=False),
        sa.Column("first_order_only", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "used >= 0 AND (max_uses IS NULL OR used <= max_uses)", name=op.f("ck_coupon_uses")
        ),
        sa.CheckConstraint("millipercent BETWEEN 0 AND 100000", name=op.f("ck_coupon_percent")),
        sa.CheckConstraint("payments IS NULL OR payments >= 1", name=op.f("ck_coupon_payments")),
        sa.CheckConstraint(
            "max_uses_per_account IS NULL OR max_uses_per_account >= 1", name=op.f("ck_coupon_per_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon")),
        sa.UniqueConstraint("code", name=op.f("uq_coupon_code")),
    )


def _add_use() -> None:
    op.create_table(
        "coupon_use",
        sa.Column("id", KEY, nullable=False),
        sa.Column("coupon_id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("millipercent", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=True),
        sa.Column("used_at", MOMENT, nullable=False),
        sa.Column("given_back_at", MOMENT, nullable=True),
        sa.CheckConstraint("place >= 1", name=op.f("ck_coupon_use_place")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_coupon_use_account_id")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("fk_coupon_use_coupon_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order_.id"], name=op.f("fk_coupon_use_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coupon_use")),
        sa.UniqueConstraint("order_id", name=op.f("uq_coupon_use_order_id")),
    )
    op.create_index("ix_coupon_use_account_id", "coupon_use", ["account_id"])
    op.create_index("ix_coupon_use_coupon", "coupon_use", ["coupon_id", "id"])
    op.create_index(
        "uq_coupon_use_place", "coupon_use", ["coupon_id", "account_id", "place"], unique=True,
        **only_where("given_back_at IS NULL"),
    )  # fmt: skip
