"""File systems on volumes: make, grow, mount, and recognise what is already there."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domus_errors import NotValid
from domus_run import Runner
from domus_spec import DiskSpec

TIMEOUT_SECONDS = 600
# metadata_csum_seed lets the UUID change without every checksum being written anew.
FEATURES = ("-O", "metadata_csum_seed")
LAZY = ("-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard")


@dataclass(frozen=True, slots=True)
class Superblock:
    """What an ext4 file system says about itself."""

    uuid: str
    label: str


def read_superblock(device: str) -> Superblock | None:
    """Return an ext4 file system's own account, or None where there is no such file system."""
    with Path(device).open("rb") as file:
        file.seek(1024)
        block = file.read(1024)
    if len(block) < 1024 or block[56:58] != b"\x53\xef":
        return None
    label = block[120:136].split(b"\0")[0].decode(errors="replace")
    return Superblock(str(uuid.UUID(bytes=block[104:120])), label)


def make(runner: Runner, device: str, disk: DiskSpec) -> None:
    """Make the file system of a disk, with its label."""
    if disk.filesystem == "swap":
        runner.run(["mkswap", "-L", disk.name, device], timeout_seconds=TIMEOUT_SECONDS)
    elif disk.filesystem == "ext4":
        label = "root" if disk.role == "root" else disk.name
        argv = ["mkfs.ext4", "-q", "-F", "-L", label, *FEATURES, *LAZY, device]
        runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)
    else:
        raise NotValid(f"Disk {disk.name} wants {disk.filesystem}; allowed here: ext4, swap")


def make_image(runner: Runner, tree: Path, image: Path, size_mib: int) -> None:
    """Make a file with an ext4 file system that holds a tree, owners and capabilities included."""
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    argv = ["mkfs.ext4", "-q", "-F", "-L", "root", *FEATURES, *LAZY, "-d", str(tree), str(image)]
    runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)


def grow(runner: Runner, device: str) -> None:
    """Let a file system that was not mounted since it was made take the whole device."""
    runner.run(["resize2fs", device], timeout_seconds=TIMEOUT_SECONDS)


def set_uuid(runner: Runner, device: str, new: str) -> None:
    """Change the UUID of a file system, and see it safely on the disk."""
    runner.run(["tune2fs", "-U", new, device], timeout_seconds=TIMEOUT_SECONDS)
    handle = os.open(device, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def mounted(runner: Runner, device: str, point: Path, *, options: str) -> Iterator[Path]:
    """Mount a file system while the context lasts."""
    point.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "ext4", "-o", options, device, str(point)]
    runner.run(argv, timeout_seconds=TIMEOUT_SECONDS)
    try:
        yield point
    finally:
        runner.run(["umount", "--recursive", str(point)], timeout_seconds=TIMEOUT_SECONDS)
        point.rmdir()
