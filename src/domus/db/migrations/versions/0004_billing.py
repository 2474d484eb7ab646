"""What is owed and what was paid.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.billing``."""
    _order()
    _invoice()
    _invoice_line()
    _payment()
    _ledger_transaction()
    _ledger_entry()
    _number_series()
    _subscription()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("subscription")
    op.drop_table("number_series")
    op.drop_table("ledger_entry")
    op.drop_table("ledger_transaction")
    op.drop_table("payment")
    op.drop_table("invoice_line")
    op.drop_table("invoice")
    op.drop_table("order_")


def _order() -> None:
    op.create_table(
        "order_",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("price_id", KEY, nullable=False),
        sa.Column(
            "state",
            choice("order_state", "placed", "paid", "fulfilled", "cancelled", "refunded"),
            nullable=False,
        ),
        sa.Column("request_token", sa.String(length=64), nullable=False),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("hold_until", MOMENT, nullable=False),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.Column("fulfilled_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_order__account_id")),
        sa.ForeignKeyConstraint(["price_id"], ["price.id"], name=op.f("fk_order__price_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_")),
        sa.UniqueConstraint("account_id", "request_token", name=op.f("uq_order__account_id_request_token")),
        sa.UniqueConstraint("number", name=op.f("uq_order__number")),
    )
    op.create_index(op.f("ix_order__account_id"), "order_", ["account_id"])
    op.create_index(op.f("ix_order__hold_until"), "order_", ["hold_until"])
    op.create_index(op.f("ix_order__placed_at"), "order_", ["placed_at"])
    op.create_index("ix_order__state_number", "order_", ["state", "number"])


def _invoice() -> None:
    op.create_table(
        "invoice",
        sa.Column("id", KEY, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=True),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("state", choice("invoice_state", "open", "paid", "cancelled"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(state = 'paid') = (number IS NOT NULL)", name=op.f("ck_invoice_numbered_when_paid")
        ),
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name=op.f("ck_invoice_gross")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_invoice_account_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order_.id"], name=op.f("fk_invoice_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
    )
    op.create_index(op.f("ix_invoice_account_id"), "invoice", ["account_id"])
    op.create_index(op.f("ix_invoice_order_id"), "invoice", ["order_id"])
    op.create_index("ix_invoice_state_id", "invoice", ["state", "id"])


def _invoice_line() -> None:
    op.create_table(
        "invoice_line",
        sa.Column("id", KEY, nullable=False),
        sa.Column("invoice_id", KEY, nullable=False),
        sa.Column("text", sa.String(length=300), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_line")),
    )
    op.create_index(op.f("ix_invoice_line_invoice_id"), "invoice_line", ["invoice_id"])


def _payment() -> None:
    op.create_table(
        "payment",
        sa.Column("id", KEY, nullable=False),
        sa.Column("invoice_id", KEY, nullable=False),
        sa.Column("gateway", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("state", choice("payment_state", "confirmed", "refunded"), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("refunded_at", MOMENT, nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("gateway", "reference", name=op.f("uq_payment_gateway_reference")),
    )
    op.create_index(op.f("ix_payment_invoice_id"), "payment", ["invoice_id"])
    op.create_index("ix_payment_state_id", "payment", ["state", "id"])


def _ledger_transaction() -> None:
    op.create_table(
        "ledger_transaction",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transaction")),
        sa.UniqueConstraint("reference", name=op.f("uq_ledger_transaction_reference")),
    )
    op.create_index(op.f("ix_ledger_transaction_at"), "ledger_transaction", ["at"])


def _ledger_entry() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("id", KEY, nullable=False),
        sa.Column("transaction_id", KEY, nullable=False),
        sa.Column("ledger_account", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transaction.id"], name=op.f("fk_ledger_entry_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
    )
    op.create_index(op.f("ix_ledger_entry_ledger_account"), "ledger_entry", ["ledger_account"])
    op.create_index(op.f("ix_ledger_entry_transaction_id"), "ledger_entry", ["transaction_id"])


def _number_series() -> None:
    op.create_table(
        "number_series",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("next_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_number_series")),
    )


def _subscription() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("price_id", KEY, nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("anchor_day", sa.SmallInteger(), nullable=False),
        sa.Column("paid_until", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_subscription_account_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order_.id"], name=op.f("fk_subscription_order_id")),
        sa.ForeignKeyConstraint(["price_id"], ["price.id"], name=op.f("fk_subscription_price_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sa.UniqueConstraint("order_id", name=op.f("uq_subscription_order_id")),
    )
    op.create_index(op.f("ix_subscription_account_id"), "subscription", ["account_id"])
    op.create_index(op.f("ix_subscription_paid_until"), "subscription", ["paid_until"])
