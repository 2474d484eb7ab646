"""The pillar of one dom0: the very bytes of the sample that both worlds are tested against."""

from __future__ import annotations

import json
import random
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from domus.catalog.models import InstallMethod, OsTemplate, Virtualization
from domus.inventory.models import Dom0, Hypervisor, IpPool, StorageBackend
from domus.pillar.render import VpsRows, render
from domus.vps.models import Disk, Power, Vps, VpsState
from tests.support.builders import NOW

SAMPLE = Path(__file__).parents[2] / "data" / "contracts" / "pillar-two-vps.json"

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5vQ2cVbMdEYC4qmWgZ0xL7MJfGm4k1jQ9sYlL1r3zT"


def dom0(**columns) -> Dom0:
    defaults = {
        "minion_id": "dom0-a", "hypervisor": Hypervisor.XEN, "storage_backend": StorageBackend.LVM,
        "volume_group": "xenvg", "thin_pool": "", "image_dir": "", "bridge": "xenbr0",
        "max_parallel_installs": 2, "max_removals_per_run": 3, "report_key": "5e" * 32,
    }  # fmt: skip
    return Dom0(**defaults | columns)


def template(name: str = "debian-12", **columns) -> OsTemplate:
    defaults = {
        "name": name, "method": InstallMethod.BOOTSTRAP, "distribution": "debian", "release": "bookworm",
        "arch": "amd64", "version": "1",
    }  # fmt: skip
    return OsTemplate(**defaults | columns)


def vps(number: int = 1, **columns) -> Vps:
    identity = uuid.UUID(f"6f1b2c3{number}-0000-4000-8000-000000000000")
    defaults = {
        "id": identity, "name": f"vps-{identity.hex[:8]}", "state": VpsState.ACTIVE, "hostname": "www.example.org",
        "root_password_hash": None, "ssh_keys": [], "virtualization": Virtualization.PV, "memory_mib": 512,
        "vcpus": 1, "cpu_weight": 256, "cpu_cap_percent": 0, "revision": 3, "boot_serial": 0,
        "hard_reboot": False, "hard_stop": False, "wanted_power": Power.RUNNING,
        "install_id": uuid.UUID(f"0b9e000{number}-0000-4000-8000-000000000000"), "install_attempt": 1,
        "tombstone_token": None, "remove_not_before": None,
    }  # fmt: skip
    return Vps(**defaults | columns)


def rows(row: Vps, **changes) -> VpsRows:
    number = int(row.name[-1])
    pool = IpPool(network="192.0.2.0/24", gateway="192.0.2.1", dns=["192.0.2.1"])
    pool6 = IpPool(network="2001:db8::/64", gateway="2001:db8::1", dns=["192.0.2.1", "2001:db8::1"])
    defaults = {
        "vps": row, "template": template(), "suspended": False, "macs": [f"00:16:3e:1a:2b:0{number}"],
        "disks": [
            Disk(name="root", role="root", size_mib=10240, device="xvda1", filesystem="ext4"),
            Disk(name="swap", role="swap", size_mib=512, device="xvda2", filesystem="swap"),
        ],
        "addresses": [(f"192.0.2.1{number}", pool), (f"2001:db8::1{number}", pool6)],
    }  # fmt: skip
    return VpsRows(**defaults | changes)


def two_vps() -> list[VpsRows]:
    """Return a running VPS with everything, and one whose removal waits for its time."""
    running = vps(
        1, ssh_keys=[f"{KEY} {{{{ 7*7 }}}} $(id) ]]> '\" !!python"],
        root_password_hash="$2b$12$abcdefghijklmnopqrstuuB8Cn2rV0a1bQ2c3d4e5f6g7h8i9j0k2",
        boot_serial=2, hard_reboot=True, cpu_cap_percent=150,
    )  # fmt: skip
    going = vps(
        2, state=VpsState.REMOVING, wanted_power=Power.STOPPED, install_attempt=2,
        tombstone_token=uuid.UUID("70c40000-0000-4000-8000-000000000002"),
        remove_not_before=NOW + timedelta(days=7),
    )  # fmt: skip
    image = template("debian-12-image", method=InstallMethod.IMAGE)
    return [rows(running), rows(going, template=image, addresses=[])]


def test_the_pillar_is_the_sample_to_the_byte():
    made = json.dumps({"domus": render(dom0(), two_vps())}, indent=2) + "\n"
    assert made == SAMPLE.read_text(encoding="utf-8")


def test_the_order_of_the_rows_does_not_matter():
    shuffled = two_vps()
    random.Random(7).shuffle(shuffled)
    first, second = render(dom0(), two_vps()), render(dom0(), list(reversed(shuffled)))
    assert json.dumps(first) == json.dumps(second)


def one(**changes) -> dict:
    row = changes.pop("vps", vps())
    return render(dom0(), [rows(row, **changes)])["vps"][str(row.id)]


@pytest.mark.parametrize(
    ("wanted", "suspended", "expected"),
    [
        (Power.RUNNING, False, "running"), (Power.RUNNING, True, "stopped"),
        (Power.STOPPED, False, "stopped"), (Power.STOPPED, True, "stopped"),
    ],
)  # fmt: skip
def test_a_suspension_stops_whatever_is_wanted(wanted, suspended, expected):
    assert one(vps=vps(wanted_power=wanted), suspended=suspended)["wanted"] == expected


TOMB = {"tombstone_token": uuid.UUID(int=1), "remove_not_before": NOW}


@pytest.mark.parametrize("state", set(VpsState) - {VpsState.REMOVING})
def test_only_what_is_being_removed_is_ever_wanted_absent(state):
    """Even a tombstone left in the columns destroys nothing in another state."""
    entry = one(vps=vps(state=state, **TOMB))
    assert (entry["wanted"], entry["tombstone"]) == ("running", None)


@pytest.mark.parametrize("missing", TOMB)
def test_without_a_whole_tombstone_nothing_is_wanted_absent(missing):
    entry = one(vps=vps(state=VpsState.REMOVING, **TOMB | {missing: None}))
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
    row = dom0(storage_backend=backend, volume_group="vg", thin_pool="thin", image_dir="/images")
    assert render(row, [])["dom0"]["storage"] == expected


def test_name_servers_are_told_once_and_not_more_than_a_resolver_asks():
    many = IpPool(network="192.0.2.0/24", gateway="192.0.2.1", dns=[f"192.0.2.{n}" for n in range(1, 20)])
    entry = one(addresses=[("192.0.2.9", many), ("192.0.2.10", many)])
    assert entry["dns"] == [f"192.0.2.{n}" for n in range(1, 9)]


def test_the_first_card_carries_all_addresses():
    entry = one(macs=["00:16:3e:00:00:01", "00:16:3e:00:00:02"])
    assert [len(nic["ipv4"]) for nic in entry["nics"]] == [1, 0]
    assert one(macs=[])["nics"] == []
