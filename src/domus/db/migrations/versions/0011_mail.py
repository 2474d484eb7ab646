"""Mails that wait or went out, operators' words for them, and requests for a new password.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.mail``."""
    _outgoing_mail()
    _mail_template()
    _password_reset()


def downgrade() -> None:
    """Drop them."""
    for table in ("password_reset", "mail_template", "outgoing_mail"):
        op.drop_table(table)


def _outgoing_mail() -> None:
    op.create_table(
        "outgoing_mail",
        sa.Column("id", KEY, nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", KEY, nullable=True),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("cause", sa.String(length=128), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("state", choice("mail_state", "waiting", "sent", "given_up"), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_outgoing_mail_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_mail")),
        sa.UniqueConstraint("cause", "recipient", name=op.f("uq_outgoing_mail_cause_recipient")),
    )
    op.create_index(op.f("ix_outgoing_mail_account_id"), "outgoing_mail", ["account_id"])
    op.create_index(op.f("ix_outgoing_mail_sent_at"), "outgoing_mail", ["sent_at"])
    op.create_index("ix_outgoing_mail_state_id", "outgoing_mail", ["state", "id"])
    op.create_index("ix_outgoing_mail_state_next_attempt_at", "outgoing_mail", ["state", "next_attempt_at"])
    op.create_index(
        "ix_outgoing_mail_recipient_prefix",
        "outgoing_mail",
        ["recipient"],
        postgresql_ops={"recipient": "text_pattern_ops"},
    )


def _mail_template() -> None:
    op.create_table(
        "mail_template",
        sa.Column("id", KEY, nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_template")),
        sa.UniqueConstraint("event", "language", name=op.f("uq_mail_template_event_language")),
    )


def _password_reset() -> None:
    op.create_table(
        "password_reset",
        sa.Column("id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_.id"], name=op.f("fk_password_reset_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_reset")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_password_reset_token_hash")),
    )
    op.create_index(op.f("ix_password_reset_user_id"), "password_reset", ["user_id"])
    op.create_index(op.f("ix_password_reset_requested_at"), "password_reset", ["requested_at"])
