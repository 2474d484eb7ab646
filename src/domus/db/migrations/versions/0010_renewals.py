"""Renewals, and what is done about contracts that are not paid.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.renewals``."""
    _renewal_terms()
    _renewal()
    _dunning_step()
    _subscription_hold()


def downgrade() -> None:
    """Drop them."""
    for table in ("subscription_hold", "dunning_step", "renewal", "renewal_terms"):
        op.drop_table(table)


def _renewal_terms() -> None:
    op.create_table(
        "renewal_terms",
        sa.Column("product_id", KEY, nullable=False),
        sa.Column("invoice_days", sa.BigInteger(), nullable=False),
        sa.Column("remind_before", sa.JSON(), nullable=False),
        sa.Column("remind_after", sa.JSON(), nullable=False),
        sa.Column("last_warning_days", sa.BigInteger(), nullable=False),
        sa.Column("suspend_days", sa.BigInteger(), nullable=False),
        sa.Column("end_days", sa.BigInteger(), nullable=False),
        sa.Column("grace_days", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_renewal_terms_product_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_renewal_terms")),
    )


def _renewal() -> None:
    op.create_table(
        "renewal",
        sa.Column("invoice_id", KEY, nullable=False),
        sa.Column("subscription_id", KEY, nullable=False),
        sa.Column("price_id", KEY, nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.CheckConstraint("starts_on < ends_on", name=op.f("ck_renewal_period")),
        sa.CheckConstraint(
            "settled_at IS NULL OR withdrawn_at IS NULL", name=op.f("ck_renewal_settled_or_withdrawn")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_renewal_invoice_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_renewal_subscription_id")
        ),
        sa.ForeignKeyConstraint(["price_id"], ["price.id"], name=op.f("fk_renewal_price_id")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_renewal")),
    )
    op.create_index(
        "uq_renewal_living", "renewal", ["subscription_id", "starts_on"], unique=True,
        **only_where("withdrawn_at IS NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_renewal_open", "renewal", ["invoice_id"],
        **only_where("settled_at IS NULL AND withdrawn_at IS NULL"),
    )  # fmt: skip


def _dunning_step() -> None:
    kinds = ("before", "expired", "after", "last_warning", "suspended", "ended")
    op.create_table(
        "dunning_step",
        sa.Column("id", KEY, nullable=False),
        sa.Column("subscription_id", KEY, nullable=False),
        sa.Column("paid_until", sa.Date(), nullable=False),
        sa.Column("kind", choice("dunning_step_kind", *kinds), nullable=False),
        sa.Column("day", sa.SmallInteger(), nullable=False),
        sa.Column("invoice_id", KEY, nullable=True),
        sa.Column("done_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_dunning_step_subscription_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_dunning_step_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_step")),
        sa.UniqueConstraint(
            "subscription_id", "paid_until", "kind", "day",
            name=op.f("uq_dunning_step_subscription_id_paid_until_kind_day"),
        ),
    )  # fmt: skip
    op.create_index(op.f("ix_dunning_step_invoice_id"), "dunning_step", ["invoice_id"])


def _subscription_hold() -> None:
    op.create_table(
        "subscription_hold",
        sa.Column("subscription_id", KEY, nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_subscription_hold_subscription_id")
        ),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription_hold")),
    )
