"""The installation of a simulated VPS: the same steps, and a folder that stands for the guest.

What is written into a real guest is written there too, by the same code, so that it can be looked
at. There are no packages and no host keys: those need programs, and a hundred simulated
installations at once have to be cheap.
"""

import select
from datetime import date
from pathlib import Path

from domus_customise import Identity, clean, customise
from domus_faults import Faults
from domus_guest_root import GuestRoot
from domus_job import Progress, utc_now
from domus_request import Request
from domus_run import Runner
from domus_spec import volume_name
from domus_storage import open_storage

DEFAULT_INSTALL_SECONDS = 2.0
PARTS = 10
MARKER = "installed"


class SimulatedDisk:
    """The disk of a simulated VPS: ``<state_dir>/simulated/guests/<uuid>/``."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self._request = request
        self._progress = progress
        self._folder = request.state_dir.simulated / "guests" / request.vps.uuid
        self._marker = self._folder / MARKER
        simulated = request.options.get("simulated") or {}
        self._seconds = float(simulated.get("install_seconds", DEFAULT_INSTALL_SECONDS))

    def installed_id(self) -> str | None:
        """Return the installation that the folder bears entirely."""
        try:
            return self._marker.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def write(self) -> None:
        """Go through the steps of the plan."""
        vps = self._request.vps
        self._marker.unlink(missing_ok=True)
        names = [step["name"] for step in self._progress.job["steps"]]
        slow = "bootstrap" if "bootstrap" in names else "unpack"
        for name in names[: names.index("define")]:
            with self._progress.step(name):
                if name == "volumes":
                    self._make_volumes()
                elif name == slow:
                    Faults(self._request.state_dir).meet("install", vps.uuid)
                    self._take_time()
                elif name == "customise":
                    self._customise(utc_now().date())
                elif name == "seal":
                    self._marker.write_text(vps.os.install_id, encoding="utf-8")

    def _make_volumes(self) -> None:
        request = self._request
        storage = open_storage(request.dom0, request.state_dir, request.options, Runner())
        for disk in request.vps.disks:
            name = volume_name(request.vps, disk)
            storage.create(name, disk.size_mib, uuid=request.vps.uuid)

    def _take_time(self) -> None:
        for part in range(PARTS):
            self._progress.fraction(part / PARTS)
            if self._seconds > 0:
                select.select([], [], [], self._seconds / PARTS)
        self._progress.fraction(1.0)

    def _customise(self, today: date) -> None:
        root_path = self._folder / "root"
        root_path.mkdir(parents=True, exist_ok=True)
        _write_base(root_path)
        with GuestRoot(root_path) as root:
            clean(root)
            customise(
                root,
                self._request.vps,
                Identity.fresh({}),
                hypervisor=self._request.dom0.hypervisor,
                sources=[],
                today=today,
            )


def _write_base(path: Path) -> None:
    with GuestRoot(path) as root:
        root.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        root.write("/etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640)
