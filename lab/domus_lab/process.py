"""The QEMU process of one dom0, with the folders that live as long as it does."""

import json
import shutil
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from domus_lab import qemu
from domus_lab.errors import LabError
from domus_lab.image import LabImage
from domus_lab.programs import find_program, last_lines, run
from domus_lab.ssh import SshConnection

VOLUME_DISK_GIB = 32


class QemuProcess:
    """A started machine: its process, its throw-away disks, its console log, the way in."""

    def __init__(self, image: LabImage, lab_dir: Path, dom0_mem_mib: int, *, boots_xen: bool = True) -> None:
        self._lab_dir = lab_dir
        runs = lab_dir / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        self._disks = Path(tempfile.mkdtemp(prefix="dom0-", dir=runs))
        # The path of a socket may have some 100 characters; the checkout's may have more.
        self._sockets = Path(tempfile.mkdtemp(prefix="domus-lab-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._hardware = qemu.Hardware(
            root_overlay=self._disks / "root.qcow2",
            volume_disk=self._disks / "volumes.img",
            console_log=self._disks / "console.log",
            monitor_socket=self._sockets / "qmp",
            ssh_port=qemu.free_port(),
            dom0_mem_mib=dom0_mem_mib,
            boots_xen=boots_xen,
        )
        self._boot_files = image.directory
        self.ssh = SshConnection(
            directory=self._sockets,
            port=self._hardware.ssh_port,
            private_key=image.private_key,
            host_key=image.host_key,
        )
        self._image = image

    @property
    def running(self) -> bool:
        """Whether QEMU was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the disks and start QEMU."""
        overlay = self._hardware.root_overlay
        run(
            [
                *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"),
                *("-b", str(self._image.root_disk), str(overlay)),
            ],
            timeout_seconds=60,
        )
        with self._hardware.volume_disk.open("wb") as disk:
            disk.truncate(VOLUME_DISK_GIB * 2**30)
        self.ssh.prepare()
        self._power_on()

    def wait_until_off(self, limit_seconds: float) -> None:
        """Wait until the machine has switched itself off; raise when it does not."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            said = self.last_words()
            raise LabError(
                f"the machine did not switch itself off within {limit_seconds:.0f} s\n{said}"
            ) from None

    def start_again(self, xen: bytes) -> None:
        """Start a machine that has switched itself off once more, with its disks, and with this hypervisor."""
        self.ssh.close()
        for name in ("vmlinuz", "initrd.img"):
            (self._disks / name).symlink_to(self._image.directory / name)
        (self._disks / "xen").write_bytes(xen)
        self._boot_files = self._disks
        self._hardware = replace(self._hardware, boots_xen=True)
        self._power_on()

    def _power_on(self) -> None:
        self._process = self._spawn()
        state = {"pid": self._process.pid, "ssh": self.ssh.argv(), "disks": str(self._disks)}
        (self._disks / "state.json").write_text(json.dumps(state) + "\n")

    def stop(self) -> None:
        """End QEMU at once; keep the console log, remove everything else."""
        self.ssh.close()
        if self._process is not None and self.running:
            try:
                qemu.quit_machine(self._hardware.monitor_socket)
                self._process.wait(timeout=20)
            except (LabError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()
        if self._hardware.console_log.exists():
            shutil.copyfile(self._hardware.console_log, self._lab_dir / "last-console.log")
        shutil.rmtree(self._disks, ignore_errors=True)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def last_words(self) -> str:
        """Return the end of what QEMU, Xen and dom0 printed, for an error message."""
        parts = []
        for name in ("qemu.log", "console.log"):
            path = self._disks / name
            if path.exists() and path.stat().st_size:
                parts.append(f"--- end of {name}\n{last_lines(path.read_bytes())}")
        return "\n".join(parts) or "QEMU and the console said nothing"

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start QEMU so that it dies with this process, whatever this process dies of.

        The kernel ties the death signal to the *thread* that started the child, so a thread of
        its own does it and stays until QEMU has ended.
        """
        argv = qemu.command(self._hardware)
        program = find_program(argv[0])
        if program is None:
            raise LabError(f"{argv[0]} is not installed")
        started: list[subprocess.Popen[bytes] | OSError] = []
        ready = threading.Event()

        def start_and_stay() -> None:
            with (self._disks / "qemu.log").open("wb") as log:
                try:
                    process = subprocess.Popen(
                        ["setpriv", "--pdeathsig", "KILL", "--", program, *argv[1:]],
                        cwd=self._boot_files,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                except OSError as error:
                    started.append(error)
                    ready.set()
                    return
            started.append(process)
            ready.set()
            process.wait()

        threading.Thread(target=start_and_stay, name="domus-lab-qemu", daemon=True).start()
        ready.wait()
        process = started[0]
        if isinstance(process, OSError):
            raise LabError(f"QEMU did not start: {process}")
        return process


def running_machines(lab_dir: Path) -> list[dict[str, object]]:
    """Return the state of each machine whose QEMU lives; clear away what dead ones left."""
    machines: list[dict[str, object]] = []
    for path in sorted((lab_dir / "runs").glob("dom0-*/state.json")):
        state: dict[str, object] = json.loads(path.read_text())
        if Path(f"/proc/{state['pid']}").exists():
            machines.append(state)
        else:
            shutil.rmtree(path.parent, ignore_errors=True)
    return machines
