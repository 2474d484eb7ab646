"""Templates kept on this dom0: built once, then copied to each new VPS.

A template is a folder with an image of a small ext4 file system, the same image compressed, and
`metadata.json` with their checksums. The compressed one is what is kept for good; the plain one can
always be made from it again, and is, when a copy finds it damaged. The folder comes into being by
one rename, so it is there whole or not at all.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import domus_bootstrap
import domus_filesystem
from domus_apt_sources import guest_sources
from domus_block_image import Damaged, Piece, copy_image, map_image
from domus_customise import clean
from domus_errors import ToolFailed
from domus_guest_root import GuestRoot
from domus_interfaces import Storage
from domus_job import stamp, utc_now
from domus_logged_run import LoggedRunner
from domus_run import environment
from domus_spec import TemplateSpec
from domus_state_dir import StateDir, read_json, write_json

SCHEMA_VERSION = 1
MINIMUM_IMAGE_MIB = 1024
OWNER = "domus-templates"
READ_BYTES = 1 << 20
PACK_TIMEOUT_SECONDS = 900
IMAGE, PACKED, METADATA = "root.ext4", "root.ext4.zst", "metadata.json"

OnFraction = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that is ready."""

    folder: Path
    metadata: dict[str, Any]

    @property
    def size_mib(self) -> int:
        """The size of its file system: a root disk has to be at least as large."""
        return int(self.metadata["size_mib"])

    @property
    def pieces(self) -> list[Piece]:
        """The pieces of its image that hold data."""
        return [Piece(*piece) for piece in self.metadata["pieces"]]


class TemplateStore:
    """The templates of one dom0."""

    def __init__(self, state_dir: StateDir) -> None:
        self._state_dir = state_dir

    def info(self, spec: TemplateSpec) -> dict[str, Any]:
        """Return how a template stands here; a bootstrapped one needs nothing kept."""
        found = self.find(spec)
        metadata = found.metadata if found else {}
        return {
            "name": spec.name,
            "method": spec.method,
            "distribution": spec.distribution,
            "release": spec.release,
            "arch": spec.arch,
            "version": spec.version,
            "state": "ready" if self.is_ready(spec) else self._state_while_missing(spec),
            "size_mib": metadata.get("size_mib"),
            "packed_bytes": metadata.get("packed_bytes"),
            "sha256": metadata.get("sha256"),
            "built_at": metadata.get("built_at"),
        }

    def is_ready(self, spec: TemplateSpec) -> bool:
        """Say whether an installation from this template can start without building it first."""
        return spec.method == "bootstrap" or self.find(spec) is not None

    def find(self, spec: TemplateSpec) -> Template | None:
        """Return a template if it is ready."""
        folder = self._folder(spec)
        metadata = read_json(folder / METADATA)
        if metadata is None or metadata.get("schema_version") != SCHEMA_VERSION:
            return None
        if any(metadata[field] != getattr(spec, field) for field in ("release", "arch")):
            return None
        return Template(folder, metadata)

    def ensure(self, spec: TemplateSpec, runner: LoggedRunner, on_fraction: OnFraction) -> Template:
        """Return a template; build it when it is missing, and let whoever else wants it wait."""
        with self._state_dir.lock(_lock_name(spec)):
            return self.find(spec) or self._build(spec, runner, on_fraction)

    def copy(self, spec: TemplateSpec, device: str, runner: LoggedRunner, on_fraction: OnFraction) -> None:
        """Copy a template to a device; a damaged image is first made anew from the packed one."""
        template = self._found(spec)
        try:
            copy_image(template.folder / IMAGE, template.pieces, device, on_fraction)
        except (Damaged, FileNotFoundError):
            with self._state_dir.lock(_lock_name(spec)):
                _unpack(template, runner)
            copy_image(template.folder / IMAGE, template.pieces, device, on_fraction)

    def golden(self, spec: TemplateSpec, storage: Storage, runner: LoggedRunner) -> str:
        """Return the name of the thin volume that holds a template, filled when it is not yet."""
        template = self._found(spec)
        name = f"golden-{spec.name}-{spec.version}"
        with self._state_dir.lock(f"golden-{spec.name}"):
            storage.create(name, template.size_mib, uuid=OWNER)
            with storage.mounted_device(name) as device:
                found = domus_filesystem.read_superblock(device)
                if found is None or found.uuid != template.metadata["filesystem_uuid"]:
                    self.copy(spec, device, runner, lambda part: None)
        return name

    def _build(self, spec: TemplateSpec, runner: LoggedRunner, on_fraction: OnFraction) -> Template:
        templates = self._state_dir.templates
        templates.mkdir(parents=True, exist_ok=True)
        prefix = f".build-{spec.name}-"
        # We hold the lock, so what others began they did not finish.
        for left in templates.glob(f"{prefix}*"):
            shutil.rmtree(left)
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=templates))
        work.chmod(0o755)
        try:
            self._fill(spec, work, runner, on_fraction)
            folder = self._folder(spec)
            if folder.exists():
                folder.rename(templates / f"{prefix}old")
            work.rename(folder)
            _sync_folder(templates)
        finally:
            for left in templates.glob(f"{prefix}*"):
                shutil.rmtree(left)
        return self._found(spec)

    def _fill(self, spec: TemplateSpec, work: Path, runner: LoggedRunner, on_fraction: OnFraction) -> None:
        tree = work / "tree"
        tree.mkdir(mode=0o755)
        domus_bootstrap.bootstrap(
            runner,
            spec,
            tree,
            cache_dir=self._state_dir.root / "cache",
            sources=guest_sources(spec),
            on_fraction=lambda part: on_fraction(part * 0.85),
        )
        with GuestRoot(tree) as root:
            clean(root)
        image, packed = work / IMAGE, work / PACKED
        size_mib = _image_size_mib(tree)
        domus_filesystem.make_image(runner, tree, image, size_mib)
        shutil.rmtree(tree)
        on_fraction(0.9)
        runner.run(
            ["zstd", "--quiet", "-T0", "-6", str(image), "-o", str(packed)],
            timeout_seconds=PACK_TIMEOUT_SECONDS,
        )
        superblock = domus_filesystem.read_superblock(str(image))
        if superblock is None:
            raise ToolFailed(f"mkfs.ext4 left no file system in {image}")
        metadata = {
            "schema_version": SCHEMA_VERSION,
            "name": spec.name,
            "distribution": spec.distribution,
            "release": spec.release,
            "arch": spec.arch,
            "version": spec.version,
            "built_at": stamp(utc_now()),
            "size_mib": size_mib,
            "filesystem_uuid": superblock.uuid,
            "packed_bytes": packed.stat().st_size,
            "sha256": _sha256(packed),
            "pieces": map_image(image),
        }
        for path in (image, packed):
            _sync_file(path)
        write_json(work / METADATA, metadata)

    def _state_while_missing(self, spec: TemplateSpec) -> str:
        with self._state_dir.lock(_lock_name(spec), wait=False) as nobody_builds:
            return "missing" if nobody_builds else "building"

    def _found(self, spec: TemplateSpec) -> Template:
        template = self.find(spec)
        if template is None:
            raise ToolFailed(f"The template {spec.name} version {spec.version} is not on this dom0")
        return template

    def _folder(self, spec: TemplateSpec) -> Path:
        return self._state_dir.file("templates", f"{spec.name}_{spec.version.lower()}", "")


def _unpack(template: Template, runner: LoggedRunner) -> None:
    """Make the plain image from the packed one, which has to match its checksum."""
    packed, image = template.folder / PACKED, template.folder / IMAGE
    new = image.with_suffix(".new")
    digest = hashlib.sha256()
    argv = ["zstd", "--quiet", "--decompress", "--force", "--sparse", "-o", str(new)]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(None),
    )
    # zstd gives up on damaged data; the checksum below tells what was wrong.
    with suppress(BrokenPipeError), process, packed.open("rb") as file:
        while data := file.read(READ_BYTES):
            digest.update(data)
            if process.stdin:
                process.stdin.write(data)
    code = process.returncode
    metadata = template.metadata
    if code != 0 or digest.hexdigest() != metadata["sha256"]:
        new.unlink(missing_ok=True)
        raise ToolFailed(
            f"The template {metadata['name']} version {metadata['version']} is damaged: its archive "
            f"has the checksum {digest.hexdigest()}, not {metadata['sha256']}; remove "
            f"{template.folder} and build it again"
        )
    new.replace(image)


def _image_size_mib(tree: Path) -> int:
    """Return a size with room for a tree, the journal and some growth."""
    used = sum(entry.lstat().st_blocks * 512 for entry in tree.rglob("*"))
    return max(MINIMUM_IMAGE_MIB, int(used * 1.5) >> 20)


def _lock_name(spec: TemplateSpec) -> str:
    return f"template-{spec.name}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
