"""What happens to the machine of a contract that is not paid, and what stops it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from domus.provisioning import outbox
from domus.provisioning.models import JobKind, OutboxMessage
from domus.renewals.dunning import Terms
from domus.renewals.models import DunningStep, StepKind
from domus.vps.models import Power, SuspensionReason, Vps, VpsState
from domus.workflows import power
from domus.workflows.renewals import dunning, running
from tests.support.contracts import contract, due, pay, renewals_of, run, run_daily, steps_of
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

UNPAID = SuspensionReason.UNPAID


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def hold(shop: Shop, vps: Vps, until: int, *, at: int, reason: str = "promised to pay") -> None:
    dunning.hold(
        shop.db, vps_id=vps.id, until=due(shop, vps, until).date(), reason=reason,
        actor=shop.people.as_olga, now=due(shop, vps, at),
    )  # fmt: skip


def messages(shop: Shop) -> list[tuple[str, str]]:
    with shop.db.reading() as session:
        rows = session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id)).all()
    return [(row.tag, row.payload.get("vps_id", "")) for row in rows]


def test_a_step_says_when_it_was_taken_and_about_what(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    [renewal] = renewals_of(shop, vps)
    with shop.db.reading() as session:
        step = session.scalars(sa.select(DunningStep)).one()
    assert (step.kind, step.day, step.done_at) == (StepKind.BEFORE, 10, now)
    assert (step.paid_until, step.invoice_id) == (contract(shop, vps).paid_until, renewal.invoice_id)


def test_a_suspension_shuts_it_down_by_a_state_run_under_its_own_tag(shop, vps):
    run_daily(shop, vps, -10, 14)
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    report = running.run(shop.db, now=due(shop, vps, 15))
    assert report.suspended == 1
    assert messages(shop)[-1] == (outbox.SUBSCRIPTION_SUSPENDED, str(vps.id))
    assert shop.machine.run(due(shop, vps, 15))
    assert shop.vps(vps.id).observed_power is Power.STOPPED
    [suspension] = shop.vps(vps.id).suspensions
    until = contract(shop, vps).paid_until
    assert (suspension.reason, suspension.note) == (UNPAID, f"not paid since {until:%Y-%m-%d}")


def test_the_end_keeps_the_disk_for_the_grace_time_and_names_it_in_a_tombstone(shop, vps):
    run_daily(shop, vps, -10, 21)
    assert shop.vps(vps.id).state is VpsState.ACTIVE
    now = due(shop, vps, 22)
    assert run(shop, now).ended == 1
    ended = shop.vps(vps.id)
    assert (ended.state, ended.remove_not_before) == (VpsState.REMOVING, now + timedelta(days=7))
    assert messages(shop)[-1] == (outbox.SUBSCRIPTION_ENDED, str(vps.id))
    assert shop.jobs(vps.id)[-1].kind is JobKind.REMOVE
    wish = shop.machine.pillar()["vps"][str(vps.id)]
    assert (wish["wanted"], wish["tombstone"]["token"]) == ("absent", str(ended.tombstone_token))
    assert contract(shop, vps).ended_on == now.date()
    assert broken(shop.db) == []
    shop.machine.run(now + timedelta(days=7, minutes=1))
    assert shop.vps(vps.id).state is VpsState.REMOVED
    assert broken(shop.db) == []


def test_what_was_released_by_hand_is_suspended_again_unless_it_is_held(shop, vps):
    now = run_daily(shop, vps, -10, 15)
    olga = shop.people.as_olga
    power.release(shop.db, vps_id=vps.id, suspension=UNPAID, note="on its way", actor=olga, now=now)
    hold(shop, vps, 20, at=15)
    for day in (16, 17, 18, 19):
        assert run(shop, due(shop, vps, day)).did_nothing
    assert shop.vps(vps.id).observed_power is Power.RUNNING
    assert run(shop, due(shop, vps, 20)).suspended == 1
    # It was told once; it is only done again.
    assert steps_of(shop, vps).count("suspended") == 1


def test_what_is_suspended_again_is_ended_as_long_after_that_as_after_a_first_suspension(shop, vps):
    now = run_daily(shop, vps, -10, 15)
    power.release(shop.db, vps_id=vps.id, suspension=UNPAID, actor=shop.people.as_olga, now=now)
    hold(shop, vps, 40, at=15)
    first = run(shop, due(shop, vps, 40))
    assert (first.suspended, first.ended) == (1, 0)
    assert not dunning.end(shop.db, vps_id=vps.id, terms=Terms(), now=due(shop, vps, 46))
    assert run(shop, due(shop, vps, 46)).did_nothing
    assert run(shop, due(shop, vps, 47)).ended == 1


def test_a_hold_stops_every_step_until_its_day_and_no_invoice(shop, vps):
    hold(shop, vps, 30, at=-20)
    for day in range(-10, 30):
        run(shop, due(shop, vps, day))
    assert (steps_of(shop, vps), len(renewals_of(shop, vps))) == ([], 1)
    run(shop, due(shop, vps, 30))
    assert steps_of(shop, vps) == ["last_warning"]


def test_a_hold_can_be_ended_before_its_day(shop, vps):
    now = run_daily(shop, vps, -10, 13)
    hold(shop, vps, 60, at=13)
    assert run(shop, due(shop, vps, 16)).did_nothing
    olga = shop.people.as_olga
    dunning.end_hold(shop.db, vps_id=vps.id, reason="did not keep the promise", actor=olga, now=now)
    assert run(shop, due(shop, vps, 16)).suspended == 1
    with shop.db.reading() as session:
        events = session.scalars(
            sa.select(AuditEvent).where(AuditEvent.action.startswith("subscription.")).order_by(AuditEvent.id)
        ).all()
    assert [(event.action, event.reason) for event in events] == [
        ("subscription.hold", "promised to pay"),
        ("subscription.hold_ended", "did not keep the promise"),
    ]


@pytest.mark.parametrize("until", [-3, 0, 400])
def test_a_hold_until_a_day_that_makes_no_sense_is_refused_with_those_that_do(shop, vps, until):
    with pytest.raises(InvalidInput, match="A hold ends between") as refused:
        hold(shop, vps, until, at=0)
    assert refused.value.field == "until"


def test_a_hold_has_a_reason_and_is_the_operators(shop, vps):
    with pytest.raises(InvalidInput):
        hold(shop, vps, 5, at=0, reason=" ")
    day, now = due(shop, vps, 5).date(), due(shop, vps)
    with pytest.raises(NotAllowed):
        dunning.hold(shop.db, vps_id=vps.id, until=day, reason="x", actor=shop.people.as_alice, now=now)
    with pytest.raises(NotFound):
        dunning.hold(shop.db, vps_id=vps.order_id, until=day, reason="x", actor=shop.people.as_olga, now=now)


def test_what_is_not_paid_for_yet_has_no_contract_to_hold(shop):
    vps = shop.vps_of(shop.order())
    with pytest.raises(Conflict, match="no contract"):
        dunning.hold(
            shop.db, vps_id=vps.id, until=vps.created_at.date() + timedelta(days=3), reason="x",
            actor=shop.people.as_olga, now=vps.created_at,
        )  # fmt: skip


def test_what_was_paid_a_moment_ago_is_neither_suspended_nor_ended(shop, vps):
    """The run asked before the payment, and acts after it."""
    now = run_daily(shop, vps, -10, 14)
    pay(shop, vps, now=now)
    at = due(shop, vps, 30)
    assert not dunning.suspend(shop.db, vps_id=vps.id, terms=Terms(), now=at)
    assert not dunning.end(shop.db, vps_id=vps.id, terms=Terms(), now=at)
    assert shop.vps(vps.id).suspensions == []


def test_without_its_suspension_nothing_is_ended(shop, vps):
    now = run_daily(shop, vps, -10, 21)
    power.release(shop.db, vps_id=vps.id, suspension=UNPAID, actor=shop.people.as_olga, now=now)
    assert not dunning.end(shop.db, vps_id=vps.id, terms=Terms(), now=due(shop, vps, 22))
    assert shop.vps(vps.id).state is VpsState.ACTIVE


def test_one_that_cannot_be_suspended_stops_no_other(shop, vps, monkeypatch):
    other = shop.active(hostname="other.example.org")
    run_daily(shop, vps, -10, 14)
    real = dunning.suspensions.impose

    def fails(session, machine, *arguments, **options):
        if machine.id == vps.id:
            raise Conflict("not this one")
        return real(session, machine, *arguments, **options)

    monkeypatch.setattr(dunning.suspensions, "impose", fails)
    report = running.run(shop.db, now=due(shop, vps, 15))
    assert (report.suspended, report.failed, report.faults[0].text) == (1, 1, "not this one")
    assert [one.reason for one in shop.vps(other.id).suspensions] == [UNPAID]
