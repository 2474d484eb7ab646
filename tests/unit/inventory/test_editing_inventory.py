"""What operators enter about places, dom0s, pools and addresses is checked, and recorded."""

import ipaddress
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.core.errors import Conflict, InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.inventory import queries
from domus.inventory.models import (
    AddressHistory,
    AddressState,
    Dom0,
    Dom0State,
    Hypervisor,
    IpAddress,
    IpPool,
    Location,
    StorageBackend,
)
from domus.workflows import inventory
from domus.workflows.inventory import Dom0Fields, LocationFields, PoolFields
from tests.support.builders import NOW, make_dom0, make_location, make_pool, make_pool_with_addresses
from tests.support.people import People, make_people


@pytest.fixture
def place(db: Database) -> Location:
    return make_location(db)


def dom0_at(place: Location, **changes: object) -> Dom0Fields:
    fields = Dom0Fields(
        minion_id="dom0-a",
        location_id=place.id,
        volume_group="xenvg",
        memory_capacity_mib=8192,
        disk_capacity_mib=100_000,
        vcpus_capacity=16,
    )
    return replace(fields, **changes)  # type: ignore[arg-type]


def pool_at(place: Location, network: str = "192.0.2.0/24", **changes: object) -> PoolFields:
    gateway = str(ipaddress.ip_network(network)[1])
    fields = PoolFields(location_id=place.id, network=network, gateway=gateway, dns=["192.0.2.1"])
    return replace(fields, **changes)  # type: ignore[arg-type]


def test_a_place_has_a_name_of_its_own_and_a_country(db: Database, people: People) -> None:
    def save(name: str, country: str) -> Location:
        fields = LocationFields(name=name, country=country)
        return inventory.save_location(db, location_id=None, fields=fields, actor=people.as_olga, now=NOW)

    assert save("Frankfurt", "de").country == "DE"
    for name, country, field in (("Frankfurt", "", "name"), ("", "", "name"), ("Paris", "FRA", "country")):
        with pytest.raises(InvalidInput) as caught:
            save(name, country)
        assert caught.value.field == field


@pytest.mark.parametrize(
    "mirror",
    [
        "deb.example.org/debian",
        "ftp://deb.example.org/debian",
        "http://alice:secret@deb.example.org/debian",
        "http://deb.example.org/debian main\ndeb http://evil.example.org",
        "http://deb.example.org/$(id)",
        "http://deb.example.org/" + "a" * 200,
    ],
)
def test_a_mirror_that_no_dom0_would_take_is_refused(db: Database, people: People, mirror: str) -> None:
    fields = LocationFields(name="Paris", debian_mirror=mirror)
    with pytest.raises(InvalidInput) as caught:
        inventory.save_location(db, location_id=None, fields=fields, actor=people.as_olga, now=NOW)
    assert caught.value.field == "debian_mirror"


def test_a_mirror_of_a_place_is_saved(db: Database, people: People) -> None:
    fields = LocationFields(name="Paris", debian_mirror=" https://deb.example.org:8443/debian ")
    place = inventory.save_location(db, location_id=None, fields=fields, actor=people.as_olga, now=NOW)
    assert place.debian_mirror == "https://deb.example.org:8443/debian"


def test_a_dom0_is_saved(db: Database, people: People, place: Location) -> None:
    dom0 = inventory.save_dom0(db, dom0_id=None, fields=dom0_at(place), actor=people.as_olga, now=NOW)
    assert (dom0.minion_id, dom0.state, dom0.location.name) == ("dom0-a", Dom0State.ACTIVE, place.name)
    assert dom0.memory_reserved_mib == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"minion_id": "dom0 a"}, "minion_id"),
        ({"minion_id": "../a"}, "minion_id"),
        ({"minion_id": "*"}, "minion_id"),
        ({"location_id": 99}, "location_id"),
        ({"volume_group": ""}, "volume_group"),
        ({"volume_group": "-vg"}, "volume_group"),
        ({"volume_group": "vg/../x"}, "volume_group"),
        ({"storage_backend": StorageBackend.LVM_THIN}, "thin_pool"),
        ({"storage_backend": StorageBackend.IMAGE}, "image_dir"),
        ({"storage_backend": StorageBackend.IMAGE, "image_dir": "images"}, "image_dir"),
        ({"storage_backend": StorageBackend.IMAGE, "image_dir": "/a/../b"}, "image_dir"),
        ({"storage_backend": StorageBackend.IMAGE, "image_dir": "/a b"}, "image_dir"),
        ({"bridge": "a bridge"}, "bridge"),
        ({"bridge": "longer-than-linux"}, "bridge"),
        ({"memory_capacity_mib": 0}, "memory_capacity_mib"),
        ({"max_parallel_installs": 65}, "max_parallel_installs"),
        ({"max_removals_per_run": 0}, "max_removals_per_run"),
    ],
)
def test_a_dom0_that_cannot_be_is_refused_with_its_field(
    db: Database, people: People, place: Location, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        inventory.save_dom0(db, dom0_id=None, fields=dom0_at(place, **changes), actor=people.as_olga, now=NOW)
    assert caught.value.field == field


def test_what_vpss_depend_on_stays_while_they_are_there(
    db: Database, people: People, place: Location
) -> None:
    dom0 = make_dom0(
        db, place, minion_id="dom0-a", hypervisor=Hypervisor.XEN, storage_backend=StorageBackend.LVM,
        volume_group="xenvg", memory_reserved_mib=1024, disk_reserved_mib=10_000, vcpus_reserved=2,
    )  # fmt: skip
    fields = dom0_at(place)
    for changes, field in (
        ({"memory_capacity_mib": 1023}, "memory_capacity_mib"),
        ({"disk_capacity_mib": 9_999}, "disk_capacity_mib"),
        ({"vcpus_capacity": 1}, "vcpus_capacity"),
        ({"volume_group": "other"}, "volume_group"),
        ({"location_id": make_location(db).id}, "location_id"),
        ({"hypervisor": Hypervisor.KVM}, "hypervisor"),
    ):
        with pytest.raises(InvalidInput) as caught:
            inventory.save_dom0(
                db, dom0_id=dom0.id, fields=replace(fields, **changes), actor=people.as_olga, now=NOW
            )
        assert caught.value.field == field
    roomier = replace(fields, memory_capacity_mib=1024, bridge="br0")
    assert (
        inventory.save_dom0(db, dom0_id=dom0.id, fields=roomier, actor=people.as_olga, now=NOW).bridge
        == "br0"
    )


def test_the_state_of_a_dom0_changes_with_a_reason_on_record(
    db: Database, people: People, place: Location
) -> None:
    dom0 = make_dom0(db, place)
    for _ in range(2):
        changed = inventory.set_dom0_state(
            db, dom0_id=dom0.id, state=Dom0State.DRAINING, actor=people.as_olga, reason="new disks\0", now=NOW
        )
    assert changed.state is Dom0State.DRAINING
    with db.reading() as session:
        event = session.scalars(sa.select(AuditEvent)).one()
    assert (event.action, event.reason, event.details) == (
        "dom0.state_changed",
        "new disks",
        {"state": ["active", "draining"]},
    )


def test_a_dom0_without_vpss_can_be_deleted(db: Database, people: People, place: Location) -> None:
    dom0 = make_dom0(db, place)
    with pytest.raises(Conflict, match="move its dom0s and pools away first"):
        inventory.delete_location(db, location_id=place.id, actor=people.as_olga, now=NOW)
    inventory.delete_dom0(db, dom0_id=dom0.id, actor=people.as_olga, now=NOW)
    inventory.delete_location(db, location_id=place.id, actor=people.as_olga, now=NOW)
    with db.reading() as session:
        assert session.scalars(sa.select(Dom0)).all() == []


@pytest.mark.parametrize(
    "network",
    ["192.0.2.0/24", "192.0.2.128/25", "192.0.0.0/16", "192.0.2.0/30", "2001:db8::/32", "2001:db8:1::/48"],
)
def test_pools_do_not_overlap(db: Database, people: People, place: Location, network: str) -> None:
    make_pool(db, place, "192.0.2.0/24")
    make_pool(db, place, "2001:db8:1::/64")
    with pytest.raises(InvalidInput, match="overlaps the pool") as caught:
        inventory.save_pool(db, pool_id=None, fields=pool_at(place, network), actor=people.as_olga, now=NOW)
    assert caught.value.field == "network"


def test_a_pool_does_not_overlap_itself(db: Database, people: People, place: Location) -> None:
    pool = inventory.save_pool(db, pool_id=None, fields=pool_at(place), actor=people.as_olga, now=NOW)
    fields = pool_at(place, dns=["198.51.100.1"])
    assert inventory.save_pool(db, pool_id=pool.id, fields=fields, actor=people.as_olga, now=NOW).dns == [
        "198.51.100.1"
    ]


def test_of_pools_that_overlap_and_are_saved_at_once_one_is_kept(any_db: Database) -> None:
    people, place = make_people(any_db), make_location(any_db)

    def attempt(length: int) -> bool:
        fields = pool_at(place, f"10.0.0.0/{length}")
        try:
            inventory.save_pool(any_db, pool_id=None, fields=fields, actor=people.as_olga, now=NOW)
        except (InvalidInput, Conflict):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8, 16))) == 1


def test_what_a_pool_stands_on_stays_while_it_has_addresses(
    db: Database, people: People, place: Location
) -> None:
    pool = make_pool_with_addresses(db, place, "192.0.2.0/24", count=1)
    with db.unit_of_work() as session:
        session.execute(sa.update(IpAddress).values(state=AddressState.RESERVED, vps_id=uuid.uuid4()))
    for fields, field in (
        (pool_at(place, "198.51.100.0/24"), "network"),
        (pool_at(place, gateway="192.0.2.10"), "gateway"),
        (pool_at(make_location(db)), "location_id"),
    ):
        with pytest.raises(InvalidInput) as caught:
            inventory.save_pool(db, pool_id=pool.id, fields=fields, actor=people.as_olga, now=NOW)
        assert caught.value.field == field


def test_addresses_are_added_as_a_range_all_or_none(any_db: Database) -> None:
    people = make_people(any_db)
    pool = make_pool(any_db, make_location(any_db))

    def add(first: str, last: str) -> int:
        return inventory.add_addresses(
            any_db, pool_id=pool.id, first=first, last=last, actor=people.as_olga, now=NOW
        )

    assert add("192.0.2.10", "192.0.2.19") == 10
    with pytest.raises(InvalidInput, match=r"192\.0\.2\.19 is in the pool already"):
        add("192.0.2.19", "192.0.2.30")
    with any_db.reading() as session:
        rows = session.scalars(sa.select(IpAddress).order_by(IpAddress.position)).all()
        assert [row.address for row in rows] == [f"192.0.2.{number}" for number in range(10, 20)]
        assert queries.address_counts(session)[pool.id][AddressState.FREE] == 10


def test_an_ipv6_range_is_written_as_people_write_it(db: Database, people: People, place: Location) -> None:
    pool = make_pool(db, place, "2001:db8::/64")
    inventory.add_addresses(
        db, pool_id=pool.id, first="2001:DB8:0:0::a", last="2001:db8::b", actor=people.as_olga, now=NOW
    )
    with db.reading() as session:
        assert session.scalars(sa.select(IpAddress.address)).all() == ["2001:db8::a", "2001:db8::b"]


def test_a_free_address_can_be_withheld_and_put_on_sale_again(
    db: Database, people: People, place: Location
) -> None:
    (address,) = make_pool_with_addresses(db, place, count=1).addresses

    def withhold(withheld: bool) -> AddressState:
        row = inventory.set_address_withheld(
            db, address_id=address.id, withheld=withheld, actor=people.as_olga, now=NOW
        )
        return row.state

    assert [withhold(True), withhold(True), withhold(False)] == [
        AddressState.WITHHELD,
        AddressState.WITHHELD,
        AddressState.FREE,
    ]


def test_what_a_vps_holds_is_neither_withheld_nor_removed(
    db: Database, people: People, place: Location
) -> None:
    pool = make_pool_with_addresses(db, place, count=1)
    (address,) = pool.addresses
    with db.unit_of_work() as session:
        session.execute(sa.update(IpAddress).values(state=AddressState.ASSIGNED, vps_id=uuid.uuid4()))
    with pytest.raises(Conflict, match="assigned"):
        inventory.set_address_withheld(
            db, address_id=address.id, withheld=True, actor=people.as_olga, now=NOW
        )
    with pytest.raises(Conflict, match="only a free address"):
        inventory.remove_address(db, address_id=address.id, actor=people.as_olga, now=NOW)
    with pytest.raises(Conflict, match="deactivate it instead"):
        inventory.delete_pool(db, pool_id=pool.id, actor=people.as_olga, now=NOW)
    with db.reading() as session:
        assert session.scalars(sa.select(IpAddress.id)).all() == [address.id]


def test_free_addresses_and_their_pool_can_be_removed(db: Database, people: People, place: Location) -> None:
    pool = make_pool_with_addresses(db, place, count=3)
    inventory.remove_address(db, address_id=pool.addresses[0].id, actor=people.as_olga, now=NOW)
    inventory.delete_pool(db, pool_id=pool.id, actor=people.as_olga, now=NOW)
    with db.reading() as session:
        assert session.scalars(sa.select(IpPool)).all() == []
        assert session.scalars(sa.select(IpAddress)).all() == []


def test_customers_change_nothing(db: Database, people: People, place: Location) -> None:
    pool = make_pool_with_addresses(db, place, count=1)
    dom0 = make_dom0(db, place)
    by = {"actor": people.as_alice, "now": NOW}
    for attempt in (
        lambda: inventory.save_pool(db, pool_id=pool.id, fields=pool_at(place), **by),
        lambda: inventory.save_dom0(db, dom0_id=dom0.id, fields=dom0_at(place), **by),
        lambda: inventory.set_dom0_state(db, dom0_id=dom0.id, state=Dom0State.LOST, reason="", **by),
        lambda: inventory.add_addresses(db, pool_id=pool.id, first="192.0.2.20", last="192.0.2.21", **by),
        lambda: inventory.set_address_withheld(db, address_id=pool.addresses[0].id, withheld=True, **by),
        lambda: inventory.remove_address(db, address_id=pool.addresses[0].id, **by),
        lambda: inventory.delete_pool(db, pool_id=pool.id, **by),
    ):
        with pytest.raises(NotAllowed):
            attempt()


def test_who_held_an_address_can_be_asked_for_ever(db: Database) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    day = timedelta(days=1)
    with db.unit_of_work() as session:
        session.add_all(
            [
                AddressHistory(
                    address="192.0.2.10",
                    vps_id=first,
                    account_id=1,
                    from_at=NOW - 9 * day,
                    until_at=NOW - 5 * day,
                ),
                AddressHistory(address="192.0.2.10", vps_id=second, account_id=2, from_at=NOW - day),
            ]
        )
    with db.reading() as session:
        holders = [
            queries.holder_at(session, "192.0.2.10", NOW - days * day) for days in (10, 9, 6, 5, 2, 1, 0)
        ]
    assert [holder and holder.vps_id for holder in holders] == [
        None,
        first,
        first,
        None,
        None,
        second,
        second,
    ]
