"""What a pillar is made of, as the database has it: plain tuples, with enumerations and UUIDs as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


class Dom0Row(NamedTuple):
    """The dom0 itself."""

    id: int
    minion_id: str
    hypervisor: str
    bridge: str
    storage_backend: str
    volume_group: str
    thin_pool: str
    image_dir: str
    report_key: str
    max_parallel_installs: int
    max_removals_per_run: int
    debian_mirror: str
    """Of its location; empty when there is none."""


class VpsRow(NamedTuple):
    """One VPS with the operating system that it is installed with, once for each of its network cards."""

    id: str
    name: str
    state: str
    suspended: bool
    """Whether at least one suspension stands."""
    wanted_power: str
    revision: int
    boot_serial: int
    hard_reboot: bool
    hard_stop: bool
    virtualization: str
    memory_mib: int
    vcpus: int
    cpu_weight: int
    cpu_cap_percent: int
    hostname: str
    root_password_hash: str | None
    ssh_keys: list[str]
    install_id: str
    install_attempt: int
    tombstone_token: str | None
    remove_not_before: datetime | None
    template: str
    method: str
    distribution: str
    release: str
    arch: str
    version: str
    nic_id: int | None
    mac: str | None
    """None for a VPS without a network card."""


class DiskRow(NamedTuple):
    """A volume of a VPS."""

    vps_name: str
    id: int
    name: str
    role: str
    size_mib: int
    device: str
    filesystem: str


class AddressRow(NamedTuple):
    """An address of a VPS, with what its pool says of it."""

    vps_name: str
    pool_id: int
    position: int
    """Its place in the pool, so that addresses sort as numbers."""
    address: str
    network: str
    """The pool's, as ``192.0.2.0/24``."""
    gateway: str
    dns: list[str]


class Dom0Rows(NamedTuple):
    """One dom0 with all that stands on it, in any order."""

    dom0: Dom0Row
    vps: Sequence[VpsRow]
    disks: Sequence[DiskRow]
    addresses: Sequence[AddressRow]
