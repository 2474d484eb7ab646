"""A machine with nothing but Debian on it, which reboots into the Xen that it has installed meanwhile."""

import gzip
from typing import Any

from domus_lab.archive import ArchiveServer
from domus_lab.bare import ensure_bare_image
from domus_lab.image import LabImage
from domus_lab.machine import VOLUME_DISK, LabMachine
from domus_lab.minion import MinionSettings
from domus_lab.process import QemuProcess
from domus_lab.rootfs import DEBIAN_RELEASE

POWER_OFF_LIMIT_SECONDS = 300


class BareMachine(LabMachine):
    """A Debian that knows one package archive; see `LabMachine`."""

    def __init__(self, archive: ArchiveServer, **wishes: Any) -> None:
        super().__init__(**wishes)
        self._archive = archive

    def ensure_image(self) -> LabImage:
        """Return the image of the bare Debian; build it if it is not there."""
        return ensure_bare_image(self.lab_dir, say=self._say)

    def reboot_into_xen(self) -> None:
        """Shut down, and boot with the hypervisor that lies in its own /boot."""
        names = self.run(["sh", "-c", "ls /boot/xen-*-amd64.gz"]).stdout.split()
        xen = gzip.decompress(self.get(names[-1]))
        self.run(["systemd-run", "--quiet", "--on-active=1s", "systemctl", "poweroff"])
        self.process.wait_until_off(POWER_OFF_LIMIT_SECONDS)
        self.process.start_again(xen)
        self._wait_for_sshd()
        self._wait_for_services()

    def start_minion(self, settings: MinionSettings) -> None:
        """Configure the Salt minion and start its unit, now and at each boot."""
        super().start_minion(settings)
        self.run(["systemctl", "enable", "--quiet", "salt-minion.service"])

    def make_volume_group(self, name: str) -> None:
        """Make a volume group of the machine's second disk, as its operator does."""
        self.run(["vgcreate", name, VOLUME_DISK])

    def _machine(self, image: LabImage) -> QemuProcess:
        return QemuProcess(image, self.lab_dir, self.dom0_mem_mib, boots_xen=False)

    def _prepare(self) -> None:
        self._wait_for_services()
        line = f"deb {self._archive.url} {DEBIAN_RELEASE} main\n"
        self.put(line.encode(), "/etc/apt/sources.list")
