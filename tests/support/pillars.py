"""Pillars of dom0s for tests, as `docs/contracts.md` describes them."""

from typing import Any

MINION_ID = "dom0-a"


def uuid_of(number: int, kind: str = "0000") -> str:
    """Return a uuid that is easy to recognise in messages."""
    return f"{number:08x}-{kind}-4000-8000-000000000000"


def vps_entry(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the entry of one VPS; ``os`` is merged, other fields are replaced by ``changes``."""
    uuid = uuid_of(number)
    system = {
        "install_id": uuid_of(number, "1111"),
        "template": "debian-12",
        "hostname": f"vps{number}.example.org",
        "root_password_hash": "$2b$12$" + "abcdefghij./ABCDEFGHIJ" + "k" * 31,
        "ssh_keys": [f"ssh-ed25519 {'AAAAC3NzaC1lZDI1NTE5AAAAI'}{'B' * 43} alice@example.org"],
        "attempt": 1,
    }
    entry: dict[str, Any] = {
        "uuid": uuid,
        "name": f"vps-{uuid[:8]}",
        "revision": 1,
        "wanted": "running",
        "boot_serial": 0,
        "reboot_mode": "soft",
        "stop_mode": "graceful",
        "stop_timeout_seconds": 120,
        "virtualization": "pv",
        "memory_mib": 512,
        "vcpus": 1,
        "cpu_weight": 256,
        "cpu_cap_percent": 0,
        "disks": [
            {"name": "root", "role": "root", "size_mib": 1024, "device": "xvda1", "filesystem": "ext4"},
            {"name": "swap", "role": "swap", "size_mib": 256, "device": "xvda2", "filesystem": "swap"},
        ],
        "nics": [
            {
                "mac": f"00:16:3e:00:00:{number:02x}",
                "bridge": "xenbr0",
                "ipv4": [{"address": f"192.0.2.{number + 9}", "prefix_length": 24, "gateway": "192.0.2.1"}],
                "ipv6": [],
            }
        ],
        "dns": ["192.0.2.1"],
        "os": system,
        "tombstone": None,
    }
    system |= changes.pop("os", {})
    return entry | changes


def tombstone(number: int = 1, not_before: str = "2020-01-01T00:00:00Z") -> dict[str, str]:
    """Return a tombstone; without more it is due."""
    return {"token": uuid_of(number, "dead"), "not_before": not_before}


def dom0_pillar(*vps: dict[str, Any], **dom0: Any) -> dict[str, Any]:
    """Return the pillar key ``domus`` of a simulated dom0 with some VPSs."""
    return {
        "schema_version": 1,
        "dom0": {
            "minion_id": MINION_ID,
            "hypervisor": "simulated",
            "bridge": "xenbr0",
            "storage": {"backend": "simulated"},
            "max_parallel_installs": 2,
            "max_removals_per_run": 3,
        }
        | dom0,
        "templates": {
            "debian-12": {
                "name": "debian-12",
                "method": "bootstrap",
                "distribution": "debian",
                "release": "bookworm",
                "arch": "amd64",
                "version": "1",
                "mirror": None,
            }
        },
        "vps": {entry["uuid"]: entry for entry in vps},
    }
