"""The pillar of one dom0 as ``docs/contracts.md`` 1 describes it, from rows alone.

The same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domus.catalog.models import OsTemplate
from domus.core.clock import iso_z
from domus.inventory.models import Dom0, IpPool, StorageBackend
from domus.vps.models import Disk, Vps, VpsState

SCHEMA_VERSION = 1

#: How long a guest may take to shut down before it is switched off.
STOP_TIMEOUT_SECONDS = 120

#: More name servers than this no resolver asks.
MAX_DNS = 8

_STORAGE_FIELDS = {
    StorageBackend.SIMULATED: (),
    StorageBackend.LVM: ("volume_group",),
    StorageBackend.LVM_THIN: ("volume_group", "thin_pool"),
    StorageBackend.IMAGE: ("image_dir",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VpsRows:
    """One VPS with what belongs to it."""

    vps: Vps
    template: OsTemplate
    suspended: bool
    macs: Sequence[str]
    disks: Sequence[Disk]
    addresses: Sequence[tuple[str, IpPool]]
    """Each address with its pool; all of them are carried by the first network card."""


def render(dom0: Dom0, rows: Sequence[VpsRows]) -> dict[str, Any]:
    """Return what stands under the pillar key ``domus``, in an order that does not change by itself."""
    templates = {row.template.name: row.template for row in rows}
    return {
        "schema_version": SCHEMA_VERSION,
        "dom0": _dom0(dom0),
        "templates": {name: _template(templates[name]) for name in sorted(templates)},
        "vps": {str(row.vps.id): _vps(dom0, row) for row in sorted(rows, key=lambda row: str(row.vps.id))},
    }


def _dom0(dom0: Dom0) -> dict[str, Any]:
    storage = {"backend": dom0.storage_backend.value}
    storage |= {name: getattr(dom0, name) for name in _STORAGE_FIELDS[dom0.storage_backend]}
    return {
        "minion_id": dom0.minion_id,
        "hypervisor": dom0.hypervisor.value,
        "bridge": dom0.bridge,
        "storage": storage,
        "report_key": dom0.report_key,
        "max_parallel_installs": dom0.max_parallel_installs,
        "max_removals_per_run": dom0.max_removals_per_run,
    }


def _template(template: OsTemplate) -> dict[str, Any]:
    return {
        "name": template.name,
        "method": template.method.value,
        "distribution": template.distribution,
        "release": template.release,
        "arch": template.arch,
        "version": template.version,
        "mirror": None,
    }


def _vps(dom0: Dom0, row: VpsRows) -> dict[str, Any]:
    vps = row.vps
    return {
        "uuid": str(vps.id),
        "name": vps.name,
        "revision": vps.revision,
        "wanted": _wanted(row),
        "boot_serial": vps.boot_serial,
        "reboot_mode": "hard" if vps.hard_reboot else "soft",
        "stop_mode": "hard" if vps.hard_stop else "graceful",
        "stop_timeout_seconds": STOP_TIMEOUT_SECONDS,
        "virtualization": vps.virtualization.value,
        "memory_mib": vps.memory_mib,
        "vcpus": vps.vcpus,
        "cpu_weight": vps.cpu_weight,
        "cpu_cap_percent": vps.cpu_cap_percent,
        "disks": [_disk(disk) for disk in row.disks],
        "nics": _nics(dom0, row),
        "dns": _dns(row),
        "os": {
            "install_id": str(vps.install_id),
            "template": row.template.name,
            "hostname": vps.hostname,
            "root_password_hash": vps.root_password_hash,
            "ssh_keys": list(vps.ssh_keys),
            "attempt": vps.install_attempt,
            "installed": vps.state is VpsState.ACTIVE,
        },
        "tombstone": _tombstone(vps),
    }


def _wanted(row: VpsRows) -> str:
    if _tombstone(row.vps) is not None:
        return "absent"
    return "stopped" if row.suspended else row.vps.wanted_power.value


def _tombstone(vps: Vps) -> dict[str, str] | None:
    """Return the permission to destroy.

    Only a VPS in state removing has one, whatever else its columns say.
    """
    if vps.state is not VpsState.REMOVING or vps.tombstone_token is None or vps.remove_not_before is None:
        return None
    return {"token": str(vps.tombstone_token), "not_before": iso_z(vps.remove_not_before)}


def _disk(disk: Disk) -> dict[str, Any]:
    return {
        "name": disk.name,
        "role": disk.role,
        "size_mib": disk.size_mib,
        "device": disk.device,
        "filesystem": disk.filesystem,
    }


def _nics(dom0: Dom0, row: VpsRows) -> list[dict[str, Any]]:
    ipv4 = [_address(address, pool) for address, pool in row.addresses if ":" not in address]
    ipv6 = [_address(address, pool) for address, pool in row.addresses if ":" in address]
    nics: list[dict[str, Any]] = [
        {"mac": mac, "bridge": dom0.bridge, "ipv4": [], "ipv6": []} for mac in row.macs
    ]
    if nics:
        nics[0] |= {"ipv4": ipv4, "ipv6": ipv6}
    return nics


def _address(address: str, pool: IpPool) -> dict[str, Any]:
    return {"address": address, "prefix_length": pool.prefix_length, "gateway": pool.gateway}


def _dns(row: VpsRows) -> list[str]:
    servers = dict.fromkeys(server for _, pool in row.addresses for server in pool.dns)
    return list(servers)[:MAX_DNS]
