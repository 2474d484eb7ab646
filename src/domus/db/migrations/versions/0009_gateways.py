"""Payments into the balance; what gateways said, were asked, gave back.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.gateways``, and let a payment belong to an account alone."""
    with op.batch_alter_table("payment") as payment:
        payment.alter_column("invoice_id", existing_type=KEY, nullable=True)
        payment.add_column(sa.Column("account_id", KEY, nullable=True))
        payment.create_foreign_key("fk_payment_account_id", "account", ["account_id"], ["id"])
        payment.create_index("ix_payment_account_id", ["account_id"])
    op.execute(
        "UPDATE payment SET account_id = (SELECT account_id FROM invoice WHERE invoice.id = payment.invoice_id)"
    )
    _event()
    _refusal()
    _saved_method()
    _attempt()
    _refund()
    _dispute()


def downgrade() -> None:
    """Drop them. Payments into the balance have no place in the older schema, so there may be none."""
    for table in (
        "dispute", "gateway_refund", "payment_attempt", "saved_method", "gateway_refusal", "gateway_event"
    ):  # fmt: skip
        op.drop_table(table)
    with op.batch_alter_table("payment") as payment:
        payment.drop_index("ix_payment_account_id")
        payment.drop_constraint("fk_payment_account_id", type_="foreignkey")
        payment.drop_column("account_id")
        payment.alter_column("invoice_id", existing_type=KEY, nullable=False)


def _event() -> None:
    op.create_table(
        "gateway_event",
        sa.Column("id", KEY, nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column(
            "state",
            choice("gateway_event_state", "waiting", "done", "ignored", "attention"),
            nullable=False,
        ),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_event")),
        sa.UniqueConstraint("gateway", "event_id", name=op.f("uq_gateway_event_gateway_event_id")),
    )
    op.create_index("ix_gateway_event_state_next_attempt_at", "gateway_event", ["state", "next_attempt_at"])
    op.create_index("ix_gateway_event_gateway_subject", "gateway_event", ["gateway", "subject"])


def _refusal() -> None:
    op.create_table(
        "gateway_refusal",
        sa.Column("id", KEY, nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("last_from", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_refusal")),
        sa.UniqueConstraint("gateway", "day", "reason", name=op.f("uq_gateway_refusal_gateway_day_reason")),
    )
    op.create_index(op.f("ix_gateway_refusal_day"), "gateway_refusal", ["day"])


def _saved_method() -> None:
    op.create_table(
        "saved_method",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("customer", sa.String(length=128), nullable=False),
        sa.Column("method", sa.String(length=128), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_saved_method_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_method")),
        sa.UniqueConstraint("gateway", "method", name=op.f("uq_saved_method_gateway_method")),
    )
    op.create_index(op.f("ix_saved_method_account_id"), "saved_method", ["account_id"])


def _attempt() -> None:
    op.create_table(
        "payment_attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("invoice_id", KEY, nullable=True),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("kind", choice("attempt_kind", "pay", "charge", "save"), nullable=False),
        sa.Column("state", choice("attempt_state", "open", "done", "failed"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("method_id", KEY, nullable=True),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_look_at", MOMENT, nullable=True),
        sa.Column("looks", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_payment_attempt_account_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_attempt_invoice_id")),
        sa.ForeignKeyConstraint(
            ["method_id"], ["saved_method.id"], name=op.f("fk_payment_attempt_method_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_attempt")),
    )
    op.create_index(op.f("ix_payment_attempt_account_id"), "payment_attempt", ["account_id"])
    op.create_index(op.f("ix_payment_attempt_invoice_id"), "payment_attempt", ["invoice_id"])
    op.create_index(
        "ix_payment_attempt_one_open_charge",
        "payment_attempt",
        ["invoice_id"],
        unique=True,
        **only_where("kind = 'charge' AND state = 'open'"),
    )
    op.create_index("ix_payment_attempt_state_next_look_at", "payment_attempt", ["state", "next_look_at"])
    op.create_index(op.f("ix_payment_attempt_created_at"), "payment_attempt", ["created_at"])
    op.create_index("ix_payment_attempt_gateway_reference", "payment_attempt", ["gateway", "reference"])


def _refund() -> None:
    op.create_table(
        "gateway_refund",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", KEY, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", choice("refund_state", "asked", "done", "failed"), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=True),
        sa.Column("from_outside", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_gateway_refund_positive")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_gateway_refund_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_refund")),
        sa.UniqueConstraint("payment_id", "reference", name=op.f("uq_gateway_refund_payment_id_reference")),
    )
    op.create_index(op.f("ix_gateway_refund_created_at"), "gateway_refund", ["created_at"])
    op.create_index(op.f("ix_gateway_refund_payment_id"), "gateway_refund", ["payment_id"])
    op.create_index("ix_gateway_refund_state_next_attempt_at", "gateway_refund", ["state", "next_attempt_at"])


def _dispute() -> None:
    op.create_table(
        "dispute",
        sa.Column("id", KEY, nullable=False),
        sa.Column("payment_id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("state", choice("dispute_state", "open", "won", "lost"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_dispute_account_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_dispute_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint("gateway", "reference", name=op.f("uq_dispute_gateway_reference")),
    )
    op.create_index(op.f("ix_dispute_account_id"), "dispute", ["account_id"])
    op.create_index(op.f("ix_dispute_payment_id"), "dispute", ["payment_id"])
