"""The renewals of one contract by an index: its pages looked through the renewals of all contracts.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_renewal_subscription_id_invoice_id", "renewal", ["subscription_id", "invoice_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_renewal_subscription_id_invoice_id", table_name="renewal")
