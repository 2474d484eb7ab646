"""Builds the disk image of the lab's dom0, once for each content; later runs find it and only boot.

Building needs root: mmdebstrap unpacks packages as their real owners. Booting needs none.
"""

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domus_lab import rootfs
from domus_lab.errors import LabError
from domus_lab.programs import TO_BUILD, require_programs, run

ROOT_DISK_SIZE = "8G"
IMAGES_KEPT = 2

Say = Callable[[str], None]


@dataclass(frozen=True)
class LabImage:
    """A finished image: one folder with what QEMU boots."""

    directory: Path

    @property
    def root_disk(self) -> Path:
        """The file system of dom0; never written to, each run has an overlay."""
        return self.directory / "root.img"

    @property
    def host_key(self) -> str:
        """The public ssh host key of dom0."""
        return (self.directory / "host_key.pub").read_text().strip()

    @property
    def private_key(self) -> Path:
        """The ssh key that logs in as root."""
        return self.directory.parent.parent / "ssh_key"

    @property
    def manifest(self) -> dict[str, object]:
        """How the image was built: seconds and size."""
        manifest: dict[str, object] = json.loads((self.directory / "manifest.json").read_text())
        return manifest

    def exists(self) -> bool:
        """Whether the build was finished; the manifest is the last thing written."""
        return (self.directory / "manifest.json").exists()


@dataclass(frozen=True)
class Kind:
    """A sort of image: where its builds are kept, what they are made of, and how."""

    folder: str
    inputs: Callable[[], Iterable[tuple[str, bytes]]]
    """Name and content of everything that decides what the image holds."""
    make: Callable[[Path, Path, Path, str, Say], None]
    """Fills a tree and a folder of what QEMU boots; also given: the lab's folder, the public ssh key, whom to tell."""


def _make_dom0(root: Path, finished: Path, lab_dir: Path, public_key: str, say: Say) -> None:
    rootfs.make_tree(root, lab_dir, public_key, say)
    # Unpacked: QEMU wants the ELF.
    (finished / "xen").write_bytes(gzip.decompress(only_one(root / "boot", "xen-*-amd64.gz").read_bytes()))
    copy_boot_files(root, finished, "initrd-lab.img")


def _dom0_inputs() -> Iterable[tuple[str, bytes]]:
    return rootfs.inputs()


DOM0 = Kind("images", _dom0_inputs, _make_dom0)


def lab_directory() -> Path:
    """Return where images and runs are kept: `DOMUS_LAB_DIR`, else `.domus/lab` of the checkout."""
    named = os.environ.get("DOMUS_LAB_DIR")
    if named:
        return Path(named).expanduser().resolve()
    return rootfs.CHECKOUT / ".domus" / "lab"


def current_image(lab_dir: Path, kind: Kind = DOM0) -> LabImage:
    """Return the image that belongs to the present content, built or not."""
    key = cache_key(ssh_public_key(lab_dir), kind)
    return LabImage(lab_dir / kind.folder / key)


def ensure_image(lab_dir: Path | None = None, *, kind: Kind = DOM0, say: Say = print) -> LabImage:
    """Return the image for the present content; build it if it is not there."""
    lab_dir = lab_dir or lab_directory()
    image = current_image(lab_dir, kind)
    if image.exists():
        return image
    require_programs(TO_BUILD)
    if os.geteuid() != 0:
        raise LabError(
            "the lab's image is not built yet, and building it needs root: run "
            "`python -m domus_lab build` once as root; booting it needs no root"
        )
    with _locked(lab_dir / "build.lock"):
        if not image.exists():
            _build(lab_dir, image, kind, say)
            _remove_old(lab_dir / kind.folder, keep=image)
    return image


def cache_key(public_key: str, kind: Kind = DOM0) -> str:
    """Return the name of the image that the present inputs make: a hash over all of them."""
    digest = hashlib.sha256()
    for name, content in kind.inputs():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update(public_key.encode())
    digest.update(ROOT_DISK_SIZE.encode())
    return digest.hexdigest()[:16]


def ssh_public_key(lab_dir: Path) -> str:
    """Return the public key of the lab's own ssh key, which is made when it is not there."""
    private = lab_dir / "ssh_key"
    if not private.exists():
        lab_dir.mkdir(parents=True, exist_ok=True)
        with _locked(lab_dir / "ssh_key.lock"):
            if not private.exists():
                _make_ssh_key(lab_dir, private)
    return (lab_dir / "ssh_key.pub").read_text().strip()


def _make_ssh_key(lab_dir: Path, private: Path) -> None:
    with tempfile.TemporaryDirectory(dir=lab_dir) as scratch:
        made = Path(scratch) / "key"
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "domus-lab", "-f", str(made)],
            timeout_seconds=60,
        )
        made.with_suffix(".pub").rename(lab_dir / "ssh_key.pub")
        made.rename(private)


def _build(lab_dir: Path, image: LabImage, kind: Kind, say: Say) -> None:
    started = time.monotonic()
    image.directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=lab_dir) as scratch:
        root = Path(scratch) / "root"
        finished = Path(scratch) / "image"
        finished.mkdir()
        kind.make(root, finished, lab_dir, ssh_public_key(lab_dir), say)
        say("lab: making the disk image")
        _make_disk(root, finished / "root.img")
        manifest = {
            "build_seconds": round(time.monotonic() - started, 1),
            "root_disk_mib": (finished / "root.img").stat().st_blocks * 512 // 2**20,
        }
        (finished / "manifest.json").write_text(json.dumps(manifest) + "\n")
        finished.chmod(0o755)
        finished.rename(image.directory)
    say(f"lab: image {image.directory.name} built in {manifest['build_seconds']} s")


def copy_boot_files(root: Path, target: Path, initrd: str) -> None:
    """Take out what QEMU loads, and by what it is known to ssh."""
    shutil.copyfile(only_one(root / "boot", "vmlinuz-*"), target / "vmlinuz")
    shutil.copyfile(only_one(root / "boot", initrd), target / "initrd.img")
    shutil.copyfile(root / "etc/ssh/ssh_host_ed25519_key.pub", target / "host_key.pub")


def only_one(directory: Path, pattern: str) -> Path:
    """Return the file of a folder that a pattern means; raise unless there is exactly one."""
    found = sorted(directory.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise LabError(f"expected exactly one {pattern} in {directory}, found: {names}")
    return found[0]


def _make_disk(root: Path, disk: Path) -> None:
    options = ["-q", "-t", "ext4", "-L", "dom0-root", "-d", str(root)]
    run(["mke2fs", *options, str(disk), ROOT_DISK_SIZE], timeout_seconds=900)


def _remove_old(images: Path, keep: LabImage) -> None:
    others = sorted(
        (path for path in images.iterdir() if path != keep.directory),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in others[IMAGES_KEPT - 1 :]:
        shutil.rmtree(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two test runs in one checkout build one image."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
