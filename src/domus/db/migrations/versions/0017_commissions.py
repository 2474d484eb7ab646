"""Commissions for whoever brings customers.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "commission_rate",
        sa.Column("id", KEY, nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("millipercent", sa.BigInteger(), nullable=False),
        sa.Column("fixed_minor", sa.BigInteger(), nullable=False),
        sa.Column("on_renewals", sa.Boolean(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.CheckConstraint("millipercent BETWEEN 0 AND 100000", name=op.f("ck_commission_rate_percent")),
        sa.CheckConstraint(
            "fixed_minor >= 0 AND millipercent + fixed_minor > 0", name=op.f("ck_commission_rate_something")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_commission_rate_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission_rate")),
        sa.UniqueConstraint("product_id", "currency", name=op.f("uq_commission_rate_product_id_currency")),
    )
    op.create_table(
        "referral_code",
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_referral_code_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_referral_code")),
        sa.UniqueConstraint("code", name=op.f("uq_referral_code_code")),
    )
    op.create_table(
        "referral",
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("referrer_id", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("account_id <> referrer_id", name=op.f("ck_referral_not_oneself")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_referral_account_id")),
        sa.ForeignKeyConstraint(["referrer_id"], ["account.id"], name=op.f("fk_referral_referrer_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_referral")),
    )
    op.create_index("ix_referral_referrer_id", "referral", ["referrer_id"])
    _add_commission()


def downgrade() -> None:
    """Drop them."""
    for table in ("commission", "referral", "referral_code", "commission_rate"):
        op.drop_table(table)


def _add_commission() -> None:
    op.create_table(
        "commission",
        sa.Column("id", KEY, nullable=False),
        sa.Column("invoice_id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reversed_minor", sa.BigInteger(), nullable=False),
        sa.Column(
            "state", choice("commission_state", "pending", "credited", "paid_out", "reversed"), nullable=False
        ),
        sa.Column("earned_at", MOMENT, nullable=False),
        sa.Column("payable_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_commission_positive")),
        sa.CheckConstraint(
            "reversed_minor BETWEEN 0 AND amount_minor", name=op.f("ck_commission_reversed_of_it")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_commission_account_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_commission_invoice_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_commission_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commission")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_commission_invoice_id")),
    )
    op.create_index("ix_commission_state_payable", "commission", ["state", "payable_at"])
    op.create_index("ix_commission_account", "commission", ["account_id", "id"])
