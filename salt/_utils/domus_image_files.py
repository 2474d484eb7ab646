"""Volumes as sparse files, for machines without LVM; a small file beside each bears its tags."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import domus_volume_rules as rules
from domus_errors import NotValid, ToolFailed
from domus_interfaces import StorageCapacity, Volume
from domus_run import Runner
from domus_spec import volume_tag
from domus_state_dir import read_json, write_json

MIB = 1 << 20
LOOP_TIMEOUT_SECONDS = 30
COPY_TIMEOUT_SECONDS = 3600


class ImageFiles:
    """A directory of ``<name>.img`` and ``<name>.json``."""

    kind = "image"

    def __init__(self, directory: Path, runner: Runner) -> None:
        self.directory = directory
        self._runner = runner

    def info(self, name: str) -> Volume | None:
        """Return one volume."""
        path = self._path(name)
        try:
            size_mib = path.stat().st_size // MIB
        except FileNotFoundError:
            return None
        return Volume(name, size_mib, str(path), self._tags(name), self.kind)

    def create(self, name: str, size_mib: int, *, uuid: str, origin: str | None = None) -> Volume:
        """Make a volume; one that is there already and belongs to the owner is returned."""
        if origin is not None:
            raise NotValid("Only thin volumes can start as a snapshot of another (origin)")
        rules.checked_size(size_mib)
        present = self.info(name)
        if present is not None:
            return rules.owned(present, uuid)
        self._need_room(name, size_mib)
        # The tags come first: a file without them would belong to nobody after a crash in between.
        self._write_tags(name, uuid)
        with os.fdopen(os.open(self._path(name), os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.truncate(size_mib * MIB)
        return rules.existing(self.info, name, uuid)

    def resize(self, name: str, size_mib: int, *, uuid: str) -> Volume:
        """Grow a volume."""
        growth = rules.growth(rules.existing(self.info, name, uuid), size_mib)
        if growth:
            self._need_room(name, growth)
            os.truncate(self._path(name), size_mib * MIB)
        return rules.existing(self.info, name, uuid)

    def remove(self, name: str, *, uuid: str, wiped: bool = False) -> bool:
        """Remove a volume; False means that it was not there."""
        volume = self.info(name)
        if volume is not None:
            rules.owned(volume, uuid)
            self._path(name).unlink()
        self._path(name, ".json").unlink(missing_ok=True)
        return volume is not None

    def to_wipe_mib(self, volume: Volume) -> int:
        """Return nothing: a file system gives nobody the blocks of a file as they were."""
        return 0

    def wipe(self, name: str, *, uuid: str, from_mib: int = 0) -> Iterator[int]:
        """Overwrite nothing."""
        yield from ()

    def snapshot(self, name: str, snapshot_name: str, *, uuid: str) -> Volume:
        """Copy a volume, by reference where the file system can do that."""
        source = rules.existing(self.info, name, uuid)
        if self.info(snapshot_name) is not None:
            raise NotValid(f"There is a volume {snapshot_name} already")
        self._need_room(snapshot_name, source.size_mib)
        self._write_tags(snapshot_name, uuid)
        target = self._path(snapshot_name)
        partial = target.with_suffix(".part")
        try:
            self._runner.run(
                ["cp", "--reflink=auto", "--sparse=always", source.path, str(partial)],
                timeout_seconds=COPY_TIMEOUT_SECONDS,
            )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return rules.existing(self.info, snapshot_name, uuid)

    def capacity(self) -> StorageCapacity:
        """Return the room of the file system, less what sparse files may still grow to."""
        # The directory comes into being with the first volume; ask the nearest that is there.
        there = next(p for p in (self.directory, *self.directory.parents) if p.is_dir())
        room = os.statvfs(there)
        promised = 0
        for entry in self._image_entries():
            found = entry.stat()
            promised += max(0, found.st_size - found.st_blocks * 512)
        free = room.f_bavail * room.f_frsize - promised
        return StorageCapacity(room.f_blocks * room.f_frsize // MIB, max(0, free) // MIB)

    @contextmanager
    def mounted_device(self, name: str) -> Iterator[str]:
        """Offer a volume as a loop device."""
        volume = self.info(name)
        if volume is None:
            raise NotValid(f"There is no volume {name}")
        # --nooverlap takes up a loop device that an interrupted run left behind.
        said = self._runner.run(
            ["losetup", "--find", "--show", "--nooverlap", volume.path],
            timeout_seconds=LOOP_TIMEOUT_SECONDS,
        )
        device = said.stdout.strip()
        if not device.startswith("/dev/loop"):
            raise ToolFailed(f"losetup named no loop device for {volume.path}: {device!r}")
        try:
            # Else everything is cached twice. Some file systems cannot do it, and work without.
            self._runner.run(
                ["losetup", "--direct-io=on", device],
                timeout_seconds=LOOP_TIMEOUT_SECONDS,
                returncodes=(0, 1),
            )
            yield device
        finally:
            self._runner.run(["losetup", "--detach", device], timeout_seconds=LOOP_TIMEOUT_SECONDS)

    def _path(self, name: str, suffix: str = ".img") -> Path:
        return self.directory / f"{rules.checked_name(name)}{suffix}"

    def _tags(self, name: str) -> tuple[str, ...]:
        noted = read_json(self._path(name, ".json")) or {}
        return tuple(str(tag) for tag in noted.get("tags", ()))

    def _write_tags(self, name: str, uuid: str) -> None:
        write_json(self._path(name, ".json"), {"tags": [volume_tag(rules.checked_owner(uuid))]})

    def _need_room(self, name: str, size_mib: int) -> None:
        free = self.capacity().free_mib
        if size_mib > free:
            raise ToolFailed(
                f"There is no room for {size_mib} MiB more in {name}: {free} MiB are free in {self.directory}"
            )

    def _image_entries(self) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self.directory) as entries:
                yield from (entry for entry in entries if entry.name.endswith(".img"))
        except FileNotFoundError:
            return

    # Last, because below it the class could not say list[...] any more.
    def list(self) -> list[Volume]:
        """Return all volumes in the directory."""
        names = sorted(entry.name.removesuffix(".img") for entry in self._image_entries())
        return [volume for name in names if (volume := self.info(name)) is not None]
