"""Power: who may, when, and what becomes of what was asked before."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.core.errors import Conflict, NotAllowed, NotFound
from domus.inventory.models import Dom0, Dom0State
from domus.provisioning.models import JobKind, JobState, OutboxMessage
from domus.vps.models import Power, SuspensionReason, Vps
from domus.workflows import power, work
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

LATER = NOW + timedelta(minutes=10)
ABUSE, UNPAID = SuspensionReason.ABUSE, SuspensionReason.UNPAID


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def wish(shop: Shop, vps: Vps) -> dict:
    return shop.machine.pillar()["vps"][str(vps.id)]


@pytest.mark.parametrize(
    ("action", "kind", "expected"),
    [
        (power.start, JobKind.START, {"wanted": "running", "boot_serial": 0}),
        (power.shutdown, JobKind.SHUTDOWN, {"wanted": "stopped", "stop_mode": "graceful"}),
        (power.power_off, JobKind.POWER_OFF, {"wanted": "stopped", "stop_mode": "hard"}),
        (power.reboot, JobKind.REBOOT, {"wanted": "running", "boot_serial": 1, "reboot_mode": "soft"}),
    ],
)
def test_an_action_becomes_a_job_a_message_and_a_wish_that_the_dom0_fulfils(
    shop, vps, action, kind, expected
):
    job = action(shop.db, vps_id=vps.id, actor=shop.people.as_bob, reason="please", now=LATER)
    assert (job.kind, job.state, job.revision) == (kind, JobState.QUEUED, vps.revision + 1)
    assert expected.items() <= wish(shop, vps).items()
    with shop.db.reading() as session:
        message = session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id.desc())).first()
        event = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.id.desc())).first()
    assert (message.tag, message.payload) == ("domus/vps/changed", {"vps_id": str(vps.id)})
    assert (event.action, event.actor, event.reason) == (
        f"vps.{kind.value}",
        shop.people.as_bob.name,
        "please",
    )
    assert shop.machine.run(LATER)
    done = shop.jobs(vps.id)[-1]
    assert (done.state, done.percent, done.finished_at) == (JobState.DONE, 100, LATER)
    assert shop.vps(vps.id).observed_power.value == expected["wanted"]


def test_a_hard_reboot_says_so(shop, vps):
    power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, hard=True, now=LATER)
    assert wish(shop, vps)["reboot_mode"] == "hard"


def messages(shop: Shop) -> int:
    with shop.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage))


def test_a_reboot_pressed_two_hundred_times_is_one_reboot(shop, vps):
    before = messages(shop)
    pressed = {
        power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER).id for _ in range(200)
    }
    assert len(pressed) == 1
    assert (shop.vps(vps.id).revision, messages(shop)) == (vps.revision + 1, before + 1)
    assert wish(shop, vps)["boot_serial"] == 1
    assert [job.kind for job in shop.jobs(vps.id)] == [JobKind.PROVISION, JobKind.REBOOT]


@pytest.mark.parametrize("action", [power.start, power.shutdown, power.power_off, power.reboot])
def test_what_is_asked_for_again_while_it_runs_is_the_job_that_runs(shop, vps, action):
    first = action(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=LATER)
    again = action(shop.db, vps_id=vps.id, actor=shop.people.as_bob, now=LATER)
    assert (again.id, again.state) == (first.id, JobState.RUNNING)
    assert shop.vps(vps.id).revision == vps.revision + 1


@pytest.mark.parametrize("action", [power.start, power.shutdown, power.power_off, power.reboot])
def test_what_is_asked_for_again_after_it_was_done_is_done_again(shop, vps, action):
    first = action(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    shop.machine.run(LATER)
    assert action(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER).id != first.id


def test_a_hard_reboot_is_not_kept_waiting_by_a_soft_one_but_is_itself_enough(shop, vps):
    soft = power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    hard = power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, hard=True, now=LATER)
    again = power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    assert (soft.id != hard.id, again.id) == (True, hard.id)
    assert wish(shop, vps)["reboot_mode"] == "hard"


def test_a_shutdown_counts_although_a_suspension_is_stopping_it_already(shop, vps):
    suspend(shop, vps, ABUSE)
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    release(shop, vps, ABUSE)
    assert wish(shop, vps)["wanted"] == "stopped"


def test_a_newer_wish_supersedes_an_older_one_that_has_not_ended(shop, vps):
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    power.start(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    assert [(job.kind, job.state) for job in shop.jobs(vps.id)] == [
        (JobKind.PROVISION, JobState.DONE),
        (JobKind.SHUTDOWN, JobState.SUPERSEDED),
        (JobKind.START, JobState.QUEUED),
    ]


ACTIONS = [power.start, power.shutdown, power.power_off, power.reboot]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_stranger_learns_nothing_and_changes_nothing(shop, vps, action):
    with pytest.raises(NotFound):
        action(shop.db, vps_id=vps.id, actor=shop.people.as_charlie, now=LATER)
    assert shop.vps(vps.id).revision == vps.revision


@pytest.mark.parametrize("action", ACTIONS)
def test_before_it_is_handed_over_there_is_nothing_to_switch(shop, action):
    vps = shop.paid()
    with pytest.raises(Conflict, match="provisioning"):
        action(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    assert shop.vps(vps.id).revision == vps.revision


def test_on_a_lost_dom0_nothing_is_promised(shop, vps):
    with shop.db.unit_of_work() as session:
        session.get_one(Dom0, vps.dom0_id).state = Dom0State.LOST
    with pytest.raises(Conflict, match="lost"):
        power.start(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)


def suspend(shop: Shop, vps: Vps, reason: SuspensionReason) -> None:
    power.suspend(
        shop.db, vps_id=vps.id, suspension=reason, note="told", actor=shop.people.as_olga, now=LATER
    )


def release(shop: Shop, vps: Vps, reason: SuspensionReason) -> None:
    power.release(shop.db, vps_id=vps.id, suspension=reason, actor=shop.people.as_olga, now=LATER)


@pytest.mark.parametrize("actor", ["as_alice", "as_olga"])
@pytest.mark.parametrize("action", [power.start, power.reboot])
def test_what_is_suspended_is_started_by_nobody(shop, vps, action, actor):
    suspend(shop, vps, ABUSE)
    with pytest.raises(Conflict, match="abuse"):
        action(shop.db, vps_id=vps.id, actor=getattr(shop.people, actor), now=LATER)


def test_a_suspension_stops_it_and_the_last_release_starts_it_again(shop, vps):
    suspend(shop, vps, ABUSE)
    suspend(shop, vps, UNPAID)
    assert wish(shop, vps)["wanted"] == "stopped"
    shop.machine.run(LATER)
    assert shop.vps(vps.id).observed_power is Power.STOPPED
    release(shop, vps, UNPAID)
    assert wish(shop, vps)["wanted"] == "stopped"
    release(shop, vps, ABUSE)
    assert wish(shop, vps)["wanted"] == "running"
    shop.machine.run(LATER)
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    assert {job.state for job in shop.jobs(vps.id)} <= {JobState.DONE, JobState.SUPERSEDED}


def test_what_was_off_before_a_suspension_stays_off_after_it(shop, vps):
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    suspend(shop, vps, ABUSE)
    release(shop, vps, ABUSE)
    assert wish(shop, vps)["wanted"] == "stopped"


@pytest.mark.parametrize("action", [power.suspend, power.release])
def test_customers_neither_suspend_nor_release(shop, vps, action):
    with pytest.raises(NotAllowed):
        action(shop.db, vps_id=vps.id, suspension=ABUSE, note="", actor=shop.people.as_alice, now=LATER)
