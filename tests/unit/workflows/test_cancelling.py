"""Contracts that are cancelled: nothing more is asked for, they end on or after their day."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import InvoiceState
from domus.contracts.models import ChangeState
from domus.core.errors import Conflict, InvalidInput, NotFound
from domus.mail.models import OutgoingMail
from domus.provisioning import outbox
from domus.provisioning.models import OutboxMessage
from domus.vps.models import Power, Vps, VpsState
from domus.workflows.contracts import cancelling, offering
from domus.workflows.renewals import paying, preview, running
from tests.support.builders import NOW
from tests.support.changing import agree, balance, books, credit_notes, make_offer, reserved, usd
from tests.support.contracts import contract, due, pay, renewals_of, run, run_daily, steps_of
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

HALF = NOW + timedelta(days=15)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def cancel(shop, vps, *, now=HALF, actor=None, reason="moved away"):
    who = actor or shop.people.as_alice
    return cancelling.cancel_at_end(shop.db, vps_id=vps.id, reason=reason, actor=who, now=now)


def cancel_now(shop, vps, *, credit, now=HALF, actor=None):
    who = actor or shop.people.as_alice
    return cancelling.cancel_now(shop.db, vps_id=vps.id, credit=credit, reason="enough", actor=who, now=now)


def take_back(shop, vps, *, now=HALF):
    cancelling.take_back(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=now)


def test_a_cancelled_contract_is_not_asked_for_or_reminded_and_ends_on_its_day(shop, vps):
    until = contract(shop, vps).paid_until
    assert cancel(shop, vps) == until
    run_daily(shop, vps, -12, -1)
    assert (renewals_of(shop, vps), steps_of(shop, vps)) == ([], [])
    assert shop.vps(vps.id).state is VpsState.ACTIVE
    now = due(shop, vps)
    assert run(shop, now).ended == 1
    after = shop.vps(vps.id)
    assert (after.state, after.observed_power) == (VpsState.REMOVING, Power.STOPPED)
    assert contract(shop, vps).ended_on == now.date()
    assert run(shop, now).did_nothing
    assert (books(shop), broken(shop.db)) == ([], [])


def test_it_goes_the_way_of_every_contract_that_ended(shop, vps):
    cancel(shop, vps)
    now = due(shop, vps, 3)
    run(shop, now)
    with shop.db.reading() as session:
        tags = session.scalars(sa.select(OutboxMessage.tag)).all()
    assert tags.count(outbox.SUBSCRIPTION_ENDED) == 1
    assert shop.vps(vps.id).remove_not_before == now + timedelta(days=7)
    shop.machine.run(now + timedelta(days=7, minutes=1))
    assert shop.vps(vps.id).state is VpsState.REMOVED
    assert broken(shop.db) == []


def test_the_preview_names_what_the_run_ends(shop, vps):
    cancel(shop, vps)
    counts = [plan for plan in preview.preview(shop.db, now=due(shop, vps)) if plan.name == "ended"]
    assert [(plan.count, plan.first[0].vps_id) for plan in counts] == [(1, vps.id)]


def test_what_waits_to_be_paid_is_withdrawn(shop, vps):
    now = due(shop, vps, -10)
    running.run(shop.db, now=now)
    change = agree(shop, vps, make_offer(shop, 3000), now=now)
    cancel(shop, vps, now=now)
    after = offering.get(shop.db, change_id=change.id, actor=shop.people.as_alice)
    assert [one.invoice.state for one in renewals_of(shop, vps)] == [InvoiceState.CANCELLED]
    assert (after.state, reserved(shop, vps)) == (ChangeState.WITHDRAWN, (512, 10_752, 1))
    with pytest.raises(Conflict, match="cancelled; take that back first"):
        paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=now)
    with pytest.raises(Conflict, match="cancelled; take that back first"):
        agree(shop, vps, make_offer(shop, 3000), now=now)


def test_taken_back_it_goes_on_as_before(shop, vps):
    cancel(shop, vps)
    for _ in range(2):
        take_back(shop, vps)
    run(shop, due(shop, vps, -10))
    assert [one.invoice.state for one in renewals_of(shop, vps)] == [InvoiceState.OPEN]
    assert run(shop, due(shop, vps)).ended == 0
    with shop.db.reading() as session:
        events = session.scalars(sa.select(OutgoingMail.event).order_by(OutgoingMail.id)).all()
        actions = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert [name for name in events if name.startswith("contract")] == ["contract_cancelled", "contract_kept"]
    assert [name for name in actions if name.startswith("contract")] == [
        "contract.cancelled",
        "contract.kept",
    ]


def test_cancelled_twice_the_first_day_stands(shop, vps):
    until = cancel(shop, vps)
    assert cancel(shop, vps, now=HALF + timedelta(days=3), reason="again") == until
    assert contract(shop, vps).cancel_reason == "moved away"


def test_what_is_paid_ahead_is_used_up_first(shop, vps):
    renewal = pay(shop, vps, now=HALF)
    assert cancel(shop, vps) == renewal.ends_on


def test_an_overdue_contract_ends_with_the_next_run(shop, vps):
    now = run_daily(shop, vps, -10, 4)
    assert cancel(shop, vps, now=now) == now.date()
    assert run(shop, now).ended == 1


def test_a_suspended_one_can_be_cancelled_and_is_not_warned_any_more(shop, vps):
    now = run_daily(shop, vps, -10, 16)
    cancel(shop, vps, now=now)
    assert run(shop, now).ended == 1
    assert (books(shop), broken(shop.db)) == ([], [])


@pytest.mark.parametrize(("credit", "minor"), [(False, 0), (True, 500)])
def test_now_ends_it_at_once_and_gives_the_unused_days_back_if_we_do_that(shop, vps, credit, minor):
    seen = cancelling.look(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    assert (seen.worth, seen.grace_days, seen.on) == (usd(500), 7, contract(shop, vps).paid_until)
    assert cancel_now(shop, vps, credit=credit) == usd(minor)
    assert (balance(shop), [note.gross_minor for note in credit_notes(shop)]) == (minor, [minor] * credit)
    after = shop.vps(vps.id)
    assert (after.state, after.remove_not_before) == (VpsState.REMOVING, HALF + timedelta(days=7))
    with pytest.raises(Conflict, match="none can be cancelled"):
        cancel_now(shop, vps, credit=credit)
    assert balance(shop) == minor
    assert (books(shop), broken(shop.db)) == ([], [])


def test_days_of_several_invoices_come_back_from_each(shop, vps):
    pay(shop, vps, now=HALF)
    assert cancel_now(shop, vps, credit=True) == usd(1500)
    assert [note.gross_minor for note in credit_notes(shop)] == [1000, 500]
    assert (books(shop), broken(shop.db)) == ([], [])


def test_a_reason_is_asked_for_and_strangers_find_nothing(shop, vps):
    with pytest.raises(InvalidInput, match="may not be empty"):
        cancel(shop, vps, reason=" " * 3)
    with pytest.raises(InvalidInput):
        cancel(shop, vps, reason="x" * 301)
    for act in (cancelling.look, cancelling.take_back):
        with pytest.raises(NotFound):
            act(shop.db, vps_id=vps.id, actor=shop.people.as_charlie, now=HALF)
    with pytest.raises(NotFound):
        cancel(shop, vps, actor=shop.people.as_charlie)
    with pytest.raises(NotFound):
        cancel_now(shop, vps, credit=True, actor=shop.people.as_charlie)
    assert contract(shop, vps).cancel_on is None
