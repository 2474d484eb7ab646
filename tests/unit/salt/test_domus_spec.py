"""Parsing of the pillar: what is allowed comes through, what is not is named."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from domus_errors import NotValid
from domus_spec import Dom0Pillar, VpsSpec, volume_name

from tests.support.pillars import dom0_pillar, tombstone, uuid_of, vps_entry

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "contracts"
HOSTILE = (
    "{{ 7*7 }}",
    "$(id)",
    "`id`",
    "]]>",
    "../x",
    "!!python/object:os.system",
    "a'b",
    'a"b',
    "a\nb",
    "a\x00b",
    "-rf",
    "a b",
    "",
    None,
    7,
    ["a"],
)


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return an entry with one field, given as ``nics.0.mac``, replaced."""
    entry = json.loads(json.dumps(vps_entry(1, tombstone=tombstone(1))))
    *parents, last = path.split(".")
    place: Any = entry
    for parent in parents:
        place = place[int(parent)] if parent.isdigit() else place[parent]
    place[int(last) if last.isdigit() else last] = value
    return entry


def test_entry_of_the_contract_comes_through_entirely() -> None:
    spec = VpsSpec.parse(vps_entry(1))
    assert spec.name == "vps-00000001"
    assert spec.tag == f"domus:{uuid_of(1)}"
    assert volume_name(spec, spec.root_disk) == "vps-00000001-root"
    assert spec.nics[0].ipv4[0].gateway == "192.0.2.1"
    assert spec.tombstone is None


def test_tombstone_is_read_in_utc() -> None:
    entry = vps_entry(1, wanted="absent", tombstone=tombstone(1, not_before="2026-11-20T13:00:00+01:00"))
    spec = VpsSpec.parse(entry)
    assert spec.tombstone is not None
    assert spec.tombstone.not_before == datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "path",
    [
        "uuid",
        "name",
        "wanted",
        "reboot_mode",
        "stop_mode",
        "virtualization",
        "disks.0.name",
        "disks.0.role",
        "disks.0.device",
        "disks.0.filesystem",
        "nics.0.mac",
        "nics.0.bridge",
        "nics.0.ipv4.0.address",
        "dns.0",
        "os.install_id",
        "os.template",
        "os.hostname",
        "tombstone.token",
        "tombstone.not_before",
    ],
)
def test_hostile_value_is_refused_and_its_field_named(path: str, value: Any) -> None:
    with pytest.raises(NotValid) as refused:
        VpsSpec.parse(changed(path, value))
    words = [word for word in path.split(".") if not word.isdigit()]
    assert words[-1] in str(refused.value)


@pytest.mark.parametrize("value", ["512", 512.0, True, -1, 0, 1 << 40, None])
@pytest.mark.parametrize("path", ["memory_mib", "vcpus", "stop_timeout_seconds", "disks.0.size_mib"])
def test_number_of_another_kind_or_out_of_bounds_is_refused(path: str, value: Any) -> None:
    with pytest.raises(NotValid, match="allowed is a whole number from"):
        VpsSpec.parse(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("os.root_password_hash", "secret", "is no crypt hash"),
        ("os.ssh_keys", ["ssh-ed25519 AAAA"], "os.ssh_keys[0]"),
        ("os.ssh_keys", [f'command="id" ssh-ed25519 {"A" * 68}'], "os.ssh_keys[0]"),
        ("os.ssh_keys", [f"ssh-ed25519 {'A' * 68} a\nssh-rsa {'B' * 68}"], "os.ssh_keys[0]"),
        ("os.ssh_keys", [f"ssh-ed25519 {'A' * 68} \x1b[2J"], "os.ssh_keys[0]"),
        ("nics.0.mac", "01:16:3e:00:00:01", "unicast MAC"),
        ("nics.0.mac", "00:16:3E:00:00:01", "unicast MAC"),
        ("nics.0.ipv4.0.address", "2001:db8::1", "allowed is"),
        ("nics.0.ipv4.0.gateway", "2001:db8::1", "another IPv4 address"),
        ("nics.0.ipv4.0.gateway", "192.0.2.10", "another IPv4 address"),
        ("nics.0.ipv4.0.prefix_length", 33, "from 1 to 32"),
        ("disks.1.device", "xvda1", "device xvda1 more than once"),
        ("disks.1.name", "root", "name root more than once"),
        ("disks.1.role", "root", "swap belongs to role swap"),
        ("disks", [], "allowed is a list of 1 to 16 items"),
        ("tombstone.not_before", "2026-11-20T12:00:00", "allowed: a time such as"),
        ("os.hostname", "1.2.3.4", "allowed is a host name"),
        ("os.hostname", f"{'a' * 64}.org", "allowed is a host name"),
    ],
)
def test_broken_rule_is_named(path: str, value: Any, said: str) -> None:
    with pytest.raises(NotValid) as refused:
        VpsSpec.parse(changed(path, value))
    assert said in str(refused.value)


def test_error_about_a_password_hash_does_not_repeat_it() -> None:
    with pytest.raises(NotValid) as refused:
        VpsSpec.parse(changed("os.root_password_hash", "hunter2"))
    assert "hunter2" not in str(refused.value)
    assert "$2b$" not in repr(VpsSpec.parse(vps_entry(1)))


def test_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NotValid, match="vps has fields that are not known here: 'cpu_cap_precent'"):
        VpsSpec.parse(vps_entry(1, cpu_cap_precent=5))


def test_missing_field_is_named() -> None:
    entry = vps_entry(1)
    del entry["os"]["hostname"]
    with pytest.raises(NotValid, match=r"^vps\.os\.hostname is missing$"):
        VpsSpec.parse(entry)


@pytest.mark.parametrize("comment", ["{{ 7*7 }}", "$(id)", "]]>", "../x", "'\" & <x>", "!!python/object"])
def test_comment_of_an_ssh_key_is_free_text(comment: str) -> None:
    key = f"ssh-ed25519 {'A' * 68} {comment}"
    assert VpsSpec.parse(vps_entry(1, os={"ssh_keys": [key]})).os.ssh_keys == (key,)


def test_pillar_keeps_what_is_valid_and_names_what_is_not() -> None:
    pillar = Dom0Pillar.parse(dom0_pillar(vps_entry(1), vps_entry(2, vcpus=0)))
    assert list(pillar.vps) == [uuid_of(1)]
    assert "vps.vcpus is 0" in pillar.problems[uuid_of(2)]


def test_entry_under_the_key_of_another_is_a_problem() -> None:
    raw = dom0_pillar(vps_entry(1))
    raw["vps"] = {uuid_of(2): vps_entry(1)}
    pillar = Dom0Pillar.parse(raw)
    assert not pillar.vps
    assert f"allowed is the entry's own key {uuid_of(2)}" in pillar.problems[uuid_of(2)]


@pytest.mark.parametrize("shared", ["name", "nics"])
def test_two_vps_that_share_a_name_or_a_mac_are_both_left_alone(shared: str) -> None:
    first = vps_entry(1)
    pillar = Dom0Pillar.parse(dom0_pillar(first, vps_entry(2, **{shared: first[shared]}), vps_entry(3)))
    assert list(pillar.vps) == [uuid_of(3)]
    assert "used by several VPSs" in pillar.problems[uuid_of(1)]


def test_broken_template_is_a_problem_of_the_template_alone() -> None:
    raw = dom0_pillar(vps_entry(1))
    raw["templates"]["debian-12"]["method"] = "magic"
    pillar = Dom0Pillar.parse(raw)
    assert list(pillar.vps) == [uuid_of(1)]
    assert "template.method is 'magic'" in pillar.problems["template debian-12"]


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_other_schema_versions_are_refused(version: Any) -> None:
    with pytest.raises(NotValid, match="bring its modules and the master to the same release"):
        Dom0Pillar.parse(dom0_pillar() | {"schema_version": version})


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ({"backend": "lvm"}, "volume_group is missing"),
        ({"backend": "lvm", "volume_group": "../x"}, "volume_group is '../x'"),
        ({"backend": "lvm_thin", "volume_group": "vg"}, "thin_pool is missing"),
        ({"backend": "image", "image_dir": "/var/../etc"}, "an absolute path of plain names"),
        ({"backend": "ceph"}, "allowed: simulated, lvm, lvm_thin, image"),
    ],
)
def test_storage_that_its_backend_cannot_use_is_refused(storage: dict[str, str], said: str) -> None:
    with pytest.raises(NotValid) as refused:
        Dom0Pillar.parse(dom0_pillar(storage=storage))
    assert said in str(refused.value)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("pillar-*.json")), ids=lambda path: path.stem)
def test_samples_of_the_contract_parse_without_a_problem(sample: Path) -> None:
    pillar = Dom0Pillar.parse(json.loads(sample.read_text())["domus"])
    assert pillar.problems == {}


def test_there_are_samples_of_the_contract() -> None:
    assert list(SAMPLES.glob("pillar-*.json"))
