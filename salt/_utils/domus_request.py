"""What an installation is asked to do: the parsed request of a job, and the plan of its steps."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from domus_errors import NotValid
from domus_job import INSTALL, REMOVE, JobStore, Step
from domus_spec import Dom0Spec, TemplateSpec, VpsSpec
from domus_state_dir import StateDir

SCHEMA_VERSION = 1
VOLUMES = Step("volumes", "Making the volumes", 4)
FINISH = (
    Step("customise", "Setting up host name, network and access", 6),
    Step("seal", "Writing everything to the disk", 6),
    Step("define", "Defining the machine", 4),
    Step("start", "Starting the machine", 10),
)


def readable(value: Mapping[str, Any] | None, *, gone: str) -> Mapping[str, Any]:
    """Return the content of a request file; raise NotValid when it is not there or was written by another release."""
    if value is None:
        raise NotValid(gone)
    version = value.get("schema_version")
    if version != SCHEMA_VERSION:
        raise NotValid(f"The request has schema_version {version!r}; allowed: {SCHEMA_VERSION}")
    return value


@dataclass(frozen=True, slots=True)
class Request:
    """One installation."""

    vps: VpsSpec
    dom0: Dom0Spec
    template: TemplateSpec
    options: Mapping[str, Any]
    state_dir: StateDir

    @classmethod
    def parse(cls, value: Mapping[str, Any] | None, state_dir: StateDir) -> "Request":
        """Read a request file."""
        value = readable(value, gone="The request of this installation is gone; ask for it again")
        return cls(
            VpsSpec.parse(value["vps"]),
            Dom0Spec.parse(value["dom0"]),
            TemplateSpec.parse(value["template"]),
            value.get("options") or {},
            state_dir,
        )

    @property
    def is_simulated(self) -> bool:
        """Say whether there is no real disk to install on."""
        return self.dom0.backend == "simulated"


def plan(template: TemplateSpec, *, template_ready: bool) -> list[Step]:
    """Return the steps of an installation; the weights are about the seconds that each takes."""
    if template.method == "bootstrap":
        return [
            VOLUMES,
            Step("filesystem", "Making the file systems", 2),
            Step("bootstrap", "Installing the packages", 100),
            *FINISH,
        ]
    waiting = Step("template", "Waiting for the template", 1 if template_ready else 200)
    return [
        waiting,
        VOLUMES,
        Step("unpack", "Copying the template", 20),
        Step("filesystem", "Making the file systems", 4),
        *FINISH,
    ]


def secrets(store: JobStore, uuid: str) -> Collection[str]:
    """Return what must not stand in the log of a job."""
    request = store.request(uuid) or {}
    password_hash = request.get("vps", {}).get("os", {}).get("root_password_hash")
    return [password_hash] if password_hash else []


def limit(store: JobStore, uuid: str, kind: str = INSTALL) -> int:
    """Return how many jobs of a kind may run side by side, as the newest word of the pillar is.

    Removals overwrite whole disks and are in no hurry, so it is one at a time; installations do not wait for it.
    """
    if kind == REMOVE:
        return 1
    request = store.request(uuid) or {}
    return int(request.get("dom0", {}).get("max_parallel_installs", 1))
