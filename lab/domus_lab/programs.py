"""The programs of the host that the lab uses: which are missing, and one way to run them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from domus_lab.errors import LabError

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
    "setpriv": "util-linux",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "zstd": "zstd",
    "gpg": "gpg",
    "gpgconf": "gpgconf",
    "python3.11": "python3-venv python3-dev gcc",
}
"""Each program, and the Debian package that brings it."""

TO_BOOT = ("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen", "tar", "setpriv")
TO_BUILD = ("mmdebstrap", "mke2fs", "zstd", "python3.11", "ssh-keygen")

_SEARCH_PATH = os.defpath + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin"


def find_program(name: str) -> str | None:
    """Return the path of a program, also of one in the administrator's folders."""
    return shutil.which(name) or shutil.which(name, path=_SEARCH_PATH)


def require_programs(names: Iterable[str], find: Callable[[str], str | None] = find_program) -> None:
    """Raise an error that names every missing program and the packages to install."""
    missing = [name for name in names if find(name) is None]
    if missing:
        packages = sorted({PACKAGES[name] for name in missing})
        raise LabError(
            f"missing: {', '.join(missing)}. Install as root: apt-get install {' '.join(packages)}"
        )


def run(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run one program of the host; when it fails, raise an error with the end of what it said."""
    program = find_program(argv[0])
    if program is None:
        require_programs([argv[0]], find=lambda name: None)
        raise AssertionError("unreachable")
    try:
        result = subprocess.run(
            [program, *argv[1:]],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout_seconds,
            env=dict(environment) if environment is not None else None,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"{argv[0]} did not end within {timeout_seconds:.0f} s; its last output: "
            f"{last_lines((error.stdout or b'') + (error.stderr or b''))}"
        ) from None
    if check and result.returncode != 0:
        raise LabError(
            f"{argv[0]} failed with exit code {result.returncode}: "
            f"{last_lines(result.stderr or result.stdout)}"
        )
    return result


def last_lines(output: bytes, count: int = 30) -> str:
    """Return the end of an output as text."""
    return "\n".join(output.decode(errors="replace").rstrip().splitlines()[-count:])
