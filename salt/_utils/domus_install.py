"""Install an operating system for one VPS, from empty volumes to a started machine.

A disk is overwritten only when this is provably meant. Its file system bears the `install_id` as
its UUID once the installation is complete: such a disk is taken as it is, even when every record of
ours is lost. And a volume that was there before, of which no record says that it may be replaced,
is refused and not formatted.
"""

import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import domus_bootstrap
import domus_bring_up
import domus_filesystem
from domus_apt_sources import guest_sources
from domus_customise import HOST_KEY_TYPES, Identity, clean, customise
from domus_errors import NotValid, Refused
from domus_guest_root import GuestRoot
from domus_hypervisor import open_hypervisor
from domus_interfaces import Hypervisor, Storage
from domus_job import Progress, utc_now
from domus_logged_run import LoggedRunner
from domus_request import Request
from domus_run import Runner
from domus_simulated_install import SimulatedDisk
from domus_spec import VpsSpec, volume_name
from domus_storage import open_storage
from domus_template import TemplateStore
from domus_vps_notes import VpsNotes

KEYGEN_TIMEOUT_SECONDS = 120
LAST_STEPS = ("define", "start")


def install(request: Request, progress: Progress) -> None:
    """Do an installation as far as it is not done yet, and start the machine if still wanted."""
    runner = LoggedRunner(progress.log)
    storage = open_storage(request.dom0, request.state_dir, request.options, runner)
    hypervisor = open_hypervisor(request.dom0, request.state_dir, request.options, runner)
    simulated = SimulatedDisk(request, progress) if request.is_simulated else None
    disk = simulated or Disk(request, progress, storage, runner)
    if is_installed(request, storage, disk):
        progress.log.line("The disk bears this installation already; it is left as it is")
        progress.skip(*(s["name"] for s in progress.job["steps"] if s["name"] not in LAST_STEPS))
    else:
        _allow_overwriting(request, progress, storage)
        _stop_machine(request, hypervisor)
        disk.write()
        # From here on there is a customer's system on the disk, whatever becomes of the start.
        progress.job["may_format"] = False
        progress.save()
    _bring_up(request, progress, storage, hypervisor)


def is_installed(request: Request, storage: Storage, disk: "Disk | SimulatedDisk") -> bool:
    """Ask the disk itself whether it bears this very installation."""
    volume = storage.info(volume_name(request.vps, request.vps.root_disk))
    return volume is not None and disk.installed_id() == request.vps.os.install_id


def _allow_overwriting(request: Request, progress: Progress, storage: Storage) -> None:
    """Refuse to overwrite volumes of which we do not know that they may be."""
    if request.vps.os.installed and not progress.job["may_format"]:
        raise Refused(
            f"Installation {request.vps.os.install_id} was handed over, and the disk that bears it is not here; "
            "nothing is made in its place. Bring the disk back, or run os_template.install with replace=True"
        )
    names = [volume_name(request.vps, disk) for disk in request.vps.disks]
    present = [name for name in names if storage.info(name) is not None]
    if not progress.job["may_format"] and present:
        raise Refused(
            f"The volume {present[0]} is there already and nothing on record says that it may be "
            "overwritten; if it may, run os_template.install with replace=True"
        )
    # Written down before the first volume is made: after a crash in between, the volume counts as
    # ours to overwrite.
    progress.job["may_format"] = True
    progress.save()


def _stop_machine(request: Request, hypervisor: Hypervisor) -> None:
    """Pull the plug of a machine that is to be installed anew: its disk must not be in use."""
    machine = hypervisor.info(request.vps.uuid)
    while machine is not None and machine.is_restarting:
        # It comes back, or is given up, within a minute or two; no plug can be pulled meanwhile.
        pause()
        machine = hypervisor.info(request.vps.uuid)
    if machine is not None and machine.power in ("running", "paused"):
        hypervisor.destroy(request.vps.uuid)


def pause() -> None:
    """Wait a moment for the hypervisor."""
    time.sleep(1)


def _bring_up(request: Request, progress: Progress, storage: Storage, hypervisor: Hypervisor) -> None:
    """Define and start the machine at once, if that is what is wanted by now."""
    spec = _newest_wish(request)
    if spec.wanted != "running" or spec.os.install_id != request.vps.os.install_id:
        progress.log.line(f"Not started: wanted is {spec.wanted}, install {spec.os.install_id}")
        progress.skip(*LAST_STEPS)
        return
    # The same lock as a state run takes that settles this VPS.
    with request.state_dir.lock(spec.uuid):
        with progress.step("define"):
            domus_bring_up.define(spec, hypervisor, storage)
        with progress.step("start"):
            domus_bring_up.bring_up(spec, hypervisor, storage, VpsNotes(request.state_dir, spec.uuid))


def _newest_wish(request: Request) -> VpsSpec:
    """Return what is wanted of the VPS by now; the state runs note it down."""
    newest = request.state_dir.read("wanted", request.vps.uuid)
    return request.vps if newest is None else VpsSpec.parse(newest)


class Disk:
    """The real volumes of a VPS, and how an operating system gets onto them."""

    def __init__(self, request: Request, progress: Progress, storage: Storage, runner: LoggedRunner) -> None:
        self._request = request
        self._vps = request.vps
        self._progress = progress
        self._storage = storage
        self._runner = runner
        self._templates = TemplateStore(request.state_dir)
        self._root_name = volume_name(request.vps, request.vps.root_disk)

    def installed_id(self) -> str | None:
        """Return the installation that the root disk bears entirely."""
        with self._storage.mounted_device(self._root_name) as device:
            superblock = domus_filesystem.read_superblock(device)
        return superblock.uuid if superblock else None

    def write(self) -> None:
        """Make the volumes and install."""
        if self._vps.root_disk.filesystem != "ext4":
            raise NotValid(f"The root disk wants {self._vps.root_disk.filesystem}; allowed: ext4")
        origin = self._template_ready() if self._request.template.method == "image" else None
        with self._progress.step("volumes"):
            self._make_volumes(origin)
        with self._storage.mounted_device(self._root_name) as device:
            if self._request.template.method == "image":
                self._copy(device, copied=origin is not None)
            else:
                self._make_filesystems(device)
            self._fill_and_seal(device)

    def _template_ready(self) -> str | None:
        """Wait for the template, and return the golden volume where there are thin snapshots."""
        template, root = self._request.template, self._vps.root_disk
        with self._progress.step("template"):
            ready = self._templates.ensure(template, self._runner, self._progress.fraction)
            if ready.size_mib > root.size_mib:
                raise NotValid(
                    f"The root disk has {root.size_mib} MiB; template {template.name} needs at "
                    f"least {ready.size_mib}"
                )
            if self._request.dom0.backend == "lvm_thin":
                return self._templates.golden(template, self._storage, self._runner)
        return None

    def _make_volumes(self, origin: str | None) -> None:
        if origin is not None:
            # A snapshot that an earlier try has worked on is no fresh one.
            self._storage.remove(self._root_name, uuid=self._vps.uuid)
        for disk in self._vps.disks:
            self._storage.create(
                volume_name(self._vps, disk),
                disk.size_mib,
                uuid=self._vps.uuid,
                origin=origin if disk.role == "root" else None,
            )

    def _copy(self, device: str, *, copied: bool) -> None:
        with self._progress.step("unpack"):
            if not copied:
                template = self._request.template
                self._templates.copy(template, device, self._runner, self._progress.fraction)
        with self._progress.step("filesystem"):
            domus_filesystem.grow(self._runner, device)
            self._make_other_filesystems()

    def _make_filesystems(self, device: str) -> None:
        with self._progress.step("filesystem"):
            domus_filesystem.make(self._runner, device, self._vps.root_disk)
            self._make_other_filesystems()

    def _make_other_filesystems(self) -> None:
        for disk in self._vps.disks:
            if disk.role != "root":
                with self._storage.mounted_device(volume_name(self._vps, disk)) as device:
                    domus_filesystem.make(self._runner, device, disk)

    def _fill_and_seal(self, device: str) -> None:
        point = self._request.state_dir.root / "mnt" / self._vps.uuid
        sources = guest_sources(self._request.template)
        is_bootstrap = self._request.template.method == "bootstrap"
        # A bootstrap makes device nodes, and programs of the guest use them while it runs.
        options = "noatime" if is_bootstrap else "noatime,nodev,nosuid,noexec"
        with domus_filesystem.mounted(self._runner, device, point, options=options):
            if is_bootstrap:
                self._bootstrap(point, sources)
            with self._progress.step("customise"), GuestRoot(point) as root:
                customise(
                    root,
                    self._vps,
                    Identity.fresh(_host_keys(self._runner, self._vps.os.hostname)),
                    hypervisor=self._request.dom0.hypervisor,
                    sources=sources,
                    today=_today(),
                )
        with self._progress.step("seal"):
            domus_filesystem.set_uuid(self._runner, device, self._vps.os.install_id)

    def _bootstrap(self, point: Path, sources: list[str]) -> None:
        with self._progress.step("bootstrap"):
            domus_bootstrap.bootstrap(
                self._runner,
                self._request.template,
                point,
                cache_dir=self._request.state_dir.root / "cache",
                sources=sources,
                on_fraction=self._progress.fraction,
            )
            with GuestRoot(point) as root:
                clean(root)


def _host_keys(runner: Runner, hostname: str) -> Mapping[str, bytes]:
    """Make fresh ssh host keys on dom0's side, where no file of the template is run or followed."""
    with tempfile.TemporaryDirectory(prefix="domus-keys-") as folder:
        for kind in HOST_KEY_TYPES:
            path = Path(folder) / f"ssh_host_{kind}_key"
            argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{hostname}"]
            runner.run([*argv, "-f", str(path)], timeout_seconds=KEYGEN_TIMEOUT_SECONDS)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _today() -> date:
    return utc_now().date()
