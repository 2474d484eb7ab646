"""Locations, dom0s, IP pools and addresses."""

from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.db.engine import Database
from domus.inventory.models import AddressState, Dom0, Dom0State, IpAddress, IpPool, Location
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

POOL = {
    "location_id": "Paris", "network": "198.51.100.0/24", "gateway": "198.51.100.1", "dns": "198.51.100.1\n198.51.100.2",
    "zone_type": "one_zonefile", "custom_zone_text": "", "active": "y",
}  # fmt: skip

DOM0 = {
    "minion_id": "dom0-x", "location_id": "Paris", "hypervisor": "xen", "storage_backend": "lvm", "volume_group": "xenvg",
    "thin_pool": "", "image_dir": "", "bridge": "xenbr0", "memory_capacity_mib": "65536", "disk_capacity_mib": "2000000",
    "vcpus_capacity": "64", "max_parallel_installs": "2", "max_removals_per_run": "3",
}  # fmt: skip


@pytest.fixture
def paris(db: Database) -> Location:
    """Offer a place."""
    return builders.make_location(db, name="Paris")


def _one(db: Database, model: type[Any]) -> Any:
    with db.reading() as session:
        return session.scalars(sa.select(model).order_by(model.id.desc())).first()


def test_a_location_is_made_edited_and_deleted(olga: Visitor, db: Database) -> None:
    olga.post("/operator/locations/new/", {"name": "Lyon", "country": "fr"})
    place = _one(db, Location)
    assert (place.name, place.country) == ("Lyon", "FR")
    olga.post(f"/operator/locations/edit/?id={place.id}", {"name": "Lyon 2", "country": ""})
    assert _one(db, Location).name == "Lyon 2"
    mirror = "http://deb.example.org/debian"
    olga.post(f"/operator/locations/edit/?id={place.id}", {"name": "Lyon 2", "debian_mirror": mirror})
    assert _one(db, Location).debian_mirror == mirror
    assert mirror in text_of(olga.get(f"/operator/locations/details/?id={place.id}"))
    refused = {"name": "Lyon 2", "debian_mirror": "ftp://deb.example.org"}
    assert "is not the address of a mirror" in text_of(
        olga.post(f"/operator/locations/edit/?id={place.id}", refused, status=422)
    )
    assert "FRX" not in text_of(
        olga.post("/operator/locations/new/", {"name": "x", "country": "X1"}, status=422)
    )
    olga.post(f"/operator/locations/delete/?id={place.id}")
    assert _one(db, Location) is None


def test_a_location_with_machines_is_not_deleted(olga: Visitor, shop: Shop, db: Database) -> None:
    page = olga.post(f"/operator/locations/delete/?id={shop.location.id}", status=409)
    assert "dom0s and pools" in text_of(page)
    assert _one(db, Location) is not None


def test_a_pool_is_made_with_its_location_by_name(olga: Visitor, db: Database, paris: Location) -> None:
    answer = olga.post("/operator/pools/new/", POOL)
    pool = _one(db, IpPool)
    assert (pool.location_id, pool.dns) == (paris.id, ["198.51.100.1", "198.51.100.2"])
    assert "no addresses yet" in text_of(olga.get(answer.headers["Location"]))
    body = olga.get(f"/operator/pools/edit/?id={pool.id}").get_data(as_text=True)
    assert 'value="Paris"' in body
    assert "198.51.100.1\r\n198.51.100.2" in body or "198.51.100.1\n198.51.100.2" in body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", "198.51.100.0/33"),
        ("network", "198.51.100.7/24"),
        ("network", "192.0.2.0/25"),
        ("gateway", "198.51.100.0"),
        ("gateway", "198.51.100.255"),
        ("gateway", "203.0.113.1"),
        ("dns", "resolver.example.org"),
        ("location_id", "Atlantis"),
        ("location_id", ""),
        ("zone_type", "no such"),
    ],
)
def test_a_pool_that_cannot_be_is_refused_at_its_field(
    olga: Visitor, db: Database, paris: Location, field: str, value: str
) -> None:
    other = builders.make_pool(db, paris, "192.0.2.0/24")
    changes = {"gateway": "192.0.2.2"} if value == "192.0.2.0/25" else {}
    page = olga.post("/operator/pools/new/", POOL | changes | {field: value}, status=422)
    assert f'id="{field}-error"' in page.get_data(as_text=True)
    assert _one(db, IpPool).id == other.id


def test_a_range_is_added_and_the_report_counts_it(olga: Visitor, db: Database, paris: Location) -> None:
    olga.post("/operator/pools/new/", POOL)
    pool = _one(db, IpPool)
    add = f"/operator/pools/do/add-range/?id={pool.id}"
    assert "can be given to new VPSs in Paris" in text_of(olga.get(add))
    answer = olga.post(add, {"first": "198.51.100.10", "last": "198.51.100.29"})
    page = text_of(olga.get(answer.headers["Location"]))
    assert "20 addresses were added" in page
    assert "20 of 20 free" in page


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("198.51.100.0", "198.51.100.9", "first"),
        ("198.51.100.250", "198.51.100.255", "last"),
        ("203.0.113.1", "203.0.113.9", "first"),
        ("", "198.51.100.9", "first"),
        ("x", "198.51.100.9", "first"),
        ("198.51.100.10", "y", "last"),
    ],
)
def test_a_range_that_cannot_be_is_refused_at_its_field(
    olga: Visitor, db: Database, paris: Location, first: str, last: str, field: str
) -> None:
    olga.post("/operator/pools/new/", POOL)
    add = f"/operator/pools/do/add-range/?id={_one(db, IpPool).id}"
    page = olga.post(add, {"first": first, "last": last}, status=422)
    assert f'id="{field}-error"' in page.get_data(as_text=True)
    assert _one(db, IpAddress) is None


def test_a_pool_that_a_vps_has_an_address_of_is_not_deleted(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    shop.order(people.alice)
    page = olga.post(f"/operator/pools/delete/?id={_one(db, IpPool).id}", status=409)
    assert "deactivate it" in text_of(page)
    assert _one(db, IpPool) is not None


def test_an_address_is_withheld_released_and_removed(olga: Visitor, db: Database, shop: Shop) -> None:
    address = _one(db, IpAddress)
    olga.post(f"/operator/addresses/do/withhold/?id={address.id}")
    assert _one(db, IpAddress).state is AddressState.WITHHELD
    olga.post(f"/operator/addresses/do/release/?id={address.id}")
    assert _one(db, IpAddress).state is AddressState.FREE
    olga.post(f"/operator/addresses/delete/?id={address.id}")
    assert _one(db, IpAddress).id != address.id


def test_an_address_shows_who_holds_it_and_who_did(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    vps = shop.vps(shop.paid(people.alice))
    with db.reading() as session:
        address = session.scalars(sa.select(IpAddress).where(IpAddress.vps_id == vps.id)).one()
    listed = text_of(olga.get(f"/operator/addresses/?search={address.address}"))
    assert vps.name in listed
    page = olga.get(f"/operator/addresses/details/?id={address.id}")
    assert f"/operator/vps/details/?id={vps.id}" in page.get_data(as_text=True)
    assert "Acme" in text_of(page)
    olga.post(f"/operator/addresses/do/withhold/?id={address.id}", status=409)
    olga.post(f"/operator/addresses/delete/?id={address.id}", status=409)


def test_a_dom0_is_made_and_shown_with_what_is_given_away(
    olga: Visitor, db: Database, paris: Location
) -> None:
    answer = olga.post("/operator/dom0s/new/", DOM0)
    dom0 = _one(db, Dom0)
    assert (dom0.location_id, dom0.memory_capacity_mib, dom0.state) == (paris.id, 65536, Dom0State.ACTIVE)
    body = olga.get(answer.headers["Location"]).get_data(as_text=True)
    assert '<progress max="100" value="0" aria-label="memory given away">' in body
    assert "0 MiB of 64 GiB" in text_of(olga.get(answer.headers["Location"])).replace("\xa0", " ")


def test_what_a_dom0_says_of_itself_stands_there_with_its_units(
    olga: Visitor, db: Database, paris: Location
) -> None:
    page = olga.post("/operator/dom0s/new/", DOM0).headers["Location"]
    with db.unit_of_work() as session:
        session.scalars(sa.select(Dom0)).one().facts = {"memory_free_mib": 65280, "xen_version": "4.17.7"}
    said = text_of(olga.get(page)).replace("\xa0", " ")
    assert "It says: memory free 65,280 MiB, xen version 4.17.7." in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("minion_id", "Dom0 X"),
        ("minion_id", "a/../b"),
        ("location_id", "Atlantis"),
        ("bridge", "br 0"),
        ("memory_capacity_mib", "-1"),
        ("memory_capacity_mib", ""),
        ("volume_group", ""),
        ("max_parallel_installs", "0"),
        ("hypervisor", "vmware"),
    ],
)
def test_a_dom0_that_cannot_be_is_refused_at_its_field(
    olga: Visitor, db: Database, paris: Location, field: str, value: str
) -> None:
    page = olga.post("/operator/dom0s/new/", DOM0 | {field: value}, status=422)
    assert f'id="{field}-error"' in page.get_data(as_text=True)
    assert _one(db, Dom0) is None


def test_the_capacity_cannot_be_set_below_what_is_given_away(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    shop.order(people.alice)
    edit = f"/operator/dom0s/edit/?id={shop.dom0.id}"
    form = DOM0 | {
        "minion_id": shop.dom0.minion_id, "hypervisor": "simulated", "storage_backend": "simulated", "volume_group": "",
    }  # fmt: skip
    page = olga.post(edit, form | {"memory_capacity_mib": "100"}, status=422)
    assert 'id="memory_capacity_mib-error"' in page.get_data(as_text=True)
    olga.post(edit, form)
    assert _one(db, Dom0).memory_capacity_mib == 65536


def test_a_dom0_changes_its_state_with_a_reason_that_history_keeps(
    olga: Visitor, db: Database, shop: Shop
) -> None:
    for act, state in (
        ("drain", Dom0State.DRAINING), ("maintenance", Dom0State.MAINTENANCE), ("activate", Dom0State.ACTIVE),
    ):  # fmt: skip
        path = f"/operator/dom0s/do/{act}/?id={shop.dom0.id}"
        olga.get(path)
        assert _one(db, Dom0).state is not state
        olga.post(path, {"reason": ""}, status=422)
        olga.post(path, {"reason": f"because of {act}"})
        assert _one(db, Dom0).state is state
        assert _one(db, AuditEvent).reason == f"because of {act}"


def test_a_dom0_is_lost_only_after_its_name_was_typed(olga: Visitor, db: Database, shop: Shop) -> None:
    path = f"/operator/dom0s/do/lost/?id={shop.dom0.id}"
    page = olga.post(path, {"reason": "burnt", "typed": "dom0"}, status=422)
    assert 'id="typed-error"' in page.get_data(as_text=True)
    assert _one(db, Dom0).state is Dom0State.ACTIVE
    olga.post(path, {"reason": "burnt", "typed": shop.dom0.minion_id})
    assert _one(db, Dom0).state is Dom0State.LOST


def test_names_of_locations_are_suggested_a_few_at_a_time(olga: Visitor, db: Database) -> None:
    for number in range(30):
        builders.make_location(db, name=f"Paris {number:02d}")
    builders.make_location(db, name="Lyon")
    path = "/operator/dom0s/ajax/lookup/?name=location&limit=100000"
    suggested = [label for _, label in olga.get(f"{path}&query=Paris 1").get_json()]
    assert suggested == [f"Paris 1{digit}" for digit in range(10)]
    assert len(olga.get(f"{path}&query=").get_json()) == 20
    assert len(olga.get(path).get_json()) == 20
    olga.get("/operator/dom0s/ajax/lookup/?name=account&query=x", status=404)


def test_no_form_lists_the_rows_of_a_relation(olga: Visitor, db: Database) -> None:
    for number in range(30):
        builders.make_location(db, name=f"Elsewhere {number:02d}")
    for path in ("dom0s/new", "pools/new"):
        assert "Elsewhere" not in olga.get(f"/operator/{path}/").get_data(as_text=True)
