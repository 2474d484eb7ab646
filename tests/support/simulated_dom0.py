"""The simulated world behind a minion, seen from the outside: for arranging and for looking."""

from pathlib import Path
from typing import Any

from domus_run import Runner
from domus_simulated import SimulatedHypervisor
from domus_simulated_storage import SimulatedStorage
from domus_spec import VpsSpec, volume_name
from domus_state_dir import StateDir


class Simulation:
    """Hypervisor and storage over a minion's state directory."""

    def __init__(self, root: Path, **simulated: int) -> None:
        self.state_dir = StateDir(root)
        options = {"simulated": {"memory_mib": 4096, "disk_mib": 100_000, "vcpus": 8} | simulated}
        self.hypervisor = SimulatedHypervisor(self.state_dir, options)
        self.storage = SimulatedStorage(self.state_dir, options, Runner())

    def install(self, entry: dict[str, Any], **job: Any) -> None:
        """Put volumes and the job of an installation there, by default one that is done."""
        spec = VpsSpec.parse(entry)
        for disk in spec.disks:
            self.storage.create(volume_name(spec, disk), disk.size_mib, uuid=spec.uuid)
        record = {
            "uuid": spec.uuid,
            "name": spec.name,
            "install_id": spec.os.install_id,
            "kind": "install",
            "state": "done",
            "step": None,
            "percent": 100,
            "error": None,
            "attempt": spec.os.attempt,
            "tries": 1,
            "steps": [
                {"name": "volumes", "title": "Making the volumes", "state": "done", "seconds": 0.1},
                {"name": "start", "title": "Starting the machine", "state": "done", "seconds": 0.2},
            ],
            "queued_at": "2026-11-20T11:58:00Z",
            "started_at": "2026-11-20T11:58:01Z",
            "finished_at": "2026-11-20T11:59:00Z",
            "log_tail": ["Making the volumes ...", "Starting the machine ..."],
        }
        self.state_dir.write("jobs", spec.uuid, record | job)

    def let_deadlines_pass(self) -> None:
        """Move the deadline of every guest that was asked to shut down into the past."""
        for uuid in self.state_dir.names("stopping"):
            note = self.state_dir.read("stopping", uuid) or {}
            self.state_dir.write("stopping", uuid, note | {"deadline": "2020-01-01T00:00:00Z"})
