"""Runs on dom0s: when one is due, that there is one at a time, and what becomes of those that do not come back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.inventory.models import Dom0, Dom0State
from domus.provisioning.models import Dom0Run, JobState, OutboxMessage
from domus.vps.models import VpsState
from domus.workflows import orders, power, work
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

SECOND = timedelta(seconds=1)
LEASE = timedelta(minutes=5)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def due(shop: Shop, now=NOW) -> list[str]:
    return [dom0.minion_id for dom0 in work.due_dom0s(shop.db, now=now)]


def begin(shop: Shop, now=NOW, **options):
    return work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=now, **options)


def record(shop: Shop, jid: str, now=NOW, **changes) -> bool:
    returned = {"report": shop.machine.converge(now), "problem": ""} | changes
    return work.record_run(shop.db, minion_id=shop.machine.minion_id, jid=jid, now=now, **returned)


def open_runs(shop: Shop) -> list[Dom0Run]:
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(Dom0Run).where(Dom0Run.ended_at.is_(None))))


def outcomes(shop: Shop) -> list[str]:
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(Dom0Run.outcome).order_by(Dom0Run.id)))


def claim(shop: Shop, now=NOW) -> list[work.ClaimedMessage]:
    return work.claim_messages(shop.db, now=now)


def test_a_dom0_with_nothing_new_is_not_due(shop):
    assert due(shop) == []
    shop.order()
    assert due(shop) == []
    assert begin(shop) is None


def test_a_payment_makes_its_dom0_due_until_a_run_is_begun(shop):
    shop.paid()
    assert due(shop) == [shop.machine.minion_id]
    assert begin(shop).minion_id == shop.machine.minion_id
    assert due(shop) == []


def test_a_hundred_events_make_one_run(shop):
    for _ in range(3):
        shop.paid()
    tickets = [begin(shop) for _ in range(100)]
    assert [ticket is not None for ticket in tickets] == [True] + [False] * 99


def test_what_is_wanted_during_a_run_makes_the_dom0_due_after_it(shop):
    shop.paid()
    ticket = begin(shop)
    work.run_published(shop.db, run_id=ticket.run_id, jid="1", now=NOW)
    report = shop.machine.converge(NOW)
    shop.paid()
    assert due(shop) == []
    assert record(shop, "1", report=report) is True
    assert due(shop) == [shop.machine.minion_id]


def test_a_run_can_be_begun_by_the_dom0s_number_too(shop):
    shop.paid()
    assert work.begin_run(shop.db, dom0_id=shop.dom0s[0].id, now=NOW).dom0_id == shop.dom0s[0].id


def test_an_operator_can_have_a_run_where_nothing_is_due(shop):
    assert begin(shop, force=True) is not None
    assert begin(shop, force=True) is None


@pytest.mark.parametrize("state", [Dom0State.MAINTENANCE, Dom0State.LOST])
def test_a_dom0_that_is_left_alone_is_never_due_and_its_jobs_say_so(shop, state):
    vps = shop.paid()
    with shop.db.unit_of_work() as session:
        session.get_one(Dom0, vps.dom0_id).state = state
    assert due(shop) == []
    assert begin(shop, force=True) is None
    message = claim(shop)[0]
    assert work.order_paid(shop.db, message_id=message.id, order_id=vps.order_id, now=NOW) is None
    work.tick(shop.db, now=NOW)
    assert shop.jobs(vps.id)[0].note == f"{shop.machine.minion_id} is in state {state.value}"


def test_a_draining_dom0_still_works(shop):
    vps = shop.paid()
    with shop.db.unit_of_work() as session:
        session.get_one(Dom0, vps.dom0_id).state = Dom0State.DRAINING
    assert begin(shop) is not None


def test_an_unknown_minion_begins_nothing_and_tells_nothing(shop):
    assert work.begin_run(shop.db, minion_id="stranger", now=NOW) is None
    assert work.record_run(shop.db, minion_id="stranger", jid="1", report={}, now=NOW) is False
    assert work.record_jobs(shop.db, minion_id="stranger", jobs=[], now=NOW) is False
    work.record_report(shop.db, minion_id="stranger", report={}, now=NOW)
    work.record_power(shop.db, minion_id="stranger", changes=[], now=NOW)
    work.dom0_started(shop.db, minion_id="stranger", now=NOW)


def test_each_failed_run_waits_longer_and_the_order_says_so(shop):
    vps = shop.paid()
    now, waits = NOW, []
    for _ in range(9):
        assert due(shop, now) == [shop.machine.minion_id]
        ticket = begin(shop, now)
        work.run_failed(shop.db, run_id=ticket.run_id, problem="No response", now=now)
        waits.append((shop.dom0().next_run_at - now).total_seconds())
        assert due(shop, shop.dom0().next_run_at - SECOND) == []
        now = shop.dom0().next_run_at
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    job = shop.jobs(vps.id)[0]
    assert job.is_open
    assert "does not answer" in job.note
    assert shop.dom0().problem == "No response"


def test_new_wishes_do_not_undo_the_wait_for_a_dom0_that_does_not_answer(shop):
    shop.paid()
    work.run_failed(shop.db, run_id=begin(shop).run_id, problem="down", now=NOW)
    shop.paid()
    assert due(shop, NOW + SECOND) == []


def test_a_run_that_comes_back_forgets_the_failures(shop):
    vps = shop.paid()
    work.run_failed(shop.db, run_id=begin(shop).run_id, problem="down", now=NOW)
    shop.machine.run(NOW + timedelta(minutes=1))
    dom0 = shop.dom0()
    assert (dom0.failed_runs, dom0.problem) == (0, "")
    assert shop.jobs(vps.id)[0].note == ""


def test_a_dom0_that_comes_back_is_due_at_once(shop):
    shop.paid()
    ticket = begin(shop)
    work.run_published(shop.db, run_id=ticket.run_id, jid="1", now=NOW)
    work.dom0_started(shop.db, minion_id=shop.machine.minion_id, now=NOW + 3 * SECOND)
    assert due(shop, NOW + 3 * SECOND) == [shop.machine.minion_id]
    assert outcomes(shop) == ["lost: the minion was started anew"]


def test_a_run_past_its_lease_is_lost_and_begun_again(shop):
    shop.paid()
    begin(shop)
    assert due(shop, NOW + LEASE - SECOND) == []
    assert due(shop, NOW + LEASE) == []
    assert outcomes(shop) == ["lost"]
    again = shop.dom0().next_run_at
    assert due(shop, again) == [shop.machine.minion_id]


def test_a_late_return_brings_facts_but_does_not_end_the_run_after_it(shop):
    vps = shop.paid()
    first = begin(shop)
    work.run_published(shop.db, run_id=first.run_id, jid="first", now=NOW)
    shop.machine.converge(NOW)
    shop.machine.end_installs()
    late = shop.machine.converge(NOW)
    due(shop, NOW + LEASE)
    then = shop.dom0().next_run_at
    second = begin(shop, then)
    work.run_published(shop.db, run_id=second.run_id, jid="second", now=then)
    record(shop, "first", now=then, report=late)
    assert [run.jid for run in open_runs(shop)] == ["second"]
    assert shop.vps(vps.id).state is VpsState.ACTIVE


def test_a_return_that_overtakes_the_note_of_its_jid_ends_its_run(shop):
    shop.paid()
    ticket = begin(shop)
    record(shop, "1")
    work.run_published(shop.db, run_id=ticket.run_id, jid="1", now=NOW)
    assert open_runs(shop) == []
    assert outcomes(shop) == ["done"]


def test_a_return_told_twice_is_told_once(shop):
    shop.paid()
    begin(shop)
    record(shop, "1")
    record(shop, "1")
    assert outcomes(shop) == ["done"]


def test_a_jid_of_another_dom0_ends_nothing(db):
    shop = make_shop(db, dom0s=2)
    shop.paid(), shop.paid()
    for dom0 in work.due_dom0s(db, now=NOW):
        ticket = work.begin_run(db, dom0_id=dom0.dom0_id, now=NOW)
        work.run_published(db, run_id=ticket.run_id, jid=f"jid-{dom0.minion_id}", now=NOW)
    other = shop.machines[1].minion_id
    work.record_run(
        db, minion_id=shop.machine.minion_id, jid=f"jid-{other}", report=None, problem="x", now=NOW
    )
    assert len(open_runs(shop)) == 2


@pytest.mark.parametrize("report", [None, {}, {"schema_version": 2}, ["not", "a", "map"], "text"])
def test_a_return_without_a_readable_report_counts_as_failed(shop, report):
    shop.paid()
    begin(shop)
    assert record(shop, "1", report=report, problem="Pillar failed to render") is False
    dom0 = shop.dom0()
    assert dom0.failed_runs == 1
    assert dom0.problem
    assert due(shop, dom0.next_run_at) == [shop.machine.minion_id]


def test_a_report_in_another_dom0s_name_is_refused(db):
    shop = make_shop(db, dom0s=2)
    vps = shop.paid()
    begin(shop)
    shop.machine.converge(NOW)
    shop.machine.end_installs()
    report = shop.machine.converge(NOW)
    liar = shop.machines[1].minion_id
    work.record_report(db, minion_id=liar, report=report, now=NOW)
    work.record_report(db, minion_id=liar, report=report | {"minion_id": liar}, now=NOW)
    assert shop.vps(vps.id).state is VpsState.PROVISIONING


def test_an_installation_under_way_is_looked_at_again_and_what_holds_is_not(shop):
    shop.paid()
    shop.machine.run(NOW)
    again = shop.dom0().next_run_at
    assert again == NOW + timedelta(minutes=1)
    shop.machine.end_installs()
    shop.machine.run(again)
    assert shop.dom0().next_run_at is None
    assert due(shop, again + timedelta(days=1)) == []


def test_the_dom0s_own_word_on_when_to_look_again_is_heard(shop):
    vps = shop.active()
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=NOW)
    begin(shop)
    report = shop.machine.report(NOW)
    report["vps"][str(vps.id)] |= {"revision": None, "look_again_at": "2026-11-20T12:02:00Z"}
    record(shop, "1", report=report)
    assert shop.dom0().next_run_at == NOW + timedelta(minutes=2)


def test_an_event_during_a_run_is_not_forgotten_by_its_end(shop):
    shop.paid()
    shop.machine.run(NOW)
    ticket = begin(shop, NOW + timedelta(minutes=1))
    report = shop.machine.report(NOW)
    jobs = shop.machine.end_installs()
    assert work.record_jobs(shop.db, minion_id=shop.machine.minion_id, jobs=jobs, now=NOW) is True
    work.run_published(shop.db, run_id=ticket.run_id, jid="1", now=NOW)
    assert record(shop, "1", report=report) is True


def test_a_claimed_message_is_nobody_elses_until_its_lease_is_over(any_db):
    shop = make_shop(any_db)
    order = shop.pay(shop.order())
    [message] = claim(shop)
    assert message.tag == "domus/order/paid"
    assert message.payload == {"order_id": str(order.id), "message_id": message.id}
    assert claim(shop, NOW + timedelta(seconds=29)) == []
    assert [again.id for again in claim(shop, NOW + timedelta(seconds=30))] == [message.id]


def test_a_message_is_done_once_its_outcome_is_recorded(shop):
    vps = shop.paid()
    [message] = claim(shop)
    answer = work.order_paid(shop.db, message_id=message.id, order_id=vps.order_id, now=NOW)
    assert answer == shop.machine.minion_id
    assert claim(shop, NOW + timedelta(hours=1)) == []
    with shop.db.reading() as session:
        row = session.get_one(OutboxMessage, message.id)
    assert (row.done_at, row.outcome) == (NOW, f"a run on {shop.machine.minion_id}")


def test_a_forged_payment_event_finishes_no_message_and_runs_nothing(shop):
    paid, unpaid = shop.paid(), shop.order()
    [message] = claim(shop)
    assert work.order_paid(shop.db, message_id=message.id, order_id=unpaid.id, now=NOW) is None
    assert work.vps_changed(shop.db, message_id=message.id, vps_id=shop.vps_of(unpaid).id, now=NOW) is None
    assert work.console_wanted(shop.db, message_id=message.id, vps_id=paid.id, now=NOW) is None
    assert [again.id for again in claim(shop, NOW + timedelta(minutes=1))] == [message.id]


def test_a_message_about_what_holds_already_runs_nothing(shop):
    vps = shop.active()
    [message] = claim(shop)
    assert work.order_paid(shop.db, message_id=message.id, order_id=vps.order_id, now=NOW) is None
    assert claim(shop, NOW + timedelta(hours=1)) == []


def test_a_changed_vps_names_its_dom0(shop):
    vps = shop.active()
    claim(shop)
    power.shutdown(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=NOW)
    [message] = [m for m in claim(shop) if m.tag == "domus/vps/changed"]
    assert work.vps_changed(shop.db, message_id=message.id, vps_id=vps.id, now=NOW) == shop.machine.minion_id


def test_an_installation_that_takes_too_long_is_given_up_and_can_still_end_well(shop):
    vps = shop.paid()
    shop.machine.run(NOW)
    over = NOW + timedelta(hours=2)
    work.tick(shop.db, now=over - SECOND)
    assert shop.vps(vps.id).state is VpsState.PROVISIONING
    work.tick(shop.db, now=over)
    assert shop.vps(vps.id).state is VpsState.PROVISION_FAILED
    assert [(job.state, job.error) for job in shop.jobs(vps.id)] == [(JobState.FAILED, work.OVERDUE)]
    jobs = shop.machine.end_installs()
    assert work.record_jobs(shop.db, minion_id=shop.machine.minion_id, jobs=jobs, now=over) is True
    shop.machine.run(over)
    assert shop.vps(vps.id).state is VpsState.ACTIVE
    assert [(job.state, job.error) for job in shop.jobs(vps.id)] == [(JobState.DONE, "")]
    order = orders.get(shop.db, order_id=vps.order_id, actor=shop.people.as_alice)
    assert order.fulfilled_at == over


def test_the_tick_does_all_that_time_makes_due(shop):
    order = shop.order()
    work.tick(shop.db, now=NOW + timedelta(hours=24))
    assert shop.vps_of(order).state is VpsState.CANCELLED


def test_the_end_of_an_installation_that_a_run_told_already_makes_nothing_due(shop):
    shop.paid()
    shop.machine.run(NOW)
    jobs = shop.machine.end_installs()
    shop.machine.run(NOW + timedelta(minutes=2))
    later = NOW + timedelta(minutes=3)
    assert work.record_jobs(shop.db, minion_id=shop.machine.minion_id, jobs=jobs, now=later) is False
    assert due(shop, later) == []


def test_what_a_dom0_says_of_itself_is_its_problem_until_a_run_says_otherwise(shop):
    shop.paid()
    begin(shop)
    record(shop, "1", report=shop.machine.converge(NOW) | {"problem": "9 removals are due at once"})
    assert (shop.dom0().problem, shop.dom0().failed_runs) == ("9 removals are due at once", 0)
    begin(shop, force=True)
    record(shop, "2")
    assert shop.dom0().problem == ""
