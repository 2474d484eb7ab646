"""The worker's part of a removal: overwrite the volumes of a VPS, then give them back.

It can begin anew at any point: how far each volume is overwritten stands in the job, and nothing is given
back that is not overwritten to its end. It goes on only as long as the very tombstone that asked for it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domus_errors import Refused
from domus_interfaces import Storage, Volume
from domus_job import Progress, Step
from domus_logged_run import LoggedRunner
from domus_request import readable
from domus_spec import Dom0Spec
from domus_state_dir import StateDir
from domus_storage import open_storage

PLAN = (
    Step("wipe", "Overwriting the volumes", 98),
    Step("remove", "Giving the volumes back", 2),
)


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """One removal."""

    uuid: str
    token: str
    dom0: Dom0Spec
    options: Mapping[str, Any]
    state_dir: StateDir

    @classmethod
    def parse(cls, value: Mapping[str, Any] | None, state_dir: StateDir) -> "RemovalRequest":
        """Read a request file."""
        value = readable(value, gone="The request of this removal is gone; the next run asks for it again")
        return cls(
            uuid=value["vps"]["uuid"],
            token=value["token"],
            dom0=Dom0Spec.parse(value["dom0"]),
            options=value.get("options") or {},
            state_dir=state_dir,
        )

    @property
    def is_simulated(self) -> bool:
        """Say whether there is no real disk to overwrite."""
        return self.dom0.backend == "simulated"

    def require_tombstone(self) -> None:
        """Refuse to go on unless the newest wish still is that the VPS be removed by this tombstone."""
        newest = self.state_dir.read("wanted", self.uuid) or {}
        tombstone = newest.get("tombstone") or {}
        if newest.get("wanted") != "absent" or tombstone.get("token") != self.token:
            raise Refused("The removal was taken back; what was overwritten until then is lost")


def remove_volumes(request: RemovalRequest, progress: Progress) -> None:
    """Overwrite what bears the tag of the VPS, from where an earlier try came to, and remove it."""
    request.require_tombstone()
    storage = open_storage(request.dom0, request.state_dir, request.options, LoggedRunner(progress.log))
    volumes = [volume for volume in storage.list() if volume.tag_owner == request.uuid]
    with progress.step("wipe"):
        _wipe(request, progress, storage, volumes)
    with progress.step("remove"):
        request.require_tombstone()
        for volume in volumes:
            storage.remove(volume.name, uuid=request.uuid, wiped=True)


def _wipe(request: RemovalRequest, progress: Progress, storage: Storage, volumes: list[Volume]) -> None:
    wiped: dict[str, int] = progress.job["wiped_mib"]
    total_mib = sum(storage.to_wipe_mib(volume) for volume in volumes)
    before_mib = 0
    for volume in volumes:
        size_mib = storage.to_wipe_mib(volume)
        if size_mib == 0:
            continue
        for done_mib in storage.wipe(volume.name, uuid=request.uuid, from_mib=wiped.get(volume.name, 0)):
            wiped[volume.name] = done_mib
            progress.fraction((before_mib + done_mib) / total_mib)
            progress.save()
            request.require_tombstone()
        before_mib += size_mib
