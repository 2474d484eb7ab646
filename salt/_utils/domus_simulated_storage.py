"""The storage of the simulated hypervisor: empty sparse files and a size that the options name."""

import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import domus_volume_rules as rules
from domus_errors import NotValid
from domus_faults import Faults
from domus_image_files import MIB, ImageFiles
from domus_interfaces import StorageCapacity, Volume
from domus_run import Runner
from domus_state_dir import StateDir

DEFAULT_DISK_MIB = 2_000_000
WIPE_PARTS = 10


class SimulatedStorage(ImageFiles):
    """Image files that nobody mounts, in a group as large as ``domus:simulated:disk_mib`` says.

    With ``domus:simulated:wipe_seconds`` each has to be overwritten before it is removed, and takes so long.
    """

    kind = "simulated"

    def __init__(self, state_dir: StateDir, options: Mapping[str, Any], runner: Runner) -> None:
        super().__init__(state_dir.simulated / "volumes", runner)
        simulated = options.get("simulated") or {}
        self._total_mib = int(simulated.get("disk_mib", DEFAULT_DISK_MIB))
        self._wipe_seconds = float(simulated.get("wipe_seconds", 0))
        self._faults = Faults(state_dir)

    def create(self, name: str, size_mib: int, *, uuid: str, origin: str | None = None) -> Volume:
        """Make a volume, unless a fault is ordered."""
        self._faults.meet("volume.create", uuid)
        return super().create(name, size_mib, uuid=uuid, origin=origin)

    def resize(self, name: str, size_mib: int, *, uuid: str) -> Volume:
        """Grow a volume, unless a fault is ordered."""
        self._faults.meet("volume.resize", uuid)
        return super().resize(name, size_mib, uuid=uuid)

    def remove(self, name: str, *, uuid: str, wiped: bool = False) -> bool:
        """Remove a volume, unless a fault is ordered."""
        self._faults.meet("volume.remove", uuid)
        return super().remove(name, uuid=uuid, wiped=wiped)

    def to_wipe_mib(self, volume: Volume) -> int:
        """Return the size if overwriting is to take its time here, else nothing."""
        return volume.size_mib if self._wipe_seconds > 0 else 0

    def wipe(self, name: str, *, uuid: str, from_mib: int = 0) -> Iterator[int]:
        """Take the time that overwriting a volume would, unless a fault is ordered."""
        size_mib = rules.existing(self.info, name, uuid).size_mib
        for part in range(1, WIPE_PARTS + 1):
            end = size_mib * part // WIPE_PARTS
            if end > from_mib:
                self._faults.meet("volume.wipe", uuid)
                select.select([], [], [], self._wipe_seconds / WIPE_PARTS)
                yield end

    def capacity(self) -> StorageCapacity:
        """Return the room of the simulated group."""
        used = sum(entry.stat().st_size for entry in self._image_entries()) // MIB
        return StorageCapacity(self._total_mib, max(0, self._total_mib - used))

    @contextmanager
    def mounted_device(self, name: str) -> Iterator[str]:
        """Offer the file itself; there is no device, and a simulated installation needs none."""
        volume = self.info(name)
        if volume is None:
            raise NotValid(f"There is no volume {name}")
        yield volume.path
