"""Defines a VPS and starts it: the one way, for state runs and for the end of an installation."""

from collections.abc import Iterable

from domus_errors import ToolFailed
from domus_interfaces import Changes, DomuInfo, Hypervisor, Storage, Volume
from domus_spec import VpsSpec, volume_name
from domus_volume_rules import owned
from domus_vps_notes import VpsNotes

# A hypervisor rounds a guest's memory; what is this near is not worth a change.
MEMORY_SLACK_MIB = 4


def disk_paths(spec: VpsSpec, volumes: Iterable[Volume | None]) -> dict[str, str]:
    """Return the path of each disk; a missing volume is an error, as an empty one would boot nothing."""
    found = {volume.name: volume for volume in volumes if volume is not None}
    paths = {}
    for disk in spec.disks:
        name = volume_name(spec, disk)
        if name not in found:
            raise ToolFailed(f"The volume {name} is missing")
        paths[disk.name] = owned(found[name], spec.uuid).path
    return paths


def find_disks(spec: VpsSpec, storage: Storage) -> dict[str, str]:
    """Return the path of each disk, asking the storage."""
    return disk_paths(spec, (storage.info(volume_name(spec, disk)) for disk in spec.disks))


def needed(spec: VpsSpec, hypervisor: Hypervisor, paths: dict[str, str], *, power: bool) -> Changes:
    """Return what `bring_up` (or with ``power=False`` `define`) would change now."""
    changes = dict(hypervisor.outdated(spec, paths))
    info = hypervisor.info(spec.uuid)
    if power and (info is None or info.power != "running"):
        changes["power"] = {"old": info.power if info else None, "new": "running"}
    if (info.autostart if info else False) != power:
        changes["autostart"] = {"old": info.autostart if info else None, "new": power}
    return changes


def bring_up(spec: VpsSpec, hypervisor: Hypervisor, storage: Storage, notes: VpsNotes) -> Changes:
    """Define a VPS as wanted and let it run; return what changed, empty when all was so already.

    It does not look whether the VPS is wanted running: the caller knows. It may be called again at
    any time, also after it was interrupted.
    """
    paths = find_disks(spec, storage)
    changes = needed(spec, hypervisor, paths, power=True)
    hypervisor.define(spec, paths)
    if "power" in changes:
        # Should it not come up, the hypervisor may still say why it was off before.
        notes.keep(starting=True)
        hypervisor.start(spec.uuid)
    if "autostart" in changes:
        hypervisor.set_autostart(spec.uuid, True)
    info = hypervisor.info(spec.uuid)
    if info is None or info.power != "running":
        raise ToolFailed(f"{spec.name} was started and is {info.power if info else 'gone'} again")
    notes.keep(starting=False, asked_down=False)
    _adjust(spec, info, hypervisor)
    return changes


def define(spec: VpsSpec, hypervisor: Hypervisor, storage: Storage) -> Changes:
    """Define a VPS that is not to run; return what changed."""
    paths = find_disks(spec, storage)
    changes = needed(spec, hypervisor, paths, power=False)
    hypervisor.define(spec, paths)
    if "autostart" in changes:
        hypervisor.set_autostart(spec.uuid, False)
    return changes


def _adjust(spec: VpsSpec, info: DomuInfo, hypervisor: Hypervisor) -> None:
    """Give a running guest what it can have of its new size; the rest comes at its next start."""
    if abs(info.memory_mib - spec.memory_mib) > MEMORY_SLACK_MIB:
        hypervisor.set_memory(spec.uuid, spec.memory_mib)
    if info.vcpus != spec.vcpus:
        hypervisor.set_vcpus(spec.uuid, spec.vcpus)
