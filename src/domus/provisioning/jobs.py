"""Jobs: opened with a wish, moved on by what the dom0 reports, closed when the wish holds."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.provisioning.models import Job, JobKind, JobState
from domus.provisioning.reports import InstallJob
from domus.provisioning.states import JOB_TRANSITIONS, OPEN, POWER_KINDS
from domus.vps.models import Vps

#: What a dom0's kinds of jobs are here, and what one waits for.
_DOM0_JOBS = {
    "install": (JobKind.PROVISION, "other installations run on its dom0"),
    "remove": (JobKind.REMOVE, "the disks of another VPS are overwritten on its dom0"),
}


def open_job(
    session: Session,
    vps_id: uuid.UUID,
    kind: JobKind,
    *,
    revision: int,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> Job:
    """Open the job of a revision.

    It supersedes what was asked for before and has not ended; a removal supersedes all.
    """
    older = () if kind is JobKind.REMOVE else (Job.kind.in_((*POWER_KINDS, kind)),)
    _change(session, "supersede", Job.vps_id == vps_id, *older, finished_at=now)
    job = Job(
        vps_id=vps_id, kind=kind, revision=revision, actor=actor.name, reason=reason[:500], created_at=now
    )
    session.add(job)
    session.flush()  # The caller hands the job's id on.
    return job


def find_open(session: Session, vps_id: uuid.UUID, kind: JobKind) -> Job | None:
    """Return the job of a kind that has not ended; there is one at most, for each supersedes those before it."""
    return session.scalar(
        sa.select(Job).where(Job.vps_id == vps_id, Job.kind == kind, Job.state.in_(OPEN)).limit(1)
    )


def finish_applied(session: Session, vps_id: uuid.UUID, *, applied_revision: int, now: datetime) -> None:
    """Close the jobs whose revision holds."""
    _change(
        session, "finish", Job.vps_id == vps_id, Job.state.in_(OPEN), Job.revision <= applied_revision,
        percent=100, note="", finished_at=now,
    )  # fmt: skip


def finish_late(session: Session, vps_id: uuid.UUID, *, revision: int, now: datetime) -> None:
    """Close the provisioning that was given up and ended well after all."""
    _change(
        session, "finish",
        Job.vps_id == vps_id, Job.kind == JobKind.PROVISION,
        Job.state == JobState.FAILED, Job.revision == revision,
        percent=100, error="", note="", finished_at=now,
    )  # fmt: skip


def finish_removal(session: Session, vps_id: uuid.UUID, *, now: datetime) -> None:
    """Close all that is open: nothing is left that it could happen to."""
    _change(
        session, "finish", Job.vps_id == vps_id, Job.state.in_(OPEN), percent=100, note="", finished_at=now
    )


def fail(session: Session, vps_id: uuid.UUID, kind: JobKind, *, error: str, now: datetime) -> None:
    """Close the open job of a kind as failed."""
    _change(
        session, "fail", Job.vps_id == vps_id, Job.kind == kind, error=error[:1000], note="", finished_at=now
    )


def cancel_all(session: Session, vps_id: uuid.UUID, *, now: datetime) -> None:
    """Close all open jobs: their VPS is not wanted any more."""
    _change(session, "supersede", Job.vps_id == vps_id, note="", finished_at=now)


def progress(session: Session, vps_id: uuid.UUID, seen: InstallJob, *, now: datetime) -> None:
    """Write how far an installation or a removal is; a job that ended keeps what it ended with."""
    kind, waits_for = _DOM0_JOBS[seen.kind]
    which = (Job.vps_id == vps_id, Job.kind == kind)
    if seen.state != "queued":
        _change(session, "begin", *which, started_at=now)
    session.execute(
        sa.update(Job)
        .where(*which, Job.state.in_(OPEN))
        .values(
            step=seen.step,
            percent=seen.percent,
            steps=list(seen.steps),
            log=seen.log,
            note=_why_queued(session, vps_id, kind, waits_for) if seen.state == "queued" else "",
        )
    )


def _why_queued(session: Session, vps_id: uuid.UUID, kind: JobKind, waits_for: str) -> str:
    """Return what a queued job waits for: another of its kind that runs on its dom0, or only its dom0's next breath."""
    dom0_id = sa.select(Vps.dom0_id).where(Vps.id == vps_id).scalar_subquery()
    other = sa.select(Job.id).where(
        Job.state == JobState.RUNNING,
        Job.kind == kind,
        Job.vps_id != vps_id,
        Job.vps_id.in_(sa.select(Vps.id).where(Vps.dom0_id == dom0_id)),
    )
    is_busy = session.scalar(sa.select(other.exists()))
    return f"waits for its turn: {waits_for}" if is_busy else "is about to begin"


def begin_waiting(session: Session, dom0_id: int, *, now: datetime) -> None:
    """Mark the power jobs of a dom0 as begun: a run for them is on its way."""
    _change(session, "begin", _on_dom0(dom0_id), Job.kind != JobKind.PROVISION, started_at=now, note="")


def set_note(session: Session, dom0_id: int, note: str) -> None:
    """Say on every open job of a dom0 what it waits for; an empty note says that it waits no more."""
    session.execute(
        sa.update(Job)
        .where(Job.state.in_(OPEN), _on_dom0(dom0_id), Job.note != note[:500])
        .values(note=note[:500]),
        execution_options={"synchronize_session": False},
    )


def _on_dom0(dom0_id: int) -> sa.ColumnElement[bool]:
    return Job.vps_id.in_(sa.select(Vps.id).where(Vps.dom0_id == dom0_id))


def _change(session: Session, event: str, *which: sa.ColumnElement[bool], **values: Any) -> None:
    """Let *event* happen to the jobs from whose state the table allows it.

    The others are left as they ended.
    """
    sources = [old for (old, name) in JOB_TRANSITIONS.arrows if name == event]
    session.execute(
        sa.update(Job)
        .where(Job.state.in_(sources), *which)
        .values(state=JOB_TRANSITIONS.after(sources[0], event), **values),
        execution_options={"synchronize_session": False},
    )
