"""Work that is on its way.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of ``domus.provisioning``."""
    _job()
    _outbox_message()
    _dom0_run()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("dom0_run")
    op.drop_table("outbox_message")
    op.drop_table("job")


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vps_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            choice("job_kind", "provision", "start", "shutdown", "power_off", "reboot", "remove"),
            nullable=False,
        ),
        sa.Column(
            "state", choice("job_state", "queued", "running", "done", "failed", "superseded"), nullable=False
        ),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("error", sa.String(length=1000), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["vps_id"], ["vps.id"], name=op.f("fk_job_vps_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_created_at"), "job", ["created_at"])
    op.create_index("ix_job_state_created_at", "job", ["state", "created_at", "id"])
    op.create_index("ix_job_vps_id_state", "job", ["vps_id", "state"])


def _outbox_message() -> None:
    op.create_table(
        "outbox_message",
        sa.Column("id", KEY, nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
    )
    op.create_index(
        "ix_outbox_message_pending",
        "outbox_message",
        ["next_attempt_at"],
        unique=False,
        **only_where("done_at IS NULL"),
    )


def _dom0_run() -> None:
    op.create_table(
        "dom0_run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dom0_id", KEY, nullable=False),
        sa.Column("jid", sa.String(length=32), nullable=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(["dom0_id"], ["dom0.id"], name=op.f("fk_dom0_run_dom0_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dom0_run")),
        sa.UniqueConstraint("jid", name=op.f("uq_dom0_run_jid")),
    )
    op.create_index(op.f("ix_dom0_run_dom0_id"), "dom0_run", ["dom0_id"])
    op.create_index(
        "uq_dom0_run_open", "dom0_run", ["dom0_id"], unique=True, **only_where("ended_at IS NULL")
    )
