"""Other people's installers, each on an empty disk, with the same tree of files as Domus' template."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.dom0_side import empty_disk, run
from bench.harness import LeftOut, require, seconds

GANETI_OS = Path("/usr/share/ganeti/os/debootstrap")
GANETI_CACHE = Path("/var/cache/ganeti-instance-debootstrap")
HOST = "peer.example.org"


def ganeti_instance_debootstrap(folder: Path, tree: Path) -> float:
    """Return the seconds that Ganeti's OS definition takes with its cached tar, sync included."""
    if not (GANETI_OS / "create").exists():
        raise LeftOut(
            "ganeti-instance-debootstrap is not installed (Debian package ganeti-instance-debootstrap)"
        )
    GANETI_CACHE.mkdir(parents=True, exist_ok=True)
    cached = GANETI_CACHE / "cache-bookworm-amd64.tar"
    if not cached.exists() or cached.stat().st_size != tree.stat().st_size:
        shutil.copyfile(tree, cached)
    os.utime(cached)
    with empty_disk(folder, "ganeti.img") as device:
        environment = os.environ | {
            "OS_API_VERSION": "20", "INSTANCE_NAME": HOST, "HYPERVISOR": "xen-pvm", "DISK_COUNT": "1",
            "DISK_0_PATH": device, "NIC_COUNT": "0", "DEBUG_LEVEL": "0", "SUITE": "bookworm", "ARCH": "amd64",
            "PARTITION_STYLE": "none", "OSP_FILESYSTEM": "ext4",
        }  # fmt: skip

        def create() -> None:
            run(str(GANETI_OS / "create"), cwd=GANETI_OS, env=environment)
            os.sync()

        return seconds(create)


#: xen-tools' own configuration asks the machine's apt for a mirror, and has bookworm boot by pygrub with a kernel of
#: its own that the tree does not hold; Domus' guests boot dom0's kernel, so the peer does too.
_XEN_TOOLS_CONF = (
    "fs = ext4\ndist = bookworm\ninstall-method = tar\nimage = sparse\nsize = 2G\nmemory = 256M\n"
)
_WITH_CONFIGURATION = 'mount --bind "$0" /etc/xen-tools && exec xen-create-image "$@"'


def xen_create_image(folder: Path, tree: Path) -> float:
    """Return the seconds that xen-create-image takes from a tar of the finished guest, sync included."""
    require("xen-create-image", "xen-tools")
    target, configuration = folder / "xen-tools", folder / "xen-tools.conf.d"
    target.mkdir(exist_ok=True)
    shutil.copytree("/etc/xen-tools", configuration, symlinks=True)
    (configuration / "xen-tools.conf").write_text(_XEN_TOOLS_CONF, encoding="utf-8")
    distributions = configuration / "distributions.conf"
    distributions.write_text(
        distributions.read_text(encoding="utf-8").replace(" pygrub", ""), encoding="utf-8"
    )
    # Its existence is checked, its content is not: the guest is not started here.
    kernel = "/etc/hostname"

    def create() -> None:
        run(
            "unshare", "--mount", "bash", "-c", _WITH_CONFIGURATION, str(configuration),
            f"--hostname={HOST}", f"--dir={target}", "--install-method=tar", f"--install-source={tree}",
            "--size=2G", "--noswap", "--memory=256M", "--ip=192.0.2.50", "--netmask=255.255.255.0",
            "--gateway=192.0.2.1", "--dist=bookworm", "--fs=ext4", "--image=sparse", "--genpass=0", "--nohosts",
            "--force", f"--output={target}", "--arch=amd64", "--mirror=http://mirror.example.org/debian", "--nopygrub",
            f"--kernel={kernel}", f"--initrd={kernel}",
        )  # fmt: skip
        os.sync()

    try:
        return seconds(create)
    finally:
        shutil.rmtree(target)
        shutil.rmtree(configuration)


#: What Domus' cache holds is laid into the tree, as mmdebstrap's manual shows it; nothing is fetched then.
_WITH_CACHE = 'mkdir -p "$1"/var/cache/apt/archives "$1"/var/lib/apt/lists && cp -a {0}/archives/. "$1"/var/cache/apt/archives/ && cp -a {0}/lists/. "$1"/var/lib/apt/lists/'  # noqa: E501
_SKIPPED = "check/empty,update,download/empty,essential/unlink"


def mmdebstrap(folder: Path, cache: Path, packages: Sequence[str], sources: Sequence[str]) -> float:
    """Return the seconds of a plain mmdebstrap of the packages, from a warm cache, with sync and without network."""
    require("mmdebstrap", "mmdebstrap")
    point = folder / "mmdebstrap"
    point.mkdir(exist_ok=True)
    with empty_disk(folder, "mmdebstrap.img") as device:

        def create() -> None:
            run("mkfs.ext4", "-q", "-F", device)
            run("mount", device, str(point))
            try:
                run(
                    "mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=minbase",
                    f"--include={','.join(packages)}", f"--skip={_SKIPPED}",
                    f"--setup-hook={_WITH_CACHE.format(cache)}", "bookworm", str(point), *sources,
                )  # fmt: skip
            finally:
                run("umount", str(point))
            os.sync()

        try:
            return seconds(create)
        finally:
            point.rmdir()
