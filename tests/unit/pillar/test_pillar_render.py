"""The pillar of one dom0: the very bytes of the sample that both worlds are tested against."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from domus.inventory.models import StorageBackend
from domus.pillar.render import render
from domus.pillar.rows import AddressRow, DiskRow, Dom0Row, Dom0Rows, VpsRow
from domus.vps.models import Power, VpsState
from tests.support.builders import NOW

SAMPLE = Path(__file__).parents[2] / "data" / "contracts" / "pillar-two-vps.json"

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5vQ2cVbMdEYC4qmWgZ0xL7MJfGm4k1jQ9sYlL1r3zT"


def dom0(**columns) -> Dom0Row:
    defaults = {
        "id": 1, "minion_id": "dom0-a", "hypervisor": "xen", "storage_backend": "lvm", "volume_group": "xenvg",
        "thin_pool": "", "image_dir": "", "bridge": "xenbr0", "max_parallel_installs": 2, "max_removals_per_run": 3,
        "debian_mirror": "",
        "report_key": "5e" * 32,
    }  # fmt: skip
    return Dom0Row(**defaults | columns)


def vps(number: int = 1, **columns) -> VpsRow:
    identity = f"6f1b2c3{number}-0000-4000-8000-000000000000"
    defaults = {
        "id": identity, "name": f"vps-{identity[:8]}", "state": "active", "suspended": False,
        "hostname": "www.example.org", "root_password_hash": None, "ssh_keys": [], "virtualization": "pv",
        "memory_mib": 512, "vcpus": 1, "cpu_weight": 256, "cpu_cap_percent": 0, "revision": 3, "boot_serial": 0,
        "hard_reboot": False, "hard_stop": False, "wanted_power": "running",
        "install_id": f"0b9e000{number}-0000-4000-8000-000000000000", "install_attempt": 1,
        "tombstone_token": None, "remove_not_before": None,
        "template": "debian-12", "method": "bootstrap", "distribution": "debian", "release": "bookworm",
        "arch": "amd64", "version": "1", "nic_id": number, "mac": f"00:16:3e:1a:2b:0{number}",
    }  # fmt: skip
    return VpsRow(**defaults | columns)


def disks(row: VpsRow) -> list[DiskRow]:
    first = 10 * (row.nic_id or 0)
    return [
        DiskRow(row.name, first, "root", "root", 10240, "xvda1", "ext4"),
        DiskRow(row.name, first + 1, "swap", "swap", 512, "xvda2", "swap"),
    ]


def address(row: VpsRow, text: str, **columns) -> AddressRow:
    defaults = {
        "vps_name": row.name, "pool_id": 4, "position": 1, "address": text, "network": "192.0.2.0/24",
        "gateway": "192.0.2.1", "dns": ["192.0.2.1"],
    }  # fmt: skip
    return AddressRow(**defaults | columns)


def two_vps() -> Dom0Rows:
    """Return a dom0 with a running VPS that has everything, and one whose removal waits for its time."""
    running = vps(
        1, ssh_keys=[f"{KEY} {{{{ 7*7 }}}} $(id) ]]> '\" !!python"],
        root_password_hash="$2b$12$abcdefghijklmnopqrstuuB8Cn2rV0a1bQ2c3d4e5f6g7h8i9j0k2",
        boot_serial=2, hard_reboot=True, cpu_cap_percent=150,
    )  # fmt: skip
    going = vps(
        2, state="removing", wanted_power="stopped", install_attempt=2,
        tombstone_token="70c40000-0000-4000-8000-000000000002", remove_not_before=NOW + timedelta(days=7),
        template="debian-12-image", method="image",
    )  # fmt: skip
    six = {
        "pool_id": 6, "network": "2001:db8::/64", "gateway": "2001:db8::1", "dns": ["192.0.2.1", "2001:db8::1"],
    }  # fmt: skip
    addresses = [address(running, "192.0.2.11"), address(running, "2001:db8::11", **six)]
    return Dom0Rows(dom0(), [running, going], disks(running) + disks(going), addresses)


def test_the_pillar_is_the_sample_to_the_byte():
    made = json.dumps({"domus": render(two_vps())}, indent=2) + "\n"
    assert made == SAMPLE.read_text(encoding="utf-8")


def test_the_order_of_the_rows_does_not_matter():
    rows = two_vps()
    turned = Dom0Rows(rows.dom0, rows.vps[::-1], rows.disks[::-1], rows.addresses[::-1])
    assert json.dumps(render(turned)) == json.dumps(render(rows))


def one(row: VpsRow, *addresses: AddressRow) -> dict:
    return render(Dom0Rows(dom0(), [row], disks(row), addresses))["vps"][row.id]


@pytest.mark.parametrize(
    ("distribution", "of_its_place", "expected"),
    [
        ("debian", "http://deb.example.org/debian", "http://deb.example.org/debian"),
        ("debian", "", None),
        ("ubuntu", "http://deb.example.org/debian", None),
    ],
)
def test_a_places_mirror_is_for_debian_alone(distribution, of_its_place, expected):
    rows = Dom0Rows(dom0(debian_mirror=of_its_place), [vps(distribution=distribution)], [], [])
    assert render(rows)["templates"]["debian-12"]["mirror"] == expected


@pytest.mark.parametrize(
    ("wanted", "suspended", "expected"),
    [
        (Power.RUNNING, False, "running"), (Power.RUNNING, True, "stopped"),
        (Power.STOPPED, False, "stopped"), (Power.STOPPED, True, "stopped"),
    ],
)  # fmt: skip
def test_a_suspension_stops_whatever_is_wanted(wanted, suspended, expected):
    assert one(vps(wanted_power=wanted.value, suspended=suspended))["wanted"] == expected


TOMB = {"tombstone_token": "70c40000-0000-4000-8000-000000000002", "remove_not_before": NOW}


@pytest.mark.parametrize("state", [state for state in VpsState if state is not VpsState.REMOVING])
def test_only_what_is_being_removed_is_ever_wanted_absent(state):
    """Even a tombstone left in the columns destroys nothing in another state."""
    entry = one(vps(state=state.value, **TOMB))
    assert (entry["wanted"], entry["tombstone"]) == ("running", None)


@pytest.mark.parametrize("missing", TOMB)
def test_without_a_whole_tombstone_nothing_is_wanted_absent(missing):
    entry = one(vps(state="removing", **TOMB | {missing: None}))
    assert (entry["wanted"], entry["tombstone"]) == ("running", None)


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (StorageBackend.SIMULATED, {"backend": "simulated"}),
        (StorageBackend.LVM, {"backend": "lvm", "volume_group": "vg"}),
        (StorageBackend.LVM_THIN, {"backend": "lvm_thin", "volume_group": "vg", "thin_pool": "thin"}),
        (StorageBackend.IMAGE, {"backend": "image", "image_dir": "/images"}),
    ],
)
def test_a_dom0_is_told_what_its_storage_needs(backend, expected):
    row = dom0(storage_backend=backend.value, volume_group="vg", thin_pool="thin", image_dir="/images")
    assert render(Dom0Rows(row, [], [], []))["dom0"]["storage"] == expected


def test_name_servers_are_told_once_and_not_more_than_a_resolver_asks():
    many = [f"192.0.2.{n}" for n in (1, *range(1, 20))]
    entry = one(vps(), address(vps(), "192.0.2.9", dns=many), address(vps(), "192.0.2.10", dns=many))
    assert entry["dns"] == [f"192.0.2.{n}" for n in range(1, 9)]


def test_addresses_stand_in_the_order_of_their_pools():
    places = {"192.0.2.30": (4, 2), "192.0.2.200": (4, 1), "192.0.2.9": (5, 0)}
    given = [address(vps(), text, pool_id=pool, position=at) for text, (pool, at) in places.items()]
    assert [found["address"] for found in one(vps(), *given)["nics"][0]["ipv4"]] == [
        "192.0.2.200", "192.0.2.30", "192.0.2.9",
    ]  # fmt: skip


def test_the_first_card_carries_all_addresses():
    cards = [vps(nic_id=8, mac="00:16:3e:00:00:02"), vps(nic_id=7, mac="00:16:3e:00:00:01")]
    rows = Dom0Rows(dom0(), cards, [], [address(cards[0], "192.0.2.9")])
    nics = render(rows)["vps"][cards[0].id]["nics"]
    assert [(nic["mac"], len(nic["ipv4"])) for nic in nics] == [
        ("00:16:3e:00:00:01", 1),
        ("00:16:3e:00:00:02", 0),
    ]


def test_a_vps_without_a_card_has_its_name_servers_all_the_same():
    entry = one(without := vps(nic_id=None, mac=None), address(without, "192.0.2.9"))
    assert (entry["nics"], entry["dns"]) == ([], ["192.0.2.1"])


def test_what_belongs_to_a_vps_that_came_in_between_is_left_out():
    rows = two_vps()
    assert list(render(rows._replace(vps=rows.vps[:1]))["vps"]) == [rows.vps[0].id]
