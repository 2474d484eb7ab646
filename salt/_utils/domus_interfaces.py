"""What a hypervisor driver and a storage backend offer; everything above them is one code.

Missing is `None`, never an error. Every call that changes or destroys takes the uuid and raises
`Refused` when the thing that bears the name belongs to another.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from domus_spec import TAG_PREFIX, VpsSpec

LIVE = "live"
NEXT_BOOT = "next boot"

# The power_reason of a guest that is off because it restarts itself, and that the hypervisor may still bring back.
RESTARTING = "restarting"

# What changes, or would: {"power": {"old": "stopped", "new": "running"}}, as Salt's states say it.
Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume; kind is thick, thin, image or simulated."""

    name: str
    size_mib: int
    path: str
    tags: tuple[str, ...]
    kind: str

    @property
    def tag_owner(self) -> str | None:
        """Whom it belongs to: the uuid of a VPS, a word for a template, None if not of Domus."""
        owners = [tag.removeprefix(TAG_PREFIX) for tag in self.tags if tag.startswith(TAG_PREFIX)]
        return owners[0] if len(owners) == 1 else None


@dataclass(frozen=True, slots=True)
class StorageCapacity:
    """The room for volumes; free is what a new thick volume can have."""

    total_mib: int
    free_mib: int


class Storage(Protocol):
    """A place for volumes."""

    def info(self, name: str) -> Volume | None:
        """Return one volume."""

    def create(self, name: str, size_mib: int, *, uuid: str, origin: str | None = None) -> Volume:
        """Make a volume that carries the uuid's tag; one that is there already is returned.

        With ``origin`` (lvm_thin only) it starts as a snapshot of that thin volume.
        """

    def resize(self, name: str, size_mib: int, *, uuid: str) -> Volume:
        """Grow a volume; making it smaller is refused, as it would cut off data."""

    def remove(self, name: str, *, uuid: str, wiped: bool = False) -> bool:
        """Remove a volume; False means that it was not there.

        Unless it was ``wiped`` already, it is before, where the next owner of its blocks could read them.
        """

    def to_wipe_mib(self, volume: Volume) -> int:
        """Return how much of a volume has to be overwritten before it is removed; 0 where nothing has."""

    def wipe(self, name: str, *, uuid: str, from_mib: int = 0) -> Iterator[int]:
        """Overwrite a volume in parts, from a place on, and yield after each how many MiB are overwritten."""

    def snapshot(self, name: str, snapshot_name: str, *, uuid: str) -> Volume:
        """Make a writable copy of a volume as it is now, with the same tag."""

    def capacity(self) -> StorageCapacity:
        """Return how much room there is."""

    def mounted_device(self, name: str) -> AbstractContextManager[str]:
        """Offer the path of a block device for a volume while the context lasts."""

    # Last, because below it the class could not say list[...] any more.
    def list(self) -> list[Volume]:
        """Return all volumes, those that are not of Domus too."""


@dataclass(frozen=True, slots=True)
class DomuInfo:
    """What the hypervisor says about one domU."""

    uuid: str
    name: str
    power: str  # running, stopped, crashed or paused
    power_reason: str  # why it is not running: shutdown, destroyed, crashed, failed, unknown, or RESTARTING
    memory_mib: int
    vcpus: int
    cpu_seconds: float
    autostart: bool

    @property
    def is_restarting(self) -> bool:
        """Whether it is off for a moment only, because it restarts itself."""
        return self.power_reason == RESTARTING


@dataclass(frozen=True, slots=True)
class NodeCapacity:
    """What the machine has for domUs."""

    memory_total_mib: int
    memory_free_mib: int
    vcpus: int


class Hypervisor(Protocol):
    """Something that runs domUs."""

    def info(self, uuid: str) -> DomuInfo | None:
        """Return one domU."""

    def find(self, name: str) -> DomuInfo | None:
        """Return one domU by its name."""

    def define(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> bool:
        """Define a domU or bring its definition up to date; False means that it was so already.

        ``disk_paths`` maps the name of each disk to its device or file.
        """

    def outdated(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> Changes:
        """Return what `define` would change; empty when nothing."""

    def start(self, uuid: str) -> None:
        """Start a domU; nothing happens when it runs."""

    def shutdown(self, uuid: str) -> None:
        """Ask the guest to shut itself down, and return at once."""

    def reboot(self, uuid: str, *, hard: bool = False) -> None:
        """Ask the guest to restart; hard pulls the plug and starts it again."""

    def destroy(self, uuid: str) -> None:
        """Pull the plug; nothing happens when it does not run."""

    def undefine(self, uuid: str) -> None:
        """Forget a domU that does not run; nothing happens when it is not known."""

    def set_memory(self, uuid: str, memory_mib: int) -> str:
        """Change the memory; the answer is `LIVE` or `NEXT_BOOT`."""

    def set_vcpus(self, uuid: str, vcpus: int) -> str:
        """Change the virtual CPUs; the answer is `LIVE` or `NEXT_BOOT`."""

    def set_autostart(self, uuid: str, autostart: bool) -> None:
        """Say whether the domU starts together with dom0."""

    def renew_shares(self) -> None:
        """Give back their share of the CPUs to guests that restarted themselves and so lost it."""

    def console_tail(self, uuid: str, lines: int) -> list[str]:
        """Return the last lines of the guest's console, free of control characters."""

    def capacity(self) -> NodeCapacity:
        """Return what the machine has."""

    def versions(self) -> dict[str, str]:
        """Return the versions of the hypervisor and its library."""

    def boot_id(self) -> str:
        """Return a text that changes whenever dom0 starts anew."""

    # Last, because below it the class could not say list[...] any more.
    def list(self) -> list[DomuInfo]:
        """Return all domUs, dom0 itself left out."""
