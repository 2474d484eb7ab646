"""What stands in a dom0's pillar: its own VPSs and no others, by a handful of queries."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.pillar.services import pillar_for
from domus.vps.models import SuspensionReason
from domus.workflows import inventory, orders, power
from tests.support.builders import NOW, make_pool_with_addresses
from tests.support.order_shop import Shop, make_shop

LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def test_a_minion_that_is_no_dom0_gets_nothing(shop):
    with shop.db.reading() as session:
        assert pillar_for(session, "laptop", now=NOW) is None


def test_what_is_not_paid_stands_in_no_pillar(shop):
    shop.order()
    assert shop.machine.pillar()["vps"] == {}
    assert shop.machine.pillar()["templates"] == {}


def test_a_paid_vps_stands_there_with_all_that_the_dom0_needs(any_db):
    shop = make_shop(any_db)
    make_pool_with_addresses(any_db, shop.location, "2001:db8::/64")
    vps = shop.paid(root_password="correct horse battery")
    pillar = shop.machine.pillar()
    entry = pillar["vps"][str(vps.id)]
    assert list(pillar["templates"]) == [shop.template.name] == [entry["os"]["template"]]
    assert [disk["name"] for disk in entry["disks"]] == ["root", "swap"]
    assert entry["nics"][0]["ipv4"] == [
        {"address": "192.0.2.10", "prefix_length": 24, "gateway": "192.0.2.1"}
    ]
    assert entry["nics"][0]["ipv6"] == [
        {"address": "2001:db8::a", "prefix_length": 64, "gateway": "2001:db8::1"}
    ]
    assert entry["os"]["root_password_hash"].startswith("$2b$")
    assert json.loads(json.dumps(pillar)) == pillar


def test_the_mirror_of_a_place_is_told_to_its_dom0s(any_db):
    shop = make_shop(any_db)
    shop.paid()
    assert shop.machine.pillar()["templates"][shop.template.name]["mirror"] is None
    fields = inventory.LocationFields(name=shop.location.name, debian_mirror="http://deb.example.org/debian")
    inventory.save_location(
        any_db, location_id=shop.location.id, fields=fields, actor=shop.people.as_olga, now=NOW
    )
    told = shop.machine.pillar()["templates"][shop.template.name]["mirror"]
    assert told == "http://deb.example.org/debian"


def test_no_dom0_is_told_of_another_ones_vps(db):
    shop = make_shop(db, dom0s=2)
    vps = [shop.paid(hostname=f"host{n}.example.org") for n in range(4)]
    told = [json.dumps(machine.pillar()) for machine in shop.machines]
    for row in vps:
        holder = next(n for n, dom0 in enumerate(shop.dom0s) if dom0.id == row.dom0_id)
        assert row.hostname in told[holder]
        assert row.hostname not in told[1 - holder]


def test_a_suspended_vps_is_wanted_stopped(shop):
    vps = shop.active()
    olga = shop.people.as_olga
    power.suspend(shop.db, vps_id=vps.id, suspension=SuspensionReason.ABUSE, actor=olga, now=LATER)
    assert shop.machine.pillar()["vps"][str(vps.id)]["wanted"] == "stopped"


def test_a_failed_vps_stays_in_the_pillar_and_a_removed_one_leaves_it(shop):
    vps = shop.failed()
    assert str(vps.id) in shop.machine.pillar()["vps"]
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=LATER)
    assert shop.machine.pillar()["vps"][str(vps.id)]["wanted"] == "absent"
    shop.machine.run(LATER)
    assert shop.machine.pillar()["vps"] == {}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_four_statements_are_enough_for_any_number_of_vps(shop, count):
    for _ in range(count):
        shop.paid()
    statements = []

    def remember(_connection, _cursor, statement, *_rest) -> None:
        statements.append(statement)

    with shop.db.reading() as session:
        sa.event.listen(shop.db.engine, "before_cursor_execute", remember)
        pillar = pillar_for(session, shop.machine.minion_id, now=NOW)
        sa.event.remove(shop.db.engine, "before_cursor_execute", remember)
    assert len(pillar["vps"]) == count
    assert len(statements) == 4
