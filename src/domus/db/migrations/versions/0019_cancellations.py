"""Contracts that were cancelled for a day.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("subscription", sa.Column("cancel_on", sa.Date(), nullable=True))
    op.add_column(
        "subscription", sa.Column("cancel_reason", sa.String(length=300), nullable=False, server_default="")
    )
    op.create_index(op.f("ix_subscription_cancel_on"), "subscription", ["cancel_on"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index(op.f("ix_subscription_cancel_on"), "subscription")
    with op.batch_alter_table("subscription") as table:
        table.drop_column("cancel_reason")
        table.drop_column("cancel_on")
