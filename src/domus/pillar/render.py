"""The pillar of one dom0 as ``docs/contracts.md`` 1 describes it, from rows alone.

The same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from domus.core.clock import iso_z
from domus.inventory.models import StorageBackend
from domus.pillar.rows import AddressRow, DiskRow, Dom0Row, Dom0Rows, VpsRow
from domus.vps.models import VpsState

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


def render(rows: Dom0Rows) -> dict[str, Any]:
    """Return what stands under the pillar key ``domus``, in an order that does not change by itself."""
    dom0 = _dom0(rows.dom0)
    templates: dict[str, dict[str, Any]] = {}
    entries: dict[str, dict[str, Any]] = {}
    by_name: dict[str, dict[str, Any]] = {}
    for row in sorted(rows.vps, key=lambda row: (row.id, row.nic_id or 0)):
        if row.name not in by_name:
            by_name[row.name] = entries[row.id] = _vps(row)
        if row.template not in templates:
            templates[row.template] = _template(row, rows.dom0)
        if row.mac is not None:
            nic = {"mac": row.mac, "bridge": rows.dom0.bridge, "ipv4": [], "ipv6": []}
            by_name[row.name]["nics"].append(nic)
    _add_disks(by_name, rows.disks)
    _add_addresses(by_name, rows.addresses)
    return {
        "schema_version": SCHEMA_VERSION,
        "dom0": dom0,
        "templates": {name: templates[name] for name in sorted(templates)},
        "vps": entries,
    }


def _dom0(dom0: Dom0Row) -> dict[str, Any]:
    storage = {"backend": dom0.storage_backend}
    storage |= {name: getattr(dom0, name) for name in _STORAGE_FIELDS[StorageBackend(dom0.storage_backend)]}
    return {
        "minion_id": dom0.minion_id,
        "hypervisor": dom0.hypervisor,
        "bridge": dom0.bridge,
        "storage": storage,
        "report_key": dom0.report_key,
        "max_parallel_installs": dom0.max_parallel_installs,
        "max_removals_per_run": dom0.max_removals_per_run,
    }


def _template(row: VpsRow, dom0: Dom0Row) -> dict[str, Any]:
    return {
        "name": row.template,
        "method": row.method,
        "distribution": row.distribution,
        "release": row.release,
        "arch": row.arch,
        "version": row.version,
        "mirror": (dom0.debian_mirror or None) if row.distribution == "debian" else None,
    }


def _vps(row: VpsRow) -> dict[str, Any]:
    """Return the entry of a VPS without its cards, disks and addresses."""
    tombstone = _tombstone(row)
    return {
        "uuid": row.id,
        "name": row.name,
        "revision": row.revision,
        "wanted": "absent" if tombstone else "stopped" if row.suspended else row.wanted_power,
        "boot_serial": row.boot_serial,
        "reboot_mode": "hard" if row.hard_reboot else "soft",
        "stop_mode": "hard" if row.hard_stop else "graceful",
        "stop_timeout_seconds": STOP_TIMEOUT_SECONDS,
        "virtualization": row.virtualization,
        "memory_mib": row.memory_mib,
        "vcpus": row.vcpus,
        "cpu_weight": row.cpu_weight,
        "cpu_cap_percent": row.cpu_cap_percent,
        "disks": [],
        "nics": [],
        "dns": [],
        "os": {
            "install_id": row.install_id,
            "template": row.template,
            "hostname": row.hostname,
            "root_password_hash": row.root_password_hash,
            "ssh_keys": row.ssh_keys,
            "attempt": row.install_attempt,
            "installed": row.state == VpsState.ACTIVE,
        },
        "tombstone": tombstone,
    }


def _tombstone(row: VpsRow) -> dict[str, str] | None:
    """Return the permission to destroy.

    Only a VPS in state removing has one, whatever else its columns say.
    """
    if row.state != VpsState.REMOVING or row.tombstone_token is None or row.remove_not_before is None:
        return None
    return {"token": row.tombstone_token, "not_before": iso_z(row.remove_not_before)}


def _add_disks(by_name: Mapping[str, dict[str, Any]], disks: Sequence[DiskRow]) -> None:
    for vps_name, _, name, role, size_mib, device, filesystem in sorted(disks, key=itemgetter(1)):
        if vps_name in by_name:
            by_name[vps_name]["disks"].append(
                {"name": name, "role": role, "size_mib": size_mib, "device": device, "filesystem": filesystem}
            )


def _add_addresses(by_name: Mapping[str, dict[str, Any]], addresses: Sequence[AddressRow]) -> None:
    """Give each VPS its addresses, which its first card carries, and the name servers of their pools."""
    for vps_name, _, _, address, network, gateway, dns in sorted(addresses, key=itemgetter(1, 2)):
        if vps_name not in by_name:
            continue
        entry = by_name[vps_name]
        if entry["nics"]:
            prefix_length = int(network.rpartition("/")[2])
            entry["nics"][0]["ipv6" if ":" in address else "ipv4"].append(
                {"address": address, "prefix_length": prefix_length, "gateway": gateway}
            )
        entry["dns"] = list(dict.fromkeys([*entry["dns"], *dns]))[:MAX_DNS]
