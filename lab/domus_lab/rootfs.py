"""Makes the tree of files that becomes the dom0's disk: Debian packages, our settings, Salt."""

import hashlib
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from domus_lab.closure import import_closure
from domus_lab.programs import run

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
DOM0 = HERE / "dom0"
DOM0_UTILS = CHECKOUT / "salt" / "_utils"
TEMPLATE_BUILDER = "domus_template"
# Of all that the builder imports, these decide what is in the template and in the package cache.
TEMPLATE_CONTENT = ("domus_bootstrap", "domus_customise", "domus_filesystem", "domus_template")
SALT_REQUIREMENT = "salt>=3008.3,<3009"
DEBIAN_RELEASE = "bookworm"


Say = Callable[[str], None]


def inputs() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of everything that decides what the image holds."""
    yield "salt", SALT_REQUIREMENT.encode()
    yield "release", DEBIAN_RELEASE.encode()
    for path in sorted([*DOM0.rglob("*"), HERE / "rootfs.py"]):
        if path.is_file():
            yield path.relative_to(HERE).as_posix(), path.read_bytes()
    for name in TEMPLATE_CONTENT:
        yield name, (DOM0_UTILS / f"{name}.py").read_bytes()


def packages(text: str | None = None) -> list[str]:
    """Return the names in the package list, without comments and empty lines."""
    text = (DOM0 / "packages.txt").read_text() if text is None else text
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def make_tree(root: Path, lab_dir: Path, public_key: str, say: Say) -> None:
    """Fill `root` with a dom0 that boots: packages, settings, Salt, initial RAM disks."""
    wheels = _salt_wheels(lab_dir, say)
    with tempfile.TemporaryDirectory(prefix="stage-", dir=lab_dir) as scratch:
        stage = Path(scratch)
        _stage_files(stage, wheels, public_key)
        say("lab: installing Debian, Xen, Salt and a template into the dom0's tree (some minutes)")
        run(mmdebstrap_command(root, stage), timeout_seconds=1800)
    # mmdebstrap ends by removing what it had copied in from the host.
    for name in ("etc/resolv.conf", "etc/hostname", "etc/hosts"):
        shutil.copyfile(DOM0 / "files" / name, root / name)


def mmdebstrap_command(root: Path, stage: Path) -> list[str]:
    """Return the command that installs the packages and then runs `setup.sh` in the tree."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(packages())}",
        # The machine id and the host name stay: a first boot without them takes its time.
        "--skip=cleanup/reproducible",
        "--dpkgopt=force-confold",
        # An interrupted build is thrown away as a whole.
        "--dpkgopt=force-unsafe-io",
        f"--customize-hook=sync-in {shlex.quote(str(stage))} /",
        '--customize-hook=chroot "$1" sh /root/setup.sh',
        '--customize-hook=chroot "$1" python3 -B /root/templates.py',
        '--customize-hook=rm -r "$1"/root/setup.sh "$1"/root/templates.py "$1"/root/domus_utils',
        DEBIAN_RELEASE,
        str(root),
    ]


def _stage_files(stage: Path, wheels: Path, public_key: str) -> None:
    shutil.copytree(DOM0 / "files", stage, dirs_exist_ok=True)
    home = stage / "root"
    shutil.copytree(wheels, home / "wheels")
    for name in ("setup.sh", "templates.py"):
        shutil.copyfile(DOM0 / name, home / name)
    (home / "domus_utils").mkdir()
    for path in import_closure(TEMPLATE_BUILDER, DOM0_UTILS):
        shutil.copyfile(path, home / "domus_utils" / path.name)
    (home / ".ssh").mkdir()
    (home / ".ssh" / "authorized_keys").write_text(public_key + "\n")
    # The modes of a checkout depend on the umask of who made it.
    for path in [stage, *stage.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _salt_wheels(lab_dir: Path, say: Say) -> Path:
    """Return a folder of wheels of Salt and all it needs; built once and kept.

    They are built with Python 3.11, which is what Debian 12 has in dom0.
    """
    key = hashlib.sha256(SALT_REQUIREMENT.encode()).hexdigest()[:12]
    wheels = lab_dir / f"wheels-{key}"
    if not wheels.exists():
        say(f"lab: building wheels of {SALT_REQUIREMENT}")
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=lab_dir) as scratch:
            made = Path(scratch) / "wheels"
            venv = Path(scratch) / "venv"
            run(["python3.11", "-m", "venv", str(venv)], timeout_seconds=300)
            run(
                [str(venv / "bin/pip"), "wheel", "--wheel-dir", str(made), SALT_REQUIREMENT],
                timeout_seconds=1200,
            )
            made.rename(wheels)
    return wheels
