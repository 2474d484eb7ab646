"""Opens the storage that the pillar of a dom0 names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domus_image_files import ImageFiles
from domus_interfaces import Storage, StorageCapacity, Volume
from domus_lvm import LvmThick, LvmThin
from domus_run import Runner
from domus_simulated_storage import SimulatedStorage
from domus_spec import Dom0Spec
from domus_state_dir import StateDir

__all__ = ["Storage", "StorageCapacity", "Volume", "open_storage"]


def open_storage(dom0: Dom0Spec, state_dir: StateDir, options: Mapping[str, Any], runner: Runner) -> Storage:
    """Return the storage backend of a dom0; ``options`` is ``domus`` in the minion configuration."""
    if dom0.backend == "lvm":
        return LvmThick(dom0.volume_group, runner)
    if dom0.backend == "lvm_thin":
        return LvmThin(dom0.volume_group, dom0.thin_pool, runner)
    if dom0.backend == "image":
        return ImageFiles(Path(dom0.image_dir), runner)
    return SimulatedStorage(state_dir, options, runner)
