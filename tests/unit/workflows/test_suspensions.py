"""What a suspension tells Salt, what history keeps of it, and that no door leads around it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.core.errors import Conflict, InvalidInput
from domus.provisioning import outbox
from domus.provisioning.models import OutboxMessage
from domus.vps.models import Power, SuspensionReason, Vps, VpsTransition
from domus.workflows import orders, power, work
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


def suspend(shop: Shop, vps: Vps, reason: SuspensionReason = ABUSE, note: str = "ticket 17") -> None:
    power.suspend(shop.db, vps_id=vps.id, suspension=reason, note=note, actor=shop.people.as_olga, now=LATER)


def release(shop: Shop, vps: Vps, reason: SuspensionReason = ABUSE) -> None:
    power.release(
        shop.db, vps_id=vps.id, suspension=reason, note="solved", actor=shop.people.as_olga, now=LATER
    )


def told(shop: Shop) -> list[tuple[str, dict]]:
    with shop.db.reading() as session:
        rows = session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id)).all()
    return [(row.tag, row.payload) for row in rows if row.tag.startswith("domus/subscription/")]


def test_each_change_is_told_under_its_own_tag(shop, vps):
    suspend(shop, vps)
    release(shop, vps)
    payload = {"vps_id": str(vps.id)}
    assert told(shop) == [
        (outbox.SUBSCRIPTION_SUSPENDED, payload),
        (outbox.SUBSCRIPTION_RELEASED, payload),
    ]


def test_the_same_reason_again_is_told_once(shop, vps):
    suspend(shop, vps)
    suspend(shop, vps)
    release(shop, vps)
    release(shop, vps)
    assert len(told(shop)) == 2


def test_history_keeps_who_why_and_when(shop, vps):
    suspend(shop, vps)
    release(shop, vps)
    with shop.db.reading() as session:
        rows = session.scalars(
            sa.select(VpsTransition).where(VpsTransition.kind == "suspension").order_by(VpsTransition.id)
        ).all()
        events = session.scalars(
            sa.select(AuditEvent).where(AuditEvent.action.in_(("vps.suspend", "vps.release")))
        ).all()
    olga = shop.people.as_olga.name
    assert [(row.old, row.new, row.actor, row.reason, row.at) for row in rows] == [
        ("", "abuse", olga, "ticket 17", LATER),
        ("abuse", "", olga, "solved", LATER),
    ]
    assert {(event.action, event.reason, event.details["suspension"]) for event in events} == {
        ("vps.suspend", "ticket 17", "abuse"),
        ("vps.release", "solved", "abuse"),
    }


def test_an_event_makes_the_dom0_due_once_and_a_forged_one_does_nothing(shop, vps):
    suspend(shop, vps)
    [message] = [m for m in work.claim_messages(shop.db, now=LATER) if m.tag == outbox.SUBSCRIPTION_SUSPENDED]
    tag, now = outbox.SUBSCRIPTION_SUSPENDED, LATER
    dom0_id = work.contract_changed(shop.db, tag=tag, message_id=message.id, vps_id=vps.id, now=now)
    assert dom0_id == vps.dom0_id
    shop.machine.run(LATER)
    assert shop.vps(vps.id).observed_power is Power.STOPPED
    again = work.contract_changed(shop.db, tag=tag, message_id=message.id, vps_id=vps.id, now=now)
    assert again is None


def test_a_dom0_that_was_away_starts_it_when_it_is_back(shop, vps):
    """Released while its dom0 did not answer: the wish is kept, and the next run brings it about."""
    suspend(shop, vps)
    shop.machine.run(LATER)
    release(shop, vps)
    lost = work.begin_run(shop.db, minion_id=shop.machine.minion_id, now=LATER)
    assert lost is not None
    work.run_failed(shop.db, run_id=lost.run_id, problem="no answer", now=LATER)
    assert shop.vps(vps.id).observed_power is Power.STOPPED
    assert shop.machine.run(LATER + timedelta(minutes=10))
    assert shop.vps(vps.id).observed_power is Power.RUNNING


def test_a_note_that_no_page_can_show_is_refused(shop, vps):
    with pytest.raises(InvalidInput, match="At most 500"):
        suspend(shop, vps, note="x" * 501)
    assert shop.vps(vps.id).suspensions == []


def test_no_door_starts_what_is_suspended(shop, vps):
    suspend(shop, vps, UNPAID)
    for act in (power.start, power.reboot):
        with pytest.raises(Conflict, match="unpaid"):
            act(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    with pytest.raises(Conflict):
        orders.retry(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=LATER)
    assert shop.machine.pillar()["vps"][str(vps.id)]["wanted"] == "stopped"
