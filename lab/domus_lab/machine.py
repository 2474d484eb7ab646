"""One running dom0: start it, work in it, measure it, end it."""

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from domus_lab import facts as lab_facts
from domus_lab import qemu
from domus_lab.errors import LabError
from domus_lab.image import LabImage, ensure_image, lab_directory
from domus_lab.minion import MinionSettings
from domus_lab.process import QemuProcess
from domus_lab.programs import TO_BOOT, require_programs
from domus_lab.ssh import Result, SshConnection

VOLUME_DISK = "/dev/vdb"
VOLUME_GROUP = "xenvg"
THIN_POOL = "domus-thin"
THIN_POOL_GIB = 12
BOOT_LIMIT_SECONDS = 240
# An attempt that hangs is given up soon: QEMU answers for a dom0 that does not listen yet.
CONNECT_TIMEOUT_SECONDS = 5

# Runs in dom0: polls there until a service of a guest says something, because each look from here
# would cost dom0 the start of a program.
GUEST_WAIT = """
import socket, sys, time
address, port, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
until = time.monotonic() + limit
while time.monotonic() < until:
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            connection.settimeout(10)
            banner = connection.recv(64)
    except OSError:
        time.sleep(0.2)
        continue
    if banner:
        sys.stdout.write(banner.decode("ascii", "replace"))
        sys.exit(0)
sys.exit(1)
"""


class LabMachine:
    """A dom0 in QEMU, bound to loopback; its disks vanish with it.

    Use it as a context manager, or call `start` and `stop`. It cannot outlive its process.
    """

    def __init__(
        self,
        *,
        dom0_mem_mib: int = 1024,
        image: LabImage | None = None,
        lab_dir: Path | None = None,
        boot_limit_seconds: float = BOOT_LIMIT_SECONDS,
        say: Callable[[str], None] = print,
    ) -> None:
        if not 256 <= dom0_mem_mib <= qemu.MACHINE_MEMORY_MIB - 512:
            raise LabError(
                f"dom0_mem_mib is {dom0_mem_mib}; allowed is 256 to {qemu.MACHINE_MEMORY_MIB - 512}"
            )
        self.lab_dir = lab_dir or lab_directory()
        self.dom0_mem_mib = dom0_mem_mib
        self.boot_limit_seconds = boot_limit_seconds
        self.boot_seconds: float | None = None
        self._say = say
        self._image = image
        self._process: QemuProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def process(self) -> QemuProcess:
        """The QEMU process."""
        if self._process is None:
            raise LabError("the lab's dom0 does not run: call start() first")
        return self._process

    @property
    def ssh(self) -> SshConnection:
        """The connection into dom0."""
        return self.process.ssh

    def start(self) -> None:
        """Boot, wait until dom0 is ready for guests; end the machine again when that fails."""
        require_programs(TO_BOOT)
        image = self._image or self.ensure_image()
        started = time.monotonic()
        try:
            self._process = self._machine(image)
            self._process.start()
            self._wait_for_sshd()
            self._prepare()
        except BaseException:
            self.stop()
            raise
        ready = time.monotonic() - started
        self._say(f"lab: dom0 answered ssh after {self.boot_seconds} s, ready after {ready:.1f} s")

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout_seconds: float = 180,
        check: bool = True,
    ) -> Result:
        """Run a command as root in dom0."""
        return self.ssh.run(argv, stdin=stdin, timeout_seconds=timeout_seconds, check=check)

    def put(self, content: bytes, path: str, *, mode: int = 0o644) -> None:
        """Write a file in dom0, with the folders above it."""
        self.ssh.put(content, path, mode=mode)

    def get(self, path: str) -> bytes:
        """Return the content of a file in dom0."""
        return self.ssh.get(path)

    def put_tree(self, source: Path, target: str, *, without: Sequence[str] = ()) -> None:
        """Replace a folder in dom0 by a copy of a local one."""
        self.ssh.put_tree(source, target, without=without)

    def start_minion(self, settings: MinionSettings) -> None:
        """Configure the Salt minion and start its unit."""
        for path, (mode, content) in settings.files().items():
            self.put(content, path, mode=mode)
        self.run(["systemctl", "restart", "salt-minion.service"])

    def wait_for(self, what: str, condition: Callable[[], object], *, limit_seconds: float = 180) -> float:
        """Poll until the condition holds and return the seconds; raise naming what never came."""
        started = time.monotonic()
        while not condition():
            if not self.process.running:
                raise LabError(f"QEMU ended while waiting for {what}\n{self.process.last_words()}")
            if time.monotonic() - started > limit_seconds:
                raise LabError(f"waited {limit_seconds:.0f} s for {what}\n{self.process.last_words()}")
            time.sleep(0.5)
        return round(time.monotonic() - started, 1)

    def wait_for_guest(self, address: str, port: int = 22, *, limit_seconds: float = 300) -> str:
        """Wait until a service of a guest greets dom0, and return its greeting."""
        said = self.run(
            ["python3", "-c", GUEST_WAIT, address, str(port), str(limit_seconds)],
            timeout_seconds=limit_seconds + 60,
            check=False,
        )
        if said.returncode != 0:
            raise LabError(
                f"waited {limit_seconds:.0f} s for port {port} of the guest {address}\n{self.guests_last_words()}"
            )
        return said.stdout

    def guests_last_words(self) -> str:
        """Return what runs, and the ends of the guests' console logs, for an error message."""
        logs = self.run(["find", "/var/log/xen/console", "-name", "guest-*.log"]).stdout.split()
        consoles = self.run(["tail", "-n", "25", *logs]).stdout if logs else "no guest wrote to its console"
        return f"{self.run(['xl', 'list']).stdout}\n{consoles}"

    def ssh_to_guest(
        self, address: str, argv: Sequence[str], *, key_path: str, timeout_seconds: float = 120
    ) -> Result:
        """Run a command in a guest from dom0, with a private key that lies in dom0."""
        return self.run(
            [*_guest_ssh(address), "-o", "BatchMode=yes", "-i", key_path, "--", shlex.join(argv)],
            timeout_seconds=timeout_seconds,
        )

    def ssh_to_guest_by_password(
        self, address: str, argv: Sequence[str], *, password: str, timeout_seconds: float = 120
    ) -> Result:
        """Run a command in a guest from dom0 with root's password, which travels by stdin."""
        return self.run(
            ["sshpass", *_guest_ssh(address), "-o", "PubkeyAuthentication=no", "--", shlex.join(argv)],
            stdin=password.encode() + b"\n",
            timeout_seconds=timeout_seconds,
        )

    def facts(self) -> lab_facts.LabFacts:
        """Measure the running dom0."""
        info = lab_facts.parse_xl_info(self.run(["xl", "info"]).stdout)
        memory = lab_facts.parse_meminfo(self.get("/proc/meminfo").decode())
        pss = self.run(["python3", "-"], stdin=lab_facts.PSS_SCRIPT.encode()).stdout
        return lab_facts.LabFacts(
            xen_version=info["xen_version"],
            kernel=info["release"],
            dom0_memory_mib=lab_facts.parse_xl_memory(self.run(["xl", "list", "0"]).stdout),
            dom0_available_mib=memory["MemAvailable"],
            process_pss_mib=lab_facts.parse_pss(pss),
            boot_seconds=self.boot_seconds,
        )

    def stop(self) -> None:
        """End the machine at once and remove its disks; safe to call twice."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    # What another image does in its own way

    def ensure_image(self) -> LabImage:
        """Return the image that it boots; build it if it is not there."""
        return ensure_image(self.lab_dir, say=self._say)

    def _machine(self, image: LabImage) -> QemuProcess:
        return QemuProcess(image, self.lab_dir, self.dom0_mem_mib)

    def _prepare(self) -> None:
        """Do what is to be done once sshd answers."""
        self._wait_for_services()
        self.run(["virsh", "--connect", "xen:///system", "list", "--all"])
        self._make_volume_group()
        self._freshen_package_lists()

    # How

    def _wait_for_sshd(self) -> None:
        self.boot_seconds = self.wait_for(
            "dom0's sshd", self._sshd_answers, limit_seconds=self.boot_limit_seconds
        )

    def _sshd_answers(self) -> bool:
        try:
            self.ssh.run(["true"], connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS)
        except LabError:
            return False
        return True

    def _wait_for_services(self) -> None:
        """Wait until dom0 has started all units, and say which of them failed."""
        state = self.run(["systemctl", "is-system-running", "--wait"], check=False).stdout.strip()
        if state != "running":
            failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"]).stdout.strip()
            raise LabError(f"dom0's services are {state or 'in no known state'}: {failed}")

    def _make_volume_group(self) -> None:
        self.run(["vgcreate", VOLUME_GROUP, VOLUME_DISK])
        size = f"{THIN_POOL_GIB}G"
        self.run(["lvcreate", "--type", "thin-pool", "--size", size, "--name", THIN_POOL, VOLUME_GROUP])

    def _freshen_package_lists(self) -> None:
        """Let the cached package lists count as today's, however old the image is by now."""
        self.run(["find", "/var/lib/domus/cache", "-name", "lists.json", "-exec", "touch", "{}", "+"])


def _guest_ssh(address: str) -> list[str]:
    """Return ssh's words for a login to a fresh guest, whose host key nobody knows yet."""
    return [
        *("ssh", "-F", "none", "-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-l", "root", address),
    ]
