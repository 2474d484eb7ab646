"""What is wanted of a VPS: every wish has a revision of its own and a row of history."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.core.errors import Conflict
from domus.vps import services
from domus.vps.models import Power, SuspensionReason, Vps, VpsTransition
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

ACTOR = Actor.system("test")
ABUSE, UNPAID = SuspensionReason.ABUSE, SuspensionReason.UNPAID


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def wanted_rows(shop: Shop, vps: Vps) -> list[tuple[str, str]]:
    with shop.db.reading() as session:
        query = sa.select(VpsTransition.old, VpsTransition.new)
        rows = session.execute(query.where(VpsTransition.vps_id == vps.id, VpsTransition.kind == "wanted"))
        return [tuple(row) for row in rows]


def test_each_wish_raises_the_revision_and_writes_history(shop, vps):
    with shop.db.unit_of_work() as session:
        first = services.want_power(session, vps.id, Power.STOPPED, actor=ACTOR, now=NOW)
        second = services.want_reboot(session, vps.id, hard=True, actor=ACTOR, now=NOW)
    assert (first, second) == (vps.revision + 1, vps.revision + 2)
    assert wanted_rows(shop, vps)[-2:] == [("running", "stopped"), ("stopped", "hard reboot")]


def test_a_reboot_is_one_boot_more_and_wants_it_running(shop, vps):
    with shop.db.unit_of_work() as session:
        services.want_power(session, vps.id, Power.STOPPED, hard=True, actor=ACTOR, now=NOW)
        services.want_reboot(session, vps.id, actor=ACTOR, now=NOW)
    now = shop.vps(vps.id)
    assert (now.boot_serial, now.wanted_power, now.hard_reboot) == (vps.boot_serial + 1, Power.RUNNING, False)


def test_a_hard_stop_is_forgotten_by_the_next_wish(shop, vps):
    with shop.db.unit_of_work() as session:
        services.want_power(session, vps.id, Power.STOPPED, hard=True, actor=ACTOR, now=NOW)
    assert shop.vps(vps.id).hard_stop
    with shop.db.unit_of_work() as session:
        services.want_power(session, vps.id, Power.STOPPED, actor=ACTOR, now=NOW)
    assert not shop.vps(vps.id).hard_stop


def test_what_is_suspended_cannot_be_wanted_running(shop, vps):
    with shop.db.unit_of_work() as session:
        services.add_suspension(session, vps.id, ABUSE, note="spam", actor=ACTOR, now=NOW)
    for wish in (
        lambda session: services.want_power(session, vps.id, Power.RUNNING, actor=ACTOR, now=NOW),
        lambda session: services.want_reboot(session, vps.id, actor=ACTOR, now=NOW),
    ):
        with pytest.raises(Conflict, match="abuse"), shop.db.unit_of_work() as session:
            wish(session)


def test_each_reason_is_lifted_on_its_own(shop, vps):
    with shop.db.unit_of_work() as session:
        for reason in (ABUSE, UNPAID):
            services.add_suspension(session, vps.id, reason, note="", actor=ACTOR, now=NOW)
        services.lift_suspension(session, vps.id, UNPAID, note="paid", actor=ACTOR, now=NOW)
    assert [suspension.reason for suspension in shop.vps(vps.id).suspensions] == [ABUSE]


def test_the_same_reason_twice_is_one_suspension_and_no_new_revision(shop, vps):
    with shop.db.unit_of_work() as session:
        assert services.add_suspension(session, vps.id, ABUSE, note="", actor=ACTOR, now=NOW)
        assert services.add_suspension(session, vps.id, ABUSE, note="", actor=ACTOR, now=NOW) is None
        assert services.lift_suspension(session, vps.id, UNPAID, note="", actor=ACTOR, now=NOW) is None
    assert shop.vps(vps.id).revision == vps.revision + 1
