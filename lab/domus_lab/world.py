"""A whole Domus whose only dom0 is the lab's: what the story, the tests and the benchmarks work with."""

import fcntl
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import sqlalchemy as sa

from domus.catalog.models import OsTemplate
from domus.inventory.models import Location
from domus_lab.errors import LabError
from domus_lab.image import LabImage, lab_directory
from domus_lab.machine import THIN_POOL, VOLUME_GROUP, LabMachine
from domus_lab.minion import HOST_AS_SEEN_FROM_DOM0, MinionSettings
from domus_stack import Stack, StackError
from domus_stack.customer import Customer, new_password
from domus_stack.processes import end_leftovers
from domus_stack.seed import add_dom0, seed
from domus_stack.story import Show, follow, order_and_pay

MINION_ID = "dom0-xen"
# The sample's pool of this place is the network of the lab's bridge.
LOCATION = "Frankfurt"
BOOTSTRAP, IMAGE = "debian-12", "debian-12-image"
ORDER_KEY = "/root/order_key"
# All that happens in dom0 is emulated: a minion needs half a minute to start, and to fetch its modules.
MINION_LIMIT_SECONDS = 900.0
ORDER_LIMIT_SECONDS = 1800.0
SSHD_LIMIT_SECONDS = 600.0
CALL_LIMIT_SECONDS = 450
# An answer of the minion takes tens of seconds when the host is busy, and a look of its beacons one or two.
ENGINE_OPTIONS = {"give_up_after_seconds": 300}
BEACON_INTERVAL_SECONDS = 5


def dom0_entry(storage_backend: str) -> dict[str, object]:
    """Return the lab's dom0 as a catalogue file describes it."""
    return {
        "minion_id": MINION_ID,
        "hypervisor": "xen",
        "storage_backend": storage_backend,
        "volume_group": VOLUME_GROUP,
        "thin_pool": THIN_POOL,
        "bridge": "xenbr0",
        "memory_capacity_mib": 2560,
        "disk_capacity_mib": 18432,
        "vcpus_capacity": 8,
        "max_parallel_installs": 2,
    }


@dataclass(frozen=True)
class Ordered:
    """A VPS that runs and lets its owner in."""

    hostname: str
    address: str
    status: dict[str, Any]
    seconds_paid_to_ssh: float

    @property
    def domu_name(self) -> str:
        """What Xen calls it."""
        return f"vps-{self.status['vps'][:8]}"


class LabWorld:
    """Database, master, panel, and a dom0 in QEMU. Use it as a context manager, from the main thread."""

    def __init__(
        self,
        *,
        lab_dir: Path | None = None,
        image: LabImage | None = None,
        dom0_mem_mib: int = 1024,
        storage_backend: str = "lvm",
        dom0_changes: Mapping[str, object] | None = None,
        boot_limit_seconds: float = 900,
        dom0: LabMachine | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        lab_dir = lab_dir or lab_directory()
        self._lab_dir = lab_dir
        self._say = say
        self._image = image
        self._dom0_entry = dom0_entry(storage_backend) | dict(dom0_changes or {})
        self._lock: IO[str] | None = None
        self.dom0 = dom0 or LabMachine(
            dom0_mem_mib=dom0_mem_mib,
            image=image,
            lab_dir=lab_dir,
            boot_limit_seconds=boot_limit_seconds,
            say=say,
        )
        self.stack = Stack(lab_dir / "stack", engine_options=ENGINE_OPTIONS, say=say)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Boot dom0 and start the stack side by side; return when dom0 has nothing left to do."""
        if self._image is None:
            self.dom0.ensure_image()
        self._take_lock()
        self._forget_former_stack()
        self._say("Booting a dom0; meanwhile starting the Salt master and the panel.")
        with ThreadPoolExecutor(1) as pool:
            booting = pool.submit(self.dom0.start)
            try:
                self._start_stack()
            except BaseException:
                self.dom0.stop()  # so that nobody waits for it to be up
                raise
            booting.result()
        self.dom0.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "order", "-f", ORDER_KEY])
        self.dom0.start_minion(self.minion_settings())
        self._wait_for_minion()

    def _wait_for_minion(self) -> None:
        self._say("Waiting for the dom0's minion to fetch its modules.")
        self.stack.wait_for_dom0(MINION_ID, MINION_LIMIT_SECONDS)

    def _start_stack(self) -> None:
        self.stack.start()
        seed(self.stack.database, [])
        add_dom0(self.stack.database, LOCATION, self._dom0_entry)
        self.stack.start_panel(DOMUS_COMPANY_NAME="Domus lab")

    def stop(self) -> None:
        """End everything."""
        self.dom0.stop()
        if self._lock is not None:
            self.stack.stop()
            self._lock.close()
            self._lock = None

    def order(self, customer: Customer, hostname: str, *, template: str, show: Show) -> Ordered:
        """Order and pay at the panel, and wait until the order's key and its root password log in."""
        password = new_password()
        public_key = self.dom0.get(f"{ORDER_KEY}.pub").decode().strip()
        ids = {"location_id": self.id_of(Location, LOCATION), "template_id": self.id_of(OsTemplate, template)}
        started = time.monotonic()
        order_id = order_and_pay(
            customer, hostname=hostname, root_password=password, ssh_keys=public_key, **ids
        )
        status = follow(self.stack.database, order_id, show, seconds=ORDER_LIMIT_SECONDS)
        address = str(status["ipv4"])
        show(f"waiting for its sshd at {address}", 100)
        self.dom0.wait_for_guest(address, limit_seconds=SSHD_LIMIT_SECONDS)
        self._log_in(address, hostname, password)
        return Ordered(hostname, address, status, round(time.monotonic() - started, 1))

    def in_guest(self, vps: Ordered, *argv: str) -> str:
        """Run a command in a guest, logged in with the order's key; return what it said."""
        return self.dom0.ssh_to_guest(vps.address, argv, key_path=ORDER_KEY).stdout.strip()

    def domain_of(self, vps: Ordered) -> str | None:
        """Return Xen's number of a VPS's domain, which is another after each start; None while it is off."""
        found = self.dom0.run(["xl", "domid", vps.domu_name], check=False)
        return found.stdout.strip() if found.returncode == 0 else None

    def let_guest(self, vps: Ordered, verb: str) -> None:
        """Let a guest ``reboot`` or ``poweroff`` itself, a moment after this log-in has ended."""
        soon = ("--on-active=1s", "--timer-property=AccuracySec=100ms")
        self.in_guest(vps, "systemd-run", "--quiet", *soon, "systemctl", verb)

    def converge(self) -> dict[str, Any]:
        """Bring about on dom0 what is wanted, as an operator may at any time; return its report."""
        self.stack.wait_for_dom0(MINION_ID, MINION_LIMIT_SECONDS)
        try:
            report = self.stack.salt.call(MINION_ID, "dom0.converge", seconds=CALL_LIMIT_SECONDS)
        except StackError:  # Salt's bus may lose a call.
            report = self.stack.salt.call(MINION_ID, "dom0.converge", seconds=CALL_LIMIT_SECONDS)
        if not isinstance(report, dict):
            raise LabError(f"dom0.converge said: {report}")
        return report

    def id_of(self, kind: type[Location] | type[OsTemplate], name: str) -> int:
        """Return the id of a place or an operating system of the catalogue."""
        with self.stack.database.reading() as session:
            return session.scalars(sa.select(kind.id).where(kind.name == name)).one()

    def _log_in(self, address: str, hostname: str, password: str) -> None:
        """Log in with the key, see that it is the right guest, and log in with the password."""
        name = self.dom0.ssh_to_guest(address, ["hostname", "--fqdn"], key_path=ORDER_KEY).stdout.strip()
        if name != hostname:
            raise LabError(f"the guest at {address} calls itself {name!r}, not {hostname}")
        self.dom0.ssh_to_guest_by_password(address, ["true"], password=password)

    def _take_lock(self) -> None:
        """Be the only world of this lab: the next one begins by ending what it finds of the stack."""
        lock = (self._lab_dir / "stack.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise LabError(f"a story, a test or a benchmark uses {self._lab_dir} already") from None
        self._lock = lock

    def _forget_former_stack(self) -> None:
        """Begin with an empty database: the VPSs that a former one knows went with their dom0."""
        end_leftovers(self.stack.root / "processes")
        if self.stack.root.exists():
            shutil.rmtree(self.stack.root)

    def minion_settings(self) -> MinionSettings:
        """Return what the dom0's minion is told."""
        files = self.stack.minion_files(MINION_ID, master=HOST_AS_SEEN_FROM_DOM0)
        interval = [{"interval": BEACON_INTERVAL_SECONDS}]
        options = files.options | {"beacons": dict.fromkeys(files.options["beacons"], interval)}
        return MinionSettings(options, files.key.private, files.key.public, files.master_public_key)
