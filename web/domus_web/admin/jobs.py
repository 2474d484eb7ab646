"""Jobs: what was asked of a VPS, until it holds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload

from domus.provisioning.models import Job, JobKind, JobState
from domus.vps.models import Vps, VpsState
from domus.workflows import orders
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, Doing
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, by_whom, link, machine, plain, state, when
from domus_web.operator.searching import parse_uuid


def _retry(doing: Doing) -> str:
    orders.retry(doing.db, vps_id=doing.model.vps_id, actor=doing.actor, reason=doing.reason, now=doing.now)
    return f"{doing.model.vps} is being installed again."


def _can_be_retried(job: Job) -> bool:
    return (
        job.kind is JobKind.PROVISION
        and job.state is JobState.FAILED
        and job.vps.state is VpsState.PROVISION_FAILED
    )


def _progress(_view: Any, _context: Any, row: Job, _name: str) -> Markup | str:
    what = row.error or row.note or row.step
    if row.state in (JobState.QUEUED, JobState.RUNNING):
        return Markup('{} % <span class="sub">{}</span>').format(row.percent, what or "waits for its dom0")
    tone = "problem" if row.error else "muted"
    return Markup('<span class="{}">{}</span>').format(tone, what or NOTHING)


class JobView(ActingView):
    """All jobs."""

    singular = "Job"
    has_name = False
    intro = "What was asked of VPSs. A job is done when its dom0 says that it holds."
    empty_message = "Paying an order makes the first job."
    details_template = "operator/job.html"
    column_list = ("kind", "state", "vps", "dom0", "progress", "actor", "created_at", "finished_at")
    column_details_list = (
        "id", "state", "vps", "dom0", "revision", "step", "note", "error", "actor", "reason", "created_at", "started_at",
        "finished_at",
    )  # fmt: skip
    column_labels = {
        "id": "Id", "kind": "What", "vps": "VPS", "dom0": "Dom0", "actor": "Asked by", "created_at": "Asked",
        "started_at": "Begun", "finished_at": "Ended",
    }  # fmt: skip
    column_formatters = {
        "id": machine("id"),
        "kind": lambda _v, _c, row, _n: row.kind.value.replace("_", " "),
        "state": state("state"),
        "vps": lambda _v, _c, row, _n: link("operator_vps.details_view", row.vps, id=row.vps_id),
        "dom0": lambda _v, _c, row, _n: link("operator_dom0s.details_view", row.vps.dom0, id=row.vps.dom0_id),
        "progress": _progress,
        "step": plain("step"),
        "note": plain("note"),
        "error": plain("error"),
        "reason": plain("reason"),
        "actor": by_whom(),
        "created_at": when("created_at"),
        "started_at": when("started_at", "not yet"),
        "finished_at": when("finished_at", "not yet"),
    }
    default_order = ("created_at", True)
    list_options = details_options = (joinedload(Job.vps).joinedload(Vps.dom0),)
    choices = (
        by_state(Job.state, JobState),
        Of("vps", "VPS", Job.vps_id),
    )
    search_hint = "uuid of the job or of its VPS, or the VPS's name"
    acts = (
        Act(
            name="retry",
            label="Install again",
            run=_retry,
            offered=_can_be_retried,
            consequence=lambda job: (
                f"The installation of {job.vps} is begun anew on {job.vps.dom0}. "
                "What the failed attempt left on its own volumes is overwritten; nothing of the customer's is there yet."
            ),
        ),
    )

    def title_of(self, model: Job) -> str:
        """Name a job by what it does."""
        return f"Job: {model.kind.value.replace('_', ' ')} {model.vps}"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find jobs by uuid, or by their VPS."""
        key = parse_uuid(text)
        if key is not None:
            return query.where(sa.or_(Job.id == key, Job.vps_id == key))
        return query.where(Job.vps_id.in_(sa.select(Vps.id).where(Vps.name == text.lower())))
