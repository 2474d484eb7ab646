"""Pillar entries for installations, and waiting until they have ended."""

import select
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from domus_state_dir import StateDir
from domus_worker_lock import WorkerLock

PASSWORD_HASH = "$6$saltsalt$" + "x" * 60
SSH_KEY = "ssh-ed25519 " + "A" * 68 + " alice"


def vps_entry(number: int = 1, **os_changes: Any) -> dict[str, Any]:
    """Return the pillar entry of one VPS; ``os_changes`` go below ``os``."""
    own = f"6f1b2c3d-0000-4000-8000-{number:012d}"
    return {
        "uuid": own,
        "name": f"vps-{number:08d}",
        "revision": 1,
        "wanted": "running",
        "boot_serial": 0,
        "reboot_mode": "soft",
        "stop_mode": "graceful",
        "stop_timeout_seconds": 120,
        "virtualization": "pv",
        "memory_mib": 32,
        "vcpus": 1,
        "cpu_weight": 256,
        "cpu_cap_percent": 0,
        "disks": [
            {"name": "root", "role": "root", "size_mib": 1536, "device": "xvda1", "filesystem": "ext4"},
            {"name": "swap", "role": "swap", "size_mib": 64, "device": "xvda2", "filesystem": "swap"},
        ],
        "nics": [
            {
                "mac": f"00:16:3e:00:{number // 256:02x}:{number % 256:02x}",
                "bridge": "xenbr0",
                "ipv4": [{"address": "192.0.2.10", "prefix_length": 24, "gateway": "192.0.2.1"}],
                "ipv6": [],
            }
        ],
        "dns": ["192.0.2.1"],
        "os": {
            "install_id": str(uuid.uuid5(uuid.NAMESPACE_OID, own)),
            "template": "debian-12",
            "hostname": "www.example.org",
            "root_password_hash": PASSWORD_HASH,
            "ssh_keys": [SSH_KEY],
            **os_changes,
        },
        "tombstone": None,
    }


def template_entry(method: str = "image") -> dict[str, Any]:
    """Return the pillar entry of Debian 12."""
    return {
        "name": "debian-12",
        "method": method,
        "distribution": "debian",
        "release": "bookworm",
        "arch": "amd64",
        "version": "1",
    }


def dom0_entry(backend: str = "simulated", image_dir: Path = Path("/nowhere")) -> dict[str, Any]:
    """Return the pillar entry of a dom0 on the simulated hypervisor."""
    return {
        "minion_id": "dom0-a",
        "hypervisor": "simulated",
        "bridge": "xenbr0",
        "storage": {"backend": backend, "image_dir": str(image_dir)},
        "max_parallel_installs": 2,
        "max_removals_per_run": 3,
    }


def request(
    vps: dict[str, Any],
    *,
    method: str = "image",
    dom0: dict[str, Any] | None = None,
    install_seconds: float = 0,
) -> dict[str, Any]:
    """Return the request of an installation."""
    return {
        "schema_version": 1,
        "vps": vps,
        "dom0": dom0 or dom0_entry(),
        "template": template_entry(method),
        "options": {"simulated": {"install_seconds": install_seconds, "memory_mib": 1 << 20}},
    }


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Wait until something holds, and say what it was if it never does."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds} s in vain until {what}"
        select.select([], [], [], 0.01)


def wait_for_worker(state_dir: StateDir, *, seconds: float = 60) -> None:
    """Wait until the worker has ended, and with it the queue."""

    def ended() -> bool:
        lock = WorkerLock(state_dir)
        free = lock.take()
        lock.close()
        return free and not state_dir.names("requests")

    wait_for(ended, "the installation worker has ended", seconds=seconds)
