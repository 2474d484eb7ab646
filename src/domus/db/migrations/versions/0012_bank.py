"""Statements of the bank.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "bank_statement",
        sa.Column("id", KEY, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("iban", sa.String(length=40), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.Column("imported_by", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("digest", name=op.f("uq_bank_statement_digest")),
    )
    op.create_table(
        "bank_line",
        sa.Column("id", KEY, nullable=False),
        sa.Column("statement_id", KEY, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("payer", sa.String(length=200), nullable=False),
        sa.Column("payer_iban", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("bank_reference", sa.String(length=300), nullable=False),
        sa.Column("is_reversal", sa.Boolean(), nullable=False),
        sa.Column(
            "state", choice("bank_line_state", "new", "booked", "unmatched", "set_aside"), nullable=False
        ),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("payment_id", KEY, nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_bank_line_payment_id")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_bank_line_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_line")),
        sa.UniqueConstraint("key", name=op.f("uq_bank_line_key")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_bank_line_payment_id")),
    )
    op.create_index("ix_bank_line_state_id", "bank_line", ["state", "id"])
    op.create_index(op.f("ix_bank_line_statement_id"), "bank_line", ["statement_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("bank_line")
    op.drop_table("bank_statement")
