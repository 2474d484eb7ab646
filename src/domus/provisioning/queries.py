"""Jobs and runs as they are shown. Reads only."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.provisioning.models import Job, JobState
from domus.vps.models import Vps


def newest_jobs(session: Session, vps_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Job]:
    """Return the newest job of each VPS that has any, for `vps.shown`."""
    newest = (
        sa.select(
            Job.id,
            sa.func.row_number()
            .over(partition_by=Job.vps_id, order_by=(Job.revision.desc(), Job.created_at.desc()))
            .label("place"),
        )
        .where(Job.vps_id.in_(vps_ids))
        .subquery()
    )
    query = sa.select(Job).join(newest, newest.c.id == Job.id).where(newest.c.place == 1)
    return {job.vps_id: job for job in session.scalars(query)}


def jobs_of(session: Session, vps_id: uuid.UUID, *, limit: int = 50) -> Sequence[Job]:
    """Return the jobs of a VPS, the newest first."""
    query = sa.select(Job).where(Job.vps_id == vps_id)
    return session.scalars(query.order_by(Job.revision.desc(), Job.created_at.desc()).limit(limit)).all()


def list_jobs(session: Session, *, states: Collection[JobState] = (), limit: int = 100) -> Sequence[Job]:
    """Return jobs with their VPSs and dom0s, the newest first."""
    query = sa.select(Job).order_by(Job.created_at.desc(), Job.id).limit(limit)
    if states:
        query = query.where(Job.state.in_(states))
    return session.scalars(query.options(joinedload(Job.vps).joinedload(Vps.dom0))).all()
