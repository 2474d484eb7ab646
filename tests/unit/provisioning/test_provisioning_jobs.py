"""Jobs: a table like the others, and what ended stays as it ended."""

from __future__ import annotations

import pytest

from domus.accounts.actor import Actor
from domus.provisioning import jobs
from domus.provisioning.models import JobKind, JobState
from domus.provisioning.states import JOB_TRANSITIONS, OPEN
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

ACTOR = Actor.system("test")


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def test_what_ended_can_only_end_better():
    ended = [state for state in JobState if state not in OPEN]
    arrows = {(state, event) for state in ended for event in JOB_TRANSITIONS.events(state)}
    assert arrows == {(JobState.FAILED, "finish")}


def test_every_job_event_leads_to_one_state():
    for event in {event for _, event in JOB_TRANSITIONS.arrows}:
        assert len({target for (_, name), target in JOB_TRANSITIONS.arrows.items() if name == event}) == 1


def test_a_removal_supersedes_everything_and_a_power_job_only_its_like(shop):
    vps = shop.paid()
    with shop.db.unit_of_work() as session:
        for kind in (JobKind.START, JobKind.SHUTDOWN):
            jobs.open_job(session, vps.id, kind, revision=1, actor=ACTOR, now=NOW)
    by_kind = {job.kind: job.state for job in shop.jobs(vps.id)}
    assert by_kind == {
        JobKind.PROVISION: JobState.QUEUED,
        JobKind.START: JobState.SUPERSEDED,
        JobKind.SHUTDOWN: JobState.QUEUED,
    }
    with shop.db.unit_of_work() as session:
        jobs.open_job(session, vps.id, JobKind.REMOVE, revision=2, actor=ACTOR, now=NOW)
    assert [job.kind for job in shop.jobs(vps.id) if job.is_open] == [JobKind.REMOVE]


def test_a_job_closes_when_its_revision_holds_and_not_before(shop):
    vps = shop.active()
    with shop.db.unit_of_work() as session:
        jobs.open_job(session, vps.id, JobKind.START, revision=5, actor=ACTOR, now=NOW)
        jobs.finish_applied(session, vps.id, applied_revision=4, now=NOW)
    assert shop.jobs(vps.id)[-1].state is JobState.QUEUED
    with shop.db.unit_of_work() as session:
        jobs.finish_applied(session, vps.id, applied_revision=5, now=NOW)
    assert (shop.jobs(vps.id)[-1].state, shop.jobs(vps.id)[-1].percent) == (JobState.DONE, 100)


def test_a_job_that_ended_is_not_failed_afterwards(shop):
    vps = shop.active()
    with shop.db.unit_of_work() as session:
        jobs.fail(session, vps.id, JobKind.PROVISION, error="late", now=NOW)
    assert [(job.state, job.error) for job in shop.jobs(vps.id)] == [(JobState.DONE, "")]
