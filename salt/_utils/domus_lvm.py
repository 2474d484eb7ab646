"""Volumes of LVM: thick ones, and thin ones out of a pool that is there already.

A thick volume is overwritten with zeros before it is given back: its blocks go to the next
customer, who must not find the former one's data. A thin pool does that by itself.
"""

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import domus_volume_rules as rules
from domus_errors import NotValid, Refused, ToolFailed
from domus_interfaces import StorageCapacity, Volume
from domus_run import Runner
from domus_spec import volume_tag

TIMEOUT_SECONDS = 120
# What the slowest disk in use still writes; it only bounds how long zeroing may take.
SLOWEST_MIB_PER_SECOND = 10
# So much is lost when zeroing is interrupted, and so often it tells how far it is.
WIPE_PART_MIB = 512
REPORT = ("--reportformat", "json", "--units", "m", "--nosuffix")
VOLUME_FIELDS = "lv_name,lv_size,lv_path,lv_tags,segtype,origin,pool_lv,data_percent"


def parse_report(text: str, part: str) -> list[dict[str, str]]:
    """Return the rows of a report in JSON by lvs (part ``lv``) or vgs (part ``vg``)."""
    try:
        return [dict(row) for report in json.loads(text)["report"] for row in report[part]]
    except (ValueError, KeyError, TypeError):
        raise ToolFailed(f"LVM's report has no part {part}: {text[:200]!r}") from None


def mebibytes(row: dict[str, str], field: str) -> int:
    """Return a size in a report as whole MiB."""
    try:
        return int(float(row[field]))
    except (KeyError, ValueError):
        raise ToolFailed(f"LVM's report has no size in {field}: {row!r}") from None


class Lvm(ABC):
    """What thick and thin volumes have in common."""

    kind: str

    def __init__(self, volume_group: str, runner: Runner) -> None:
        self.volume_group = volume_group
        self._runner = runner

    def info(self, name: str) -> Volume | None:
        """Return one volume."""
        # A selection that finds nothing is an empty report; a missing argument would be an error
        # that looks like any other.
        rows = self._rows("--select", f'lv_name="{rules.checked_name(name)}"')
        return self._volume(rows[0]) if rows else None

    def create(self, name: str, size_mib: int, *, uuid: str, origin: str | None = None) -> Volume:
        """Make a volume; one that is there already and belongs to the owner is returned."""
        rules.checked_size(size_mib)
        present = self.info(name)
        if present is not None:
            return rules.owned(present, uuid)
        tag = volume_tag(rules.checked_owner(uuid))
        self._create(name, size_mib, tag, origin)
        return rules.existing(self.info, name, uuid)

    def resize(self, name: str, size_mib: int, *, uuid: str) -> Volume:
        """Grow a volume."""
        if rules.growth(rules.existing(self.info, name, uuid), size_mib):
            self._tool("lvextend", "--size", f"{size_mib}m", self._full(name))
        return rules.existing(self.info, name, uuid)

    def remove(self, name: str, *, uuid: str, wiped: bool = False) -> bool:
        """Remove a volume; False means that it was not there."""
        volume = self.info(name)
        if volume is None:
            return False
        rules.owned(volume, uuid)
        if not wiped:
            deque(self.wipe(name, uuid=uuid), maxlen=0)
        self._tool("lvremove", "--yes", self._full(name))
        return True

    @abstractmethod
    def to_wipe_mib(self, volume: Volume) -> int:
        """Return how much of a volume has to be overwritten before it is removed."""

    @abstractmethod
    def wipe(self, name: str, *, uuid: str, from_mib: int = 0) -> Iterator[int]:
        """Overwrite a volume in parts, and yield after each how many MiB are overwritten."""

    def snapshot(self, name: str, snapshot_name: str, *, uuid: str) -> Volume:
        """Make a writable copy of a volume as it is now."""
        source = rules.existing(self.info, name, uuid)
        if self.info(snapshot_name) is not None:
            raise NotValid(f"There is a volume {snapshot_name} already")
        self._snapshot(source, snapshot_name, volume_tag(uuid))
        return rules.existing(self.info, snapshot_name, uuid)

    @contextmanager
    def mounted_device(self, name: str) -> Iterator[str]:
        """Offer the device of a volume; it stays active afterwards, as the guest needs it."""
        volume = self.info(name)
        if volume is None:
            raise NotValid(f"There is no volume {name}")
        self._tool("lvchange", "--activate", "y", "--ignoreactivationskip", self._full(name))
        yield volume.path

    @abstractmethod
    def capacity(self) -> StorageCapacity:
        """Return how much room there is."""

    @abstractmethod
    def _create(self, name: str, size_mib: int, tag: str, origin: str | None) -> None: ...

    @abstractmethod
    def _snapshot(self, source: Volume, name: str, tag: str) -> None: ...

    def _full(self, name: str) -> str:
        return f"{self.volume_group}/{rules.checked_name(name)}"

    def _tool(self, *argv: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        return self._runner.run(argv, timeout_seconds=timeout_seconds).stdout

    def _rows(self, *selection: str) -> Sequence[dict[str, str]]:
        said = self._tool("lvs", *REPORT, "-o", VOLUME_FIELDS, *selection, self.volume_group)
        # A volume that grew has several segments, and with segtype among the fields a row for each.
        return [*{row["lv_name"]: row for row in parse_report(said, "lv")}.values()]

    def _volume(self, row: dict[str, Any]) -> Volume:
        return Volume(
            name=row["lv_name"],
            size_mib=mebibytes(row, "lv_size"),
            path=row["lv_path"] or f"/dev/{self.volume_group}/{row['lv_name']}",
            tags=tuple(tag for tag in row["lv_tags"].split(",") if tag),
            kind="thin" if row["segtype"] == "thin" else "thick",
        )

    # Last, because below it the class could not say list[...] any more.
    def list(self) -> list[Volume]:
        """Return all volumes of the group; a thin pool is none."""
        return [self._volume(row) for row in self._rows() if row["segtype"] != "thin-pool"]


class LvmThick(Lvm):
    """Ordinary logical volumes."""

    def capacity(self) -> StorageCapacity:
        """Return the size of the group and what of it is free."""
        said = self._tool("vgs", *REPORT, "-o", "vg_name,vg_size,vg_free", self.volume_group)
        row = parse_report(said, "vg")[0]
        return StorageCapacity(mebibytes(row, "vg_size"), mebibytes(row, "vg_free"))

    def _create(self, name: str, size_mib: int, tag: str, origin: str | None) -> None:
        if origin is not None:
            raise NotValid("Only thin volumes can start as a snapshot of another (origin)")
        self._tool(
            *("lvcreate", "--yes", "--wipesignatures", "y", "--addtag", tag),
            *("--name", name, "--size", f"{size_mib}m", self.volume_group),
        )

    def _snapshot(self, source: Volume, name: str, tag: str) -> None:
        self._tool(
            *("lvcreate", "--yes", "--snapshot", "--addtag", tag, "--name", name),
            *("--extents", "100%ORIGIN", self._full(source.name)),
        )

    def to_wipe_mib(self, volume: Volume) -> int:
        """Return the size: any of it may hold what its owner wrote."""
        return volume.size_mib

    def wipe(self, name: str, *, uuid: str, from_mib: int = 0) -> Iterator[int]:
        """Overwrite a volume with zeros."""
        volume = rules.existing(self.info, name, uuid)
        # Zeroing the origin would first copy what it holds into its snapshots, where it would stay.
        snapshots = [row["lv_name"] for row in self._rows() if row.get("origin") == volume.name]
        if snapshots:
            raise Refused(f"{volume.name} has snapshots; remove them first: {', '.join(snapshots)}")
        # With a snapshot lvchange asks, because its origin is activated too.
        self._tool("lvchange", "--yes", "--activate", "y", self._full(volume.name))
        limit = TIMEOUT_SECONDS + WIPE_PART_MIB / SLOWEST_MIB_PER_SECOND
        for start in range(from_mib, volume.size_mib, WIPE_PART_MIB):
            end = min(start + WIPE_PART_MIB, volume.size_mib)
            # The last part goes to the end of the device, which need not be that of a whole MiB.
            length = ("--length", f"{end - start}MiB") if end < volume.size_mib else ()
            part = ("--offset", f"{start}MiB", *length)
            self._tool("blkdiscard", "--zeroout", *part, volume.path, timeout_seconds=limit)
            yield end


class LvmThin(Lvm):
    """Thin volumes in one pool."""

    def __init__(self, volume_group: str, thin_pool: str, runner: Runner) -> None:
        super().__init__(volume_group, runner)
        self.thin_pool = thin_pool

    def capacity(self) -> StorageCapacity:
        """Return the size of the pool and what of it was never written to."""
        rows = self._rows("--select", f'lv_name="{self.thin_pool}"')
        if not rows:
            raise ToolFailed(f"There is no thin pool {self.volume_group}/{self.thin_pool}")
        total = mebibytes(rows[0], "lv_size")
        used_percent = float(rows[0]["data_percent"] or 0)
        return StorageCapacity(total, int(total * (100 - used_percent) / 100))

    def _create(self, name: str, size_mib: int, tag: str, origin: str | None) -> None:
        if origin is None:
            self._tool(
                *("lvcreate", "--yes", "--wipesignatures", "y", "--addtag", tag, "--name", name),
                *("--virtualsize", f"{size_mib}m", "--thinpool", self._full(self.thin_pool)),
            )
            return
        source = self.info(origin)
        if source is None or source.kind != "thin":
            raise NotValid(f"There is no thin volume {origin} to start from")
        if source.size_mib > size_mib:
            raise NotValid(f"size_mib is {size_mib}; {origin} has {source.size_mib} MiB and allows no less")
        self._snapshot(source, name, tag)
        if source.size_mib < size_mib:
            self._tool("lvextend", "--size", f"{size_mib}m", self._full(name))

    def _snapshot(self, source: Volume, name: str, tag: str) -> None:
        # Thin snapshots are marked to be skipped at activation unless one says otherwise; the
        # domU would not start after a reboot of dom0.
        self._tool(
            *("lvcreate", "--yes", "--snapshot", "--setactivationskip", "n", "--addtag", tag),
            *("--name", name, self._full(source.name)),
        )

    def to_wipe_mib(self, volume: Volume) -> int:
        """Return nothing: the pool zeroes a block before it gives it to another volume."""
        return 0

    def wipe(self, name: str, *, uuid: str, from_mib: int = 0) -> Iterator[int]:
        """Overwrite nothing."""
        yield from ()
