# ruff: noqa: INP001 - a script, which has to name the folder of its modules first
"""Runs inside the fresh tree: fetches what Domus's states and a first installation will ask a Debian archive for.

What it leaves in /root/archive is an archive of these packages alone, not yet signed.
"""

import gzip
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, "/root/domus_utils")

import domus_bootstrap
import domus_dom0_states

ARCHIVE = Path("/root/archive")
POOL = ARCHIVE / "pool"
SUITE = ARCHIVE / "dists/bookworm"
LISTS = SUITE / "main/binary-amd64"
# What mmdebstrap's variant minbase begins with.
MINBASE = ("?essential", "?priority(required)", "apt")
APT = (
    *("apt-get", "install", "--yes", "--quiet", "--download-only", "--no-install-recommends"),
    *("-o", f"Dir::Cache::archives={POOL}"),
)


def main() -> None:
    """Fetch the packages and describe them."""
    (POOL / "partial").mkdir(parents=True)
    LISTS.mkdir(parents=True)
    dom0 = {*domus_dom0_states.COMMON_PACKAGES, *domus_dom0_states.PACKAGES["xen"]}
    subprocess.run([*APT, *sorted(dom0)], check=True)
    # With no package installed yet: a guest begins with an empty disk.
    guest = [*MINBASE, *domus_bootstrap.PACKAGES]
    subprocess.run([*APT, "-o", "Dir::State::status=/dev/null", *guest], check=True)
    described = "\n".join(_description(path) for path in sorted(POOL.glob("*.deb")))
    (LISTS / "Packages").write_text(described)
    (LISTS / "Packages.gz").write_bytes(gzip.compress(described.encode(), mtime=0))
    (SUITE / "Release").write_text(_release())


def _description(path: Path) -> str:
    """Return the paragraph of a package in the list of packages."""
    said = subprocess.run(["dpkg-deb", "--field", str(path)], capture_output=True, text=True, check=True)
    fields = {
        "Filename": path.relative_to(ARCHIVE).as_posix(),
        "Size": path.stat().st_size,
        "SHA256": _sha256(path),
    }
    return said.stdout + "".join(f"{name}: {value}\n" for name, value in fields.items())


def _release() -> str:
    """Return what an archive says of itself, with the checksums of its lists."""
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
    lists = sorted(path for path in LISTS.iterdir())
    sums = [f" {_sha256(path)} {path.stat().st_size} {path.relative_to(SUITE)}" for path in lists]
    head = "Origin: Domus lab\nSuite: stable\nCodename: bookworm\nArchitectures: amd64\nComponents: main\n"
    return "\n".join([f"{head}Date: {now}", "SHA256:", *sums, ""])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


main()
