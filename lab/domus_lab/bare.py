"""The other image of the lab: a bare Debian, and an archive of the packages that make a dom0 of it.

The archive is signed with a key that is made for it and thrown away; the bare Debian trusts its public half.
"""

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from domus_lab.image import Kind, LabImage, Say, copy_boot_files, ensure_image
from domus_lab.programs import require_programs, run
from domus_lab.rootfs import (
    CHECKOUT,
    DEBIAN_RELEASE,
    DOM0_UTILS,
    HERE,
    mmdebstrap_command,
    packages,
    restore_files,
    stage_files,
)
from domus_lab.wheels import SALT_REQUIREMENT, salt_wheels

BARE = HERE / "bare"
SCRIPTS = ("setup.sh", "archive.py")
# What is in the archive: the packages that the states of a dom0 and a guest's installation ask for.
ARCHIVE_CONTENT = ("domus_dom0_states", "domus_bootstrap")
UNIT = CHECKOUT / "etc/systemd/salt-minion.service"
KEYRING = "etc/apt/trusted.gpg.d/domus-lab.gpg"


def ensure_bare_image(lab_dir: Path | None = None, *, say: Say = print) -> LabImage:
    """Return the image of the bare Debian for the present content; build it if it is not there."""
    return ensure_image(lab_dir, kind=BARE_DEBIAN, say=say)


def archive_of(image: LabImage) -> Path:
    """Return the folder of the archive that belongs to an image."""
    return image.directory / "archive"


def _inputs() -> Iterator[tuple[str, bytes]]:
    yield "salt", SALT_REQUIREMENT.encode()
    yield "release", DEBIAN_RELEASE.encode()
    for path in sorted([*BARE.rglob("*"), HERE / "bare.py", HERE / "rootfs.py", UNIT]):
        if path.is_file():
            yield path.relative_to(CHECKOUT).as_posix(), path.read_bytes()
    for name in ARCHIVE_CONTENT:
        yield name, (DOM0_UTILS / f"{name}.py").read_bytes()


def _make(root: Path, finished: Path, lab_dir: Path, public_key: str, say: Say) -> None:
    require_programs(["gpg", "gpgconf"])
    wheels = salt_wheels(lab_dir, say)
    # gpg's agent listens in its folder, and the path of a socket may have some 100 characters.
    with (
        tempfile.TemporaryDirectory(prefix="stage-", dir=lab_dir) as scratch,
        tempfile.TemporaryDirectory(prefix="domus-lab-") as keys,
    ):
        stage = Path(scratch)
        stage_files(
            stage, BARE, scripts=SCRIPTS, modules=ARCHIVE_CONTENT, wheels=wheels, public_key=public_key
        )
        # What an operator copies there.
        (stage / "etc/systemd/system").mkdir()
        shutil.copyfile(UNIT, stage / "etc/systemd/system" / UNIT.name)
        _make_key(keys)
        (stage / KEYRING).parent.mkdir(parents=True)
        (stage / KEYRING).write_bytes(_gpg(keys, "--export"))
        say("lab: installing a bare Debian, and fetching what makes a dom0 of it (some minutes)")
        run(_command(root, stage, finished / "archive"), timeout_seconds=1800)
        release = finished / "archive/dists" / DEBIAN_RELEASE / "Release"
        _gpg(keys, "--clearsign", "--output", str(release.with_name("InRelease")), str(release))
        run(["gpgconf", "--homedir", keys, "--kill", "all"], timeout_seconds=60)
    restore_files(root, BARE)
    copy_boot_files(root, finished, "initrd.img-*")


def _command(root: Path, stage: Path, archive: Path) -> list[str]:
    archive.mkdir()
    hooks = (
        'chroot "$1" sh /root/setup.sh',
        'chroot "$1" python3 -B /root/archive.py',
        f"sync-out /root/archive {shlex.quote(str(archive))}",
        'rm -r "$1"/root/setup.sh "$1"/root/archive.py "$1"/root/archive "$1"/root/domus_utils',
    )
    names = packages((BARE / "packages.txt").read_text())
    return mmdebstrap_command(root, stage, names=names, hooks=hooks)


def _make_key(home: str) -> None:
    _gpg(home, "--passphrase", "", "--quick-generate-key", "Domus lab", "ed25519", "sign", "never")


def _gpg(home: str, *words: str) -> bytes:
    return run(["gpg", "--homedir", home, "--batch", "--quiet", *words], timeout_seconds=120).stdout


BARE_DEBIAN = Kind("bare-images", _inputs, _make)
