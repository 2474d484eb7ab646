"""The Debian mirror of a location.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "location", sa.Column("debian_mirror", sa.String(length=200), server_default="", nullable=False)
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("location", "debian_mirror")
