"""Reservations: the database has the last word, and nothing is ever left over."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.core.errors import NoCapacity
from domus.inventory.models import AddressHistory, AddressState, Dom0, Dom0State, IpAddress, IpPool
from domus.placement import addresses, queries, services
from domus.placement.choose import Candidate, Need
from domus.vps.models import Nic, Reservation, Vps
from tests.support.builders import NOW, make_dom0, make_location, make_pool, make_pool_with_addresses
from tests.support.order_shop import Shop, make_shop


def count(shop: Shop, model: type, *where) -> int:
    with shop.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))


def held_addresses(shop: Shop) -> list[str]:
    with shop.db.reading() as session:
        query = sa.select(IpAddress.address).where(IpAddress.vps_id.is_not(None)).order_by(IpAddress.position)
        return list(session.scalars(query))


def test_a_reserved_vps_has_its_place_disks_mac_and_address(db):
    shop = make_shop(db)
    vps = shop.vps_of(shop.order())
    assert vps.name == f"vps-{vps.id.hex[:8]}"
    assert [(disk.name, disk.size_mib, disk.device, disk.filesystem) for disk in vps.disks] == [
        ("root", 10_240, "xvda1", "ext4"),
        ("swap", 512, "xvda2", "swap"),
    ]
    assert re.fullmatch(r"00:16:3e(:[0-9a-f]{2}){3}", vps.nics[0].mac)
    assert held_addresses(shop) == ["192.0.2.10"]
    dom0 = shop.dom0()
    assert (dom0.memory_reserved_mib, dom0.disk_reserved_mib, dom0.vcpus_reserved) == (512, 10_752, 1)


def test_a_product_without_swap_gets_no_swap_disk(db):
    shop = make_shop(db)
    with db.unit_of_work() as session:
        session.merge(shop.price.product).swap_mib = 0
    assert [disk.name for disk in shop.vps_of(shop.order()).disks] == ["root"]


def test_a_full_location_is_refused_and_nothing_is_left(db):
    shop = make_shop(db, memory_capacity_mib=1024)
    for _ in range(2):
        shop.order()
    with pytest.raises(NoCapacity, match=shop.location.name):
        shop.order()
    assert count(shop, Vps) == count(shop, Reservation) == len(held_addresses(shop)) == 2


def test_without_a_free_address_nothing_is_left(db):
    shop = make_shop(db, addresses=1)
    shop.order()
    with pytest.raises(NoCapacity, match="IPv4"):
        shop.order()
    assert count(shop, Vps) == count(shop, Reservation) == 1
    assert shop.dom0().memory_reserved_mib == 512


def test_the_second_choice_is_taken_when_the_first_filled_up_meanwhile(db, monkeypatch):
    """The snapshot shows room on the first dom0 that the database then refuses."""
    shop = make_shop(db, dom0s=2)
    first, second = shop.dom0s
    with db.unit_of_work() as session:
        session.get_one(Dom0, first.id).memory_capacity_mib = 256
    stale = [
        Candidate(
            dom0_id=dom0.id, memory_capacity_mib=8192, memory_free_mib=8192, disk_free_mib=200_000,
            vcpus_free=16, vps_count=0,
        )
        for dom0 in (first, second)
    ]  # fmt: skip
    monkeypatch.setattr(queries, "candidates", lambda session, location_id: {location_id: stale})
    assert shop.vps_of(shop.order()).dom0_id == second.id
    assert count(shop, Vps) == count(shop, Nic) == 1


def test_a_mac_that_is_taken_is_drawn_again(db, monkeypatch):
    shop = make_shop(db)
    draws = iter(["00:16:3e:00:00:01", "00:16:3e:00:00:01", "00:16:3e:00:00:02"])
    monkeypatch.setattr(services, "draw_mac", lambda: next(draws))
    macs = [shop.vps_of(shop.order()).nics[0].mac for _ in range(2)]
    assert macs == ["00:16:3e:00:00:01", "00:16:3e:00:00:02"]


def test_a_draw_that_never_succeeds_is_given_up(db, monkeypatch):
    shop = make_shop(db)
    monkeypatch.setattr(services, "draw_mac", lambda: "00:16:3e:00:00:01")
    shop.order()
    with pytest.raises(NoCapacity, match="try again"):
        shop.order()
    assert count(shop, Vps) == 1


@pytest.mark.parametrize("state", [Dom0State.DRAINING, Dom0State.MAINTENANCE, Dom0State.LOST])
def test_only_active_dom0s_take_new_vps(db, state):
    shop = make_shop(db)
    with db.unit_of_work() as session:
        session.get_one(Dom0, shop.dom0s[0].id).state = state
    with pytest.raises(NoCapacity):
        shop.order()


def test_dom0s_and_pools_of_other_locations_are_not_used(db):
    shop = make_shop(db)
    elsewhere = make_location(db)
    make_dom0(db, elsewhere)
    with pytest.raises(NoCapacity, match="IPv4"):
        shop.order(location_id=elsewhere.id)
    empty = make_location(db)
    make_pool_with_addresses(db, empty, "198.51.100.0/24")
    with pytest.raises(NoCapacity, match="room"):
        shop.order(location_id=empty.id)


def test_a_pool_that_is_switched_off_is_not_sold_from(db):
    shop = make_shop(db)
    with db.unit_of_work() as session:
        session.execute(sa.update(IpPool).values(active=False))
    with pytest.raises(NoCapacity):
        shop.order()


def test_an_ipv6_address_is_added_where_the_location_has_one(any_db):
    shop = make_shop(any_db)
    make_pool_with_addresses(any_db, shop.location, "2001:db8::/64", count=1)
    shop.order()
    assert held_addresses(shop) == ["192.0.2.10", "2001:db8::a"]
    shop.order()
    assert held_addresses(shop) == ["192.0.2.10", "2001:db8::a", "192.0.2.11"]


def test_withheld_addresses_are_not_given_out(db):
    shop = make_shop(db, addresses=2)
    with db.unit_of_work() as session:
        first = sa.update(IpAddress).where(IpAddress.address == "192.0.2.10")
        session.execute(first.values(state=AddressState.WITHHELD))
    shop.order()
    assert held_addresses(shop) == ["192.0.2.11"]


def test_addresses_that_were_in_use_rest_before_they_are_sold_again(db):
    shop = make_shop(db, addresses=1)
    vps = shop.paid()
    day = timedelta(days=1)
    with db.unit_of_work() as session:
        services.give_back(session, vps.id, quarantine=day, now=NOW)
    assert shop.dom0().memory_reserved_mib == 0
    with pytest.raises(NoCapacity):
        shop.order()
    with db.unit_of_work() as session:
        assert addresses.end_quarantine(session, now=NOW + day - timedelta(seconds=1)) == 0
        assert addresses.end_quarantine(session, now=NOW + day) == 1
    shop.order()


def test_who_held_an_address_and_when_is_kept(db):
    shop = make_shop(db)
    vps = shop.paid()
    later = NOW + timedelta(days=30)
    with db.unit_of_work() as session:
        services.give_back(session, vps.id, quarantine=timedelta(0), now=later)
    with db.reading() as session:
        row = session.scalars(sa.select(AddressHistory)).one()
    assert (row.address, row.vps_id, row.account_id) == ("192.0.2.10", vps.id, shop.people.acme.id)
    assert (row.from_at, row.until_at) == (NOW, later)


def test_an_address_that_was_only_reserved_leaves_no_history(db):
    shop = make_shop(db)
    vps = shop.vps_of(shop.order())
    with db.unit_of_work() as session:
        services.give_back(session, vps.id, quarantine=timedelta(days=1), now=NOW)
    assert held_addresses(shop) == []
    assert count(shop, AddressHistory) == 0
    assert count(shop, IpAddress, IpAddress.state == AddressState.FREE) == 10


def test_free_places_are_limited_by_dom0s_and_by_addresses(db):
    shop = make_shop(db, memory_capacity_mib=2048, addresses=10)
    need = services.need_of(shop.price.product)
    with db.reading() as session:
        assert queries.free_places(session, need) == {shop.location.id: 4}
    make_dom0(db, shop.location)
    with db.reading() as session:
        assert queries.free_places(session, need) == {shop.location.id: 10}


def test_a_location_without_addresses_has_no_free_places(db):
    location = make_location(db)
    make_dom0(db, location)
    make_pool(db, location)
    with db.reading() as session:
        assert queries.free_places(session, Need(memory_mib=64, disk_mib=1, vcpus=1)) == {location.id: 0}
