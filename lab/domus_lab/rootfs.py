"""Makes the tree of files that becomes the dom0's disk: Debian packages, our settings, Salt."""

import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from domus_lab.closure import import_closure
from domus_lab.programs import run
from domus_lab.wheels import SALT_REQUIREMENT, salt_wheels

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
DOM0 = HERE / "dom0"
DOM0_UTILS = CHECKOUT / "salt" / "_utils"
TEMPLATE_BUILDER = "domus_template"
# Of all that the builder imports, these decide what is in the template and in the package cache.
TEMPLATE_CONTENT = ("domus_bootstrap", "domus_customise", "domus_filesystem", "domus_template")
DEBIAN_RELEASE = "bookworm"
DOM0_HOOKS = (
    'chroot "$1" sh /root/setup.sh',
    'chroot "$1" python3 -B /root/templates.py',
    'rm -r "$1"/root/setup.sh "$1"/root/templates.py "$1"/root/domus_utils',
)


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
    """Return the names in a package list, dom0's if no other is given, without comments and empty lines."""
    text = (DOM0 / "packages.txt").read_text() if text is None else text
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def make_tree(root: Path, lab_dir: Path, public_key: str, say: Say) -> None:
    """Fill `root` with a dom0 that boots: packages, settings, Salt, initial RAM disks."""
    wheels = salt_wheels(lab_dir, say)
    with tempfile.TemporaryDirectory(prefix="stage-", dir=lab_dir) as scratch:
        stage = Path(scratch)
        stage_files(
            stage,
            DOM0,
            scripts=("setup.sh", "templates.py"),
            modules=(TEMPLATE_BUILDER,),
            wheels=wheels,
            public_key=public_key,
        )
        say("lab: installing Debian, Xen, Salt and a template into the dom0's tree (some minutes)")
        run(mmdebstrap_command(root, stage), timeout_seconds=1800)
    restore_files(root, DOM0)


def mmdebstrap_command(
    root: Path, stage: Path, *, names: Sequence[str] = (), hooks: Sequence[str] = DOM0_HOOKS
) -> list[str]:
    """Return the command that installs packages, dom0's if no others are given, and then runs hooks in the tree."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(names or packages())}",
        # The machine id and the host name stay: a first boot without them takes its time.
        "--skip=cleanup/reproducible",
        "--dpkgopt=force-confold",
        # An interrupted build is thrown away as a whole.
        "--dpkgopt=force-unsafe-io",
        f"--customize-hook=sync-in {shlex.quote(str(stage))} /",
        *(f"--customize-hook={hook}" for hook in hooks),
        DEBIAN_RELEASE,
        str(root),
    ]


def restore_files(root: Path, folder: Path) -> None:
    """Write again what mmdebstrap removes at its end, because it had copied it in from the host."""
    for name in ("etc/resolv.conf", "etc/hostname", "etc/hosts"):
        shutil.copyfile(folder / "files" / name, root / name)


def stage_files(
    stage: Path,
    folder: Path,
    *,
    scripts: Sequence[str],
    modules: Sequence[str],
    wheels: Path,
    public_key: str,
) -> None:
    """Lay out what is copied into the tree: files, scripts, some of dom0's modules with what they import, Salt."""
    shutil.copytree(folder / "files", stage, dirs_exist_ok=True)
    home = stage / "root"
    shutil.copytree(wheels, home / "wheels")
    for name in scripts:
        shutil.copyfile(folder / name, home / name)
    (home / "domus_utils").mkdir()
    for path in {path for name in modules for path in import_closure(name, DOM0_UTILS)}:
        shutil.copyfile(path, home / "domus_utils" / path.name)
    (home / ".ssh").mkdir()
    (home / ".ssh" / "authorized_keys").write_text(public_key + "\n")
    # The modes of a checkout depend on the umask of who made it.
    for path in [stage, *stage.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
