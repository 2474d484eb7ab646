"""Debian 12 installed for real: packages by mmdebstrap, disks as loop devices, the machine simulated.

One template is built (which fills the package cache), two VPSs are made of it, and a third one is
bootstrapped with the network taken away. Then their disks are opened and looked at.
"""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import domus_worker
import pytest
from domus_job import JobStore
from domus_request import plan
from domus_spec import TemplateSpec
from domus_state_dir import StateDir
from domus_template import IMAGE, PACKED, TemplateStore

from tests.support.installs import PASSWORD_HASH, SSH_KEY, dom0_entry, request, template_entry, vps_entry

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(),
    reason="installing for real needs root and loop devices",
)
MACHINES = {"image": 1, "twin": 2, "bootstrap": 3}
# What differs between any two machines, or by the way of installing: what has a time in it.
PERSONAL = ("/etc/machine-id", "/etc/ssh/ssh_host_", "/etc/systemd/network/", "/etc/shadow")
VARYING = ("/var/cache/", "/var/log/", "/var/lib/dpkg/", "/var/lib/apt/", "/var/lib/systemd/", "/etc/.pwd")
WORKER_SECONDS = 900


class Dom0:
    """A dom0 whose volumes are image files."""

    def __init__(self, root: Path) -> None:
        self.images = root / "images"
        self.images.mkdir()
        self.state_dir = StateDir(root / "state")
        self.store = JobStore(self.state_dir)

    def install(self, number: int, method: str, *, offline: bool = False) -> dict[str, Any]:
        """Install a VPS by a worker of its own, and return its job."""
        entry = vps_entry(number)
        template = TemplateSpec.parse(template_entry(method))
        ready = TemplateStore(self.state_dir).is_ready(template)
        asked = request(entry, method=method, dom0=dom0_entry("image", self.images))
        self.store.enqueue(asked, plan(template, template_ready=ready))
        argv = [sys.executable, domus_worker.__file__, "--state-dir", str(self.state_dir.root)]
        unplugged = ["unshare", "--net", "--"] if offline else []
        subprocess.run([*unplugged, *argv], check=True, timeout=WORKER_SECONDS)
        return self.store.read(entry["uuid"]) or {}

    def image_of(self, number: int, disk: str = "root") -> Path:
        """Return the image file of a disk."""
        return self.images / f"{vps_entry(number)['name']}-{disk}.img"


@contextmanager
def opened(image: Path, point: Path) -> Iterator[Path]:
    """Mount the root disk of a VPS read-only."""
    point.mkdir()
    subprocess.run(["mount", "-o", "ro,loop", str(image), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


@pytest.fixture(scope="module")
def dom0(tmp_path_factory: pytest.TempPathFactory) -> Dom0:
    """Offer a dom0 with three VPSs installed."""
    made = Dom0(tmp_path_factory.mktemp("dom0"))
    jobs = [
        made.install(MACHINES["image"], "image"),
        made.install(MACHINES["twin"], "image", offline=True),
        made.install(MACHINES["bootstrap"], "bootstrap", offline=True),
    ]
    for job in jobs:
        assert job["state"] == "done", "\n".join([job["error"], *job["log_tail"]])
    return made


@pytest.fixture(scope="module")
def roots(dom0: Dom0, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Offer the opened root disks."""
    points = tmp_path_factory.mktemp("roots")
    with (
        opened(dom0.image_of(MACHINES["image"]), points / "image") as image,
        opened(dom0.image_of(MACHINES["twin"]), points / "twin") as twin,
        opened(dom0.image_of(MACHINES["bootstrap"]), points / "bootstrap") as bootstrap,
    ):
        yield {"image": image, "twin": twin, "bootstrap": bootstrap}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_root_disk_bears_its_installation_and_label(dom0: Dom0, machine: str) -> None:
    number = MACHINES[machine]
    said = subprocess.run(
        ["blkid", "-p", "-o", "export", str(dom0.image_of(number))],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"UUID={vps_entry(number)['os']['install_id']}" in said
    assert "LABEL=root" in said
    swap = ["blkid", "-p", "-o", "value", "-s", "LABEL", str(dom0.image_of(number, "swap"))]
    assert subprocess.run(swap, check=True, capture_output=True, text=True).stdout == "swap\n"


@pytest.mark.parametrize("machine", MACHINES)
def test_the_file_system_is_sound_and_fills_its_disk(dom0: Dom0, machine: str) -> None:
    image = str(dom0.image_of(MACHINES[machine]))
    subprocess.run(["e2fsck", "-fn", image], check=True, capture_output=True)
    said = subprocess.run(["dumpe2fs", "-h", image], check=True, capture_output=True, text=True).stdout
    facts = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    size = int(facts["Block count"]) * int(facts["Block size"])
    assert size == vps_entry()["disks"][0]["size_mib"] << 20


@pytest.mark.parametrize("machine", MACHINES)
def test_the_guest_is_the_one_that_was_ordered(roots: dict[str, Path], machine: str) -> None:
    root = roots[machine]
    assert (root / "etc/hostname").read_text() == "www\n"
    assert "LABEL=root / ext4" in (root / "etc/fstab").read_text()
    shadow = dict(line.split(":")[:2] for line in (root / "etc/shadow").read_text().splitlines())
    assert shadow.pop("root") == PASSWORD_HASH
    assert not [user for user, password in shadow.items() if password[0] not in "!*"]
    assert (root / "root/.ssh/authorized_keys").read_text() == f"{SSH_KEY}\n"
    assert stat.S_IMODE((root / "root/.ssh/authorized_keys").stat().st_mode) == 0o600
    assert (root / "root/.ssh/authorized_keys").stat().st_uid == 0
    assert "address 192.0.2.10/24" in (root / "etc/network/interfaces").read_text()
    getty = root / "etc/systemd/system/getty.target.wants/serial-getty@hvc0.service"
    assert (root / str(getty.readlink()).lstrip("/")).exists()
    assert (root / "usr/sbin/sshd").exists()
    assert (root / "sbin/ifup").exists()


@pytest.mark.parametrize("machine", MACHINES)
def test_sshd_accepts_its_configuration_and_its_host_keys(roots: dict[str, Path], machine: str) -> None:
    root = roots[machine]
    for kind in ("ed25519", "ecdsa"):
        private, public = (root / f"etc/ssh/ssh_host_{kind}_key{end}" for end in ("", ".pub"))
        made = subprocess.run(["ssh-keygen", "-y", "-f", private], check=True, capture_output=True, text=True)
        assert made.stdout.split()[:2] == public.read_text().split()[:2]
    assert not list((root / "etc/ssh").glob("ssh_host_rsa_key*"))


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_of_dom0_is_left_inside(roots: dict[str, Path], machine: str) -> None:
    root = roots[machine]
    assert (root / "etc/resolv.conf").read_text() == "nameserver 192.0.2.1\n"
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log/apt", "tmp"):
        assert not [p for p in (root / folder).rglob("*") if not p.is_dir()], folder
    for path in ("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap", "root/.bash_history"):
        assert not (root / path).exists()
    own = os.uname().nodename
    for path in ("etc/hostname", "etc/hosts", "etc/mailname"):
        assert not (root / path).exists() or own not in (root / path).read_text().split()


def test_two_guests_share_no_identity(roots: dict[str, Path]) -> None:
    for path in ("etc/machine-id", "etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ecdsa_key"):
        assert len({(root / path).read_bytes() for root in roots.values()}) == len(roots)
    assert all(len((root / "etc/machine-id").read_text()) == 33 for root in roots.values())


def listing(root: Path) -> dict[str, tuple[str, int, int, bytes]]:
    """Return kind, mode, owner and content of everything that both ways must make alike."""
    found = {}
    for path in root.rglob("*"):
        name = f"/{path.relative_to(root)}"
        if name.startswith((*PERSONAL, *VARYING)):
            continue
        facts = path.lstat()
        content = b""
        if stat.S_ISREG(facts.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(facts.st_mode):
            content = os.fsencode(path.readlink())
        found[name] = (stat.filemode(facts.st_mode), facts.st_uid, facts.st_gid, content)
    return found


def test_both_ways_of_installing_give_the_same_tree(roots: dict[str, Path]) -> None:
    image, bootstrap = listing(roots["image"]), listing(roots["bootstrap"])
    assert sorted(set(image) ^ set(bootstrap)) == []
    assert [name for name in image if image[name] != bootstrap[name]] == []
    assert len(image) > 5000


def test_nothing_stays_mounted_or_attached(dom0: Dom0) -> None:
    assert str(dom0.state_dir.root) not in Path("/proc/mounts").read_text()
    assert (
        str(dom0.state_dir.root)
        not in subprocess.run(["losetup", "--list"], check=True, capture_output=True, text=True).stdout
    )
    assert list((dom0.state_dir.root / "mnt").iterdir()) == []
    assert dom0.state_dir.names("requests") == []


def test_the_second_bootstrap_downloaded_nothing(dom0: Dom0) -> None:
    log = dom0.state_dir.file("jobs", vps_entry(MACHINES["bootstrap"])["uuid"], ".log").read_text()
    assert "skipping update as requested" in log
    assert "\nGet:" not in log


def test_a_damaged_image_is_made_anew_from_the_archive(dom0: Dom0) -> None:
    [folder] = dom0.state_dir.templates.glob("debian-12_1")
    pieces = json.loads((folder / "metadata.json").read_text())["pieces"]
    with (folder / IMAGE).open("r+b") as file:
        file.seek(pieces[-1][0])
        file.write(b"damage")
    job = dom0.install(10, "image", offline=True)
    assert job["state"] == "done", job["log_tail"]
    subprocess.run(["e2fsck", "-fn", str(dom0.image_of(10))], check=True, capture_output=True)


def test_a_damaged_archive_is_an_error_and_no_disk_looks_installed(dom0: Dom0) -> None:
    [folder] = dom0.state_dir.templates.glob("debian-12_1")
    whole = (folder / PACKED).read_bytes()
    (folder / IMAGE).unlink()
    (folder / PACKED).write_bytes(whole[:1000] + b"damage" + whole[1006:])
    job = dom0.install(11, "image", offline=True)
    (folder / PACKED).write_bytes(whole)
    assert job["state"] == "failed"
    assert "is damaged" in job["error"]
    blkid = subprocess.run(["blkid", "-p", str(dom0.image_of(11))], check=False, capture_output=True)
    assert blkid.stdout == b""
