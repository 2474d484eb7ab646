"""Work that is on its way: jobs that people watch, messages to Salt, and state runs on dom0s."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.db.base import Base, big_pk, enum_column, uuid_pk
from domus.inventory.models import Dom0
from domus.vps.models import Vps


class JobKind(StrEnum):
    """What a job does."""

    PROVISION = "provision"
    START = "start"
    SHUTDOWN = "shutdown"
    POWER_OFF = "power_off"
    REBOOT = "reboot"
    REMOVE = "remove"


class JobState(StrEnum):
    """The way of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """Something newer was wanted before it ended."""


class Job(Base):
    """A change of one VPS that somebody asked for, until it holds.

    The job of ``revision`` is done when that is applied.
    """

    __tablename__ = "job"
    __table_args__ = (
        sa.Index("ix_job_vps_id_state", "vps_id", "state"),
        sa.Index("ix_job_state_created_at", "state", "created_at", "id"),
    )

    id: Mapped[uuid_pk]
    vps_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("vps.id"))
    revision: Mapped[int]
    kind: Mapped[JobKind] = enum_column(JobKind, name="job_kind")
    state: Mapped[JobState] = enum_column(JobState, name="job_state", default=JobState.QUEUED)
    actor: Mapped[str] = mapped_column(sa.String(300))
    reason: Mapped[str] = mapped_column(sa.String(500), default="")
    step: Mapped[str] = mapped_column(sa.String(64), default="")
    percent: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    steps: Mapped[list[Any]] = mapped_column(sa.JSON, default=list)
    """As the dom0 reports them (``docs/contracts.md`` 3)."""
    log: Mapped[str] = mapped_column(sa.Text, default="")
    """The last lines of the dom0's log of it."""
    error: Mapped[str] = mapped_column(sa.String(1000), default="")
    note: Mapped[str] = mapped_column(sa.String(500), default="")
    """What it waits for, when it waits."""
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    vps: Mapped[Vps] = relationship()

    @property
    def is_open(self) -> bool:
        """Tell whether it may still change."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)

    def __str__(self) -> str:
        return f"{self.kind.value} {self.vps}"


class OutboxMessage(Base):
    """Something that Salt must be told, written in the transaction that made it true.

    A row is finished only when its outcome is recorded. Until then it is fired again whenever its lease runs
    out: at least once, never lost, and whoever receives it reads the database again.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        sa.Index(
            "ix_outbox_message_pending", "next_attempt_at",
            sqlite_where=sa.text("done_at IS NULL"), postgresql_where=sa.text("done_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[big_pk]
    tag: Mapped[str] = mapped_column(sa.String(64))
    """The event's tag, such as ``domus/order/paid``."""
    payload: Mapped[dict[str, Any]]
    """An id; never facts to trust."""
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(sa.String(500), default="")


class Dom0Run(Base):
    """A state run on a dom0. At most one is open per dom0, which a partial unique index holds."""

    __tablename__ = "dom0_run"
    __table_args__ = (
        sa.Index(
            "uq_dom0_run_open", "dom0_id", unique=True,
            sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[big_pk]
    dom0_id: Mapped[int] = mapped_column(sa.ForeignKey("dom0.id"), index=True)
    jid: Mapped[str | None] = mapped_column(sa.String(32), unique=True)
    started_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    """Past it, the run counts as lost and another may begin."""
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(sa.String(1000), default="")
    """``done``, ``lost``, or what went wrong."""

    dom0: Mapped[Dom0] = relationship()
