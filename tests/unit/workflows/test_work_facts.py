"""What a dom0 says: believed about its own VPSs, in any order, as often as it likes, and never about the future."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import OrderState
from domus.core.clock import iso_z
from domus.provisioning.models import JobState
from domus.vps.models import Power, SuspensionReason, Vps, VpsState, VpsTransition
from domus.workflows import orders, power, work
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def tell(shop: Shop, now=LATER, *, at=None, **changes) -> None:
    """Send a report in which every VPS is as the dom0 has it, but for the changes."""
    report = shop.machine.report(at or now)
    for entry in report["vps"].values():
        entry.update(changes)
    work.record_report(shop.db, minion_id=shop.machine.minion_id, report=report, now=now)


def beacon(shop: Shop, vps: Vps, power_: str, reason: str = "", *, at=LATER, now=LATER) -> None:
    change = {"uuid": str(vps.id), "name": vps.name, "power": power_, "power_reason": reason, "at": iso_z(at)}
    work.record_power(shop.db, minion_id=shop.machine.minion_id, changes=[change], now=now)


def history(shop: Shop, vps: Vps, kind: str) -> list[tuple[str, str, str]]:
    with shop.db.reading() as session:
        query = sa.select(VpsTransition.old, VpsTransition.new, VpsTransition.reason)
        where = (VpsTransition.vps_id == vps.id, VpsTransition.kind == kind)
        return [tuple(row) for row in session.execute(query.where(*where).order_by(VpsTransition.id))]


def test_a_vps_that_runs_as_wanted_is_handed_over(shop):
    vps = shop.active()
    order = orders.get(shop.db, order_id=vps.order_id, actor=shop.people.as_alice)
    assert (vps.state, vps.applied_revision, vps.observed_power) == (VpsState.ACTIVE, 1, Power.RUNNING)
    assert (order.state, order.fulfilled_at) == (OrderState.FULFILLED, NOW + timedelta(minutes=2))
    assert [job.state for job in shop.jobs(vps.id)] == [JobState.DONE]
    assert [(old, new) for old, new, _ in history(shop, vps, "state")] == [
        ("reserved", "provisioning"),
        ("provisioning", "active"),
    ]


def test_progress_is_shown_while_it_installs(shop):
    vps = shop.paid()
    shop.machine.run(NOW)
    job = shop.jobs(vps.id)[0]
    assert (job.state, job.step, job.percent, job.log) == (JobState.RUNNING, "unpack", 40, "unpacking")
    assert job.steps == [{"name": "unpack", "title": "Unpacking", "state": "running", "seconds": 1.5}]


def queued(shop: Shop, vps: Vps) -> str:
    """Have the dom0 say that an installation waits; return what its job says then."""
    shop.machine.converge(NOW)
    install = shop.machine.guests[str(vps.id)].install | {"state": "queued", "percent": 0, "step": None}
    work.record_jobs(shop.db, minion_id=shop.machine.minion_id, jobs=[install], now=NOW)
    (job,) = shop.jobs(vps.id)
    assert job.state is JobState.QUEUED
    return job.note


def test_a_job_that_waits_for_another_says_so(shop):
    shop.paid()
    shop.machine.run(NOW)
    assert queued(shop, shop.paid()) == "waits for its turn: other installations run on its dom0"


def test_a_lone_job_waits_for_nobody(shop):
    assert queued(shop, shop.paid()) == "is about to begin"


def test_the_end_of_a_run_does_not_hide_what_a_job_waits_for(shop):
    vps = shop.paid()
    ticket = work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=NOW)
    work.run_published(shop.db, run_id=ticket.run_id, jid="1", now=NOW)
    report = shop.machine.converge(NOW)
    report["vps"][str(vps.id)]["install"] |= {"state": "queued", "percent": 0, "step": None}
    work.record_run(shop.db, minion_id=shop.machine.minion_id, jid="1", report=report, now=NOW)
    assert shop.jobs(vps.id)[0].note == "is about to begin"


def test_a_failed_installation_is_told_with_its_error(shop):
    vps = shop.failed(error="No space left on device")
    job = shop.jobs(vps.id)[0]
    assert vps.state is VpsState.PROVISION_FAILED
    assert (job.state, job.error) == (JobState.FAILED, "No space left on device")
    assert history(shop, vps, "state")[-1] == ("provisioning", "provision_failed", "No space left on device")


def test_the_failure_of_an_earlier_attempt_does_not_fail_the_next_one(shop):
    vps = shop.failed()
    late = shop.machine.report(LATER)
    install = dict(next(iter(shop.machine.guests.values())).install)
    orders.retry(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    work.record_report(shop.db, minion_id=shop.machine.minion_id, report=late, now=LATER)
    assert work.record_jobs(shop.db, minion_id=shop.machine.minion_id, jobs=[install], now=LATER)
    assert shop.vps(vps.id).state is VpsState.PROVISIONING


def test_a_revision_that_holds_is_never_taken_back_and_never_ahead(shop):
    vps = shop.active()
    power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=NOW)
    tell(shop, revision=99, seen_revision=99)
    assert shop.vps(vps.id).applied_revision == 2
    tell(shop, revision=1, seen_revision=1)
    assert shop.vps(vps.id).applied_revision == 2


def test_a_report_before_the_newest_wish_does_not_end_its_job(shop):
    vps = shop.active()
    power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=NOW)
    tell(shop)
    assert shop.jobs(vps.id)[-1].is_open


def test_a_problem_is_kept_until_it_is_over(shop):
    vps = shop.active()
    tell(shop, problem="its disk has 10 MiB and should have 20")
    assert "should have 20" in shop.vps(vps.id).problem
    tell(shop, LATER + timedelta(seconds=1), problem=None)
    assert shop.vps(vps.id).problem == ""


def test_old_news_changes_neither_power_nor_problem(shop):
    vps = shop.active()
    tell(shop, LATER)
    tell(shop, LATER + timedelta(minutes=1), at=NOW, power="crashed", problem="old")
    beacon(shop, vps, "crashed", at=NOW)
    now = shop.vps(vps.id)
    assert (now.observed_power, now.problem, now.observed_at) == (Power.RUNNING, "", LATER)


def test_a_dom0_whose_clock_runs_ahead_does_not_block_what_follows(shop):
    vps = shop.active()
    tell(shop, LATER, at=LATER + timedelta(days=365))
    tell(shop, LATER + timedelta(minutes=1), power="crashed")
    assert shop.vps(vps.id).observed_power is Power.CRASHED


def run_by_a_slow_clock(shop: Shop, now, **changes) -> None:
    """Take a run whose dom0 has a clock that is a year behind."""
    ticket = work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=now, force=True)
    work.run_published(shop.db, run_id=ticket.run_id, jid="20261120120000000099", now=now)
    report = shop.machine.report(now - timedelta(days=365))
    for entry in report["vps"].values():
        entry.update(changes)
    came = {"minion_id": shop.machine.minion_id, "jid": "20261120120000000099", "report": report}
    work.record_run(shop.db, **came, now=now + timedelta(seconds=5))


def test_what_a_run_returns_counts_although_the_clock_of_its_dom0_was_set_back(shop):
    vps = shop.active()
    tell(shop, LATER)
    run_by_a_slow_clock(shop, LATER + timedelta(minutes=1), power="crashed", problem="it fell over")
    now = shop.vps(vps.id)
    assert (now.observed_power, now.problem) == (Power.CRASHED, "it fell over")
    assert now.observed_at == LATER + timedelta(minutes=1)


def test_the_return_of_a_run_that_has_ended_may_be_old_news(shop):
    vps = shop.active()
    run_by_a_slow_clock(shop, LATER)
    late = shop.machine.report(NOW)
    late["vps"][str(vps.id)]["power"] = "crashed"
    came = {"minion_id": shop.machine.minion_id, "jid": "20261120120000000099", "report": late}
    work.record_run(shop.db, **came, now=LATER + timedelta(minutes=1))
    assert shop.vps(vps.id).observed_power is Power.RUNNING


def test_a_change_from_a_clock_that_was_set_back_is_not_believed_but_looked_into(shop):
    vps = shop.active()
    tell(shop, LATER)
    beacon(shop, vps, "crashed", at=NOW)
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    assert shop.dom0().next_run_at == LATER + timedelta(seconds=10)


def test_late_word_of_what_is_known_already_calls_no_run(shop):
    vps = shop.active()
    tell(shop, LATER)
    beacon(shop, vps, "running", at=NOW)
    assert shop.dom0().next_run_at is None


def test_a_power_change_is_written_with_its_reason(shop):
    vps = shop.active()
    beacon(shop, vps, "stopped", "destroyed")
    assert history(shop, vps, "observed")[-1] == ("running", "stopped", "destroyed")
    assert shop.vps(vps.id).wanted_power is Power.RUNNING


def test_what_went_down_by_itself_is_looked_at_soon(shop):
    vps = shop.active()
    beacon(shop, vps, "crashed", "crashed")
    assert shop.dom0().next_run_at == LATER + timedelta(seconds=10)
    assert shop.machine.run(LATER + timedelta(seconds=10))
    assert shop.vps(vps.id).observed_power is Power.RUNNING


@pytest.mark.parametrize("told_by", ["beacon", "report"])
def test_a_guest_that_shut_itself_down_stays_down(shop, told_by):
    vps = shop.active()
    if told_by == "beacon":
        beacon(shop, vps, "stopped", "guest")
    else:
        tell(shop, power="stopped", power_reason="guest")
    now = shop.vps(vps.id)
    assert (now.wanted_power, now.observed_power) == (Power.STOPPED, Power.STOPPED)
    assert history(shop, vps, "wanted")[-1] == ("running", "stopped", "shut down from inside")
    assert shop.machine.run(LATER)
    assert shop.machine.pillar()["vps"][str(vps.id)]["wanted"] == "stopped"
    assert not work.due_dom0s(shop.db, now=LATER)


@pytest.mark.parametrize("told_by", ["beacon", "report"])
def test_a_shutdown_from_before_a_start_does_not_undo_the_start(shop, told_by):
    """The guest went down; before that was told, its owner pressed start."""
    vps = shop.active()
    power.start(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    if told_by == "beacon":
        beacon(shop, vps, "stopped", "guest")
    else:
        tell(shop, power="stopped", power_reason="guest")
    assert shop.vps(vps.id).wanted_power is Power.RUNNING


def test_a_guest_that_goes_down_while_suspended_is_still_wanted_up_afterwards(shop):
    vps = shop.active()
    olga = shop.people.as_olga
    power.suspend(shop.db, vps_id=vps.id, suspension=SuspensionReason.ABUSE, actor=olga, now=NOW)
    shop.machine.run(LATER)
    tell(shop, LATER + timedelta(seconds=1), power="stopped", power_reason="guest")
    assert shop.vps(vps.id).wanted_power is Power.RUNNING


def test_a_power_change_that_was_asked_for_makes_the_run_come_at_once(shop):
    vps = shop.active()
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=NOW)
    work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=NOW)
    work.record_run(
        shop.db, minion_id=shop.machine.minion_id, jid="1", report=shop.machine.report(NOW), now=NOW
    )
    beacon(shop, vps, "stopped", "shutdown")
    assert [dom0.minion_id for dom0 in work.due_dom0s(shop.db, now=LATER)] == [shop.machine.minion_id]


@pytest.mark.parametrize(("seen", "calls"), [("stopped", False), ("running", True)])
def test_a_new_machine_that_is_seen_before_its_first_start_calls_for_no_run(shop, seen, calls):
    vps, soon = shop.paid(), NOW + timedelta(seconds=5)
    shop.machine.run(NOW)
    beacon(shop, vps, seen, at=soon, now=soon)
    assert bool(work.due_dom0s(shop.db, now=soon)) is calls


def test_a_dom0_is_not_heard_about_the_vps_of_another(db):
    shop = make_shop(db, dom0s=2)
    vps = shop.active()
    liar = shop.machines[1].minion_id
    assert vps.dom0_id == shop.dom0s[0].id
    change = {"uuid": str(vps.id), "power": "stopped", "power_reason": "guest", "at": iso_z(LATER)}
    work.record_power(db, minion_id=liar, changes=[change], now=LATER)
    install = dict(next(iter(shop.machine.guests.values())).install) | {"state": "failed"}
    assert work.record_jobs(db, minion_id=liar, jobs=[install], now=LATER) is False
    now = shop.vps(vps.id)
    assert (now.observed_power, now.wanted_power, now.state) == (
        Power.RUNNING,
        Power.RUNNING,
        VpsState.ACTIVE,
    )


def test_a_dom0_is_not_heard_about_a_vps_that_is_not_paid(shop):
    vps = shop.vps_of(shop.order())
    change = {"uuid": str(vps.id), "power": "running", "at": iso_z(LATER)}
    work.record_power(shop.db, minion_id=shop.machine.minion_id, changes=[change], now=LATER)
    assert shop.vps(vps.id).observed_power is Power.ABSENT


@pytest.mark.parametrize("token", ["another", "none"])
def test_only_the_right_token_proves_a_removal(shop, token):
    vps = shop.failed()
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    tell(shop, removed_token=str(uuid.uuid4()) if token == "another" else None, power="absent")
    assert shop.vps(vps.id).state is VpsState.REMOVING


def test_a_removal_token_of_a_vps_that_lives_buries_nothing(shop):
    vps = shop.active()
    tell(shop, removed_token=str(uuid.uuid4()))
    assert shop.vps(vps.id).state is VpsState.ACTIVE


def test_what_a_report_does_not_mention_is_left_as_it_is(shop):
    vps = shop.active()
    report = shop.machine.report(LATER) | {"vps": {}}
    work.record_report(shop.db, minion_id=shop.machine.minion_id, report=report, now=LATER)
    now = shop.vps(vps.id)
    assert (now.state, now.observed_power) == (VpsState.ACTIVE, Power.RUNNING)


def test_a_broken_entry_spoils_itself_only(shop):
    good, broken = shop.paid(), shop.paid()
    shop.machine.converge(NOW)
    shop.machine.end_installs()
    report = shop.machine.converge(NOW)
    report["vps"][str(broken.id)]["power"] = "levitating"
    report["vps"]["not a uuid"] = {}
    work.record_report(shop.db, minion_id=shop.machine.minion_id, report=report, now=NOW)
    assert shop.vps(good.id).state is VpsState.ACTIVE
    assert shop.vps(broken.id).state is VpsState.PROVISIONING


def test_an_unchanged_report_costs_the_same_for_one_vps_and_for_ten(shop):
    def statements() -> int:
        seen = []

        def count(*_arguments) -> None:
            seen.append(1)

        sa.event.listen(shop.db.engine, "before_cursor_execute", count)
        tell(shop, LATER + timedelta(hours=1))
        sa.event.remove(shop.db.engine, "before_cursor_execute", count)
        return len(seen)

    shop.active()
    tell(shop)
    one = statements()
    for _ in range(9):
        shop.paid()
    shop.machine.run(LATER)
    shop.machine.end_installs()
    shop.machine.run(LATER + timedelta(minutes=2))
    tell(shop, LATER + timedelta(minutes=3))
    assert len(shop.machine.guests) == 10
    assert statements() == one
