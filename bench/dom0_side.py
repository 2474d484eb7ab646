"""The dom0 side's own code, called as its worker calls it; and fresh disks to call it on."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.harness import LeftOut, require

CHECKOUT = Path(__file__).resolve().parent.parent
#: Kept between runs: building the template downloads packages, which is not what is measured.
CACHE = CHECKOUT / ".domus" / "bench"
DISK_MIB = 2048
TARGET_MIB = 12 * 1024

sys.path.insert(0, str(CHECKOUT / "salt" / "_utils"))


def run(*argv: str, **options: Any) -> str:
    """Run a program and return what it printed; its own words are in the error when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-800:]}")
    return done.stdout


def require_root() -> None:
    """Raise LeftOut unless loop devices and mounts are possible."""
    if os.geteuid() != 0:
        raise LeftOut("loop devices and mounts need root")
    require("mmdebstrap", "mmdebstrap")
    require("mkfs.ext4", "e2fsprogs")


@contextmanager
def fresh_target() -> Iterator[Path]:
    """Yield a folder on a new ext4 of its own: the machine's root file system may be slow at making files."""
    CACHE.mkdir(parents=True, exist_ok=True)
    image, point = CACHE / "target.ext4", Path(tempfile.gettempdir()) / f"domus-bench-{os.getpid()}"
    point.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(TARGET_MIB << 20)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    run("mount", "-o", "loop", str(image), str(point))
    try:
        yield point
    finally:
        # After a failure something may still have a file open, and would hide the failure behind "busy".
        run("umount", "--lazy", str(point))
        image.unlink()
        point.rmdir()


@contextmanager
def empty_disk(folder: Path, name: str) -> Iterator[str]:
    """Yield the loop device of a new empty disk in *folder*."""
    path = folder / name
    with path.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    device = run("losetup", "--find", "--show", str(path)).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)
        path.unlink()


def template_spec(method: str) -> Any:
    """Return Debian 12 as the pillar would name it."""
    from domus_spec import TemplateSpec

    return TemplateSpec.parse(
        {
            "name": "debian-12", "method": method, "distribution": "debian", "release": "bookworm",
            "arch": "amd64", "version": "bench",
        }
    )  # fmt: skip


def ensure_template() -> Any:
    """Return the store with Debian 12 built in it, building it when it is not there."""
    from domus_job_log import JobLog
    from domus_logged_run import LoggedRunner
    from domus_state_dir import StateDir
    from domus_template import TemplateStore

    state_dir = StateDir(CACHE / "state")
    store = TemplateStore(state_dir)
    runner = LoggedRunner(JobLog(CACHE / "template.log"))
    store.ensure(template_spec("image"), runner, lambda part: None)
    return store


def finished_tree(store: Any) -> Path:
    """Return a tar of the template's tree, for the peers: the same content, to the file."""
    tar = CACHE / "tree.tar"
    if not tar.exists():
        point = CACHE / "tree"
        point.mkdir(exist_ok=True)
        run(
            "mount", "-o", "loop,ro", str(store.find(template_spec("image")).folder / "root.ext4"), str(point)
        )
        try:
            run(
                "tar", "--numeric-owner", "--exclude=./lost+found", "-C", str(point), "-cf", f"{tar}.new", "."
            )
        finally:
            run("umount", str(point))
        Path(f"{tar}.new").rename(tar)
    return tar


def install_once(folder: Path, method: str) -> None:
    """Take one VPS from nothing to a customised, unmounted, synced disk, as the worker's child does."""
    from domus_install import Disk
    from domus_job import JobStore, Progress
    from domus_job_log import JobLog
    from domus_logged_run import LoggedRunner
    from domus_request import Request, plan
    from domus_state_dir import StateDir
    from domus_storage import open_storage

    state_dir = StateDir(CACHE / "state")
    number = uuid.uuid4()
    request = Request.parse(_request(folder, method, number), state_dir)
    store = JobStore(state_dir, lambda: datetime.now(UTC))
    job = store.enqueue(_request(folder, method, number), plan(request.template, template_ready=True))
    log = JobLog(state_dir.root / "bench.log")
    runner = LoggedRunner(log)
    storage = open_storage(request.dom0, state_dir, request.options, runner)
    Disk(request, Progress(store, job, log), storage, runner).write()
    os.sync()
    store.end(job, "done")


def _request(folder: Path, method: str, number: uuid.UUID) -> dict[str, Any]:
    name = f"vps-{number.hex[:8]}"
    return {
        "schema_version": 1,
        "vps": {
            "uuid": str(number), "name": name, "revision": 1, "wanted": "stopped", "boot_serial": 0,
            "reboot_mode": "soft", "stop_mode": "graceful", "stop_timeout_seconds": 120, "virtualization": "pv",
            "memory_mib": 256, "vcpus": 1, "cpu_weight": 256, "cpu_cap_percent": 0,
            "disks": [
                {"name": "root", "role": "root", "size_mib": DISK_MIB, "device": "xvda1", "filesystem": "ext4"},
            ],
            "nics": [
                {
                    "mac": "00:16:3e:00:00:01", "bridge": "xenbr0", "ipv6": [],
                    "ipv4": [{"address": "192.0.2.10", "prefix_length": 24, "gateway": "192.0.2.1"}],
                }
            ],
            "dns": ["192.0.2.1"],
            "os": {
                "install_id": str(uuid.uuid4()), "template": "debian-12", "hostname": "bench.example.org", "attempt": 1,
                "root_password_hash": "$2b$12$" + "a" * 53,
                "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl bench"],
            },
            "tombstone": None,
        },
        "dom0": {
            "minion_id": "bench", "hypervisor": "xen", "bridge": "xenbr0", "max_parallel_installs": 1,
            "max_removals_per_run": 1, "storage": {"backend": "image", "image_dir": str(folder)},
        },
        "template": {
            "name": "debian-12", "method": method, "distribution": "debian", "release": "bookworm", "arch": "amd64",
            "version": "bench",
        },
        "options": {},
    }  # fmt: skip
