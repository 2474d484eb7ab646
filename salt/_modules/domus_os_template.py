"""Install operating systems for VPSs on this dom0, and keep the templates for it.

An installation is a job: `install` only queues it, and a worker apart from the minion does it. Ask
`progress` and `log` how it stands; the beacon ``domus_jobs`` reports every change.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import domus_door
import domus_job_changes
import domus_os_jobs
import domus_state_dir

if TYPE_CHECKING:
    __context__: dict[str, Any]
    __opts__: dict[str, Any]
    __pillar__: Mapping[str, Any]

__virtualname__ = "os_template"
__func_alias__ = {"list_": "list"}

# What was told last lasts as long as the loaded modules do.
WATCHER = "domus.job_watcher"


def __virtual__() -> str:
    return __virtualname__


@domus_door.execution
def list_() -> list[dict[str, Any]]:
    """Return the templates that this dom0's pillar names, and how each stands here.

    ``state`` is ready, building or missing. A template of method bootstrap is always ready.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.list
    """
    return _desk().templates()


@domus_door.execution
def info(name: str) -> dict[str, Any] | None:
    """Return one template of this dom0's pillar, or None.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.info debian-12

    name
        The name of the template.
    """
    return next((t for t in _desk().templates() if t["name"] == name), None)


@domus_door.execution
def build(name: str) -> dict[str, Any]:
    """Build a template of method image unless it is ready, and return it as `info` does.

    This takes as long as a bootstrap. An installation that needs the template builds it by itself.

    CLI Example:

    .. code-block:: bash

        salt --timeout=3600 dom0-a os_template.build debian-12

    name
        The name of the template.
    """
    return _desk().build(name)


@domus_door.execution
def install(uuid: str, replace: bool = False) -> dict[str, Any]:
    """Queue the installation that the pillar wants for a VPS, and return its job at once.

    Nothing is queued when this installation is done, under way, or failed and not asked for again
    by a higher ``os:attempt``.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.install 6f1b2c3d-0000-4000-8000-000000000001

    uuid
        The VPS.

    replace
        Allow overwriting volumes that are there already although no record on this dom0 says that
        they may be. **What is on them is lost.** Defaults to ``False``.
    """
    return _desk().install(uuid, replace=replace)


@domus_door.execution
def status(uuid: str) -> dict[str, Any]:
    """Return how the installation that the pillar wants for a VPS stands.

    ``state`` is missing (it has to be queued), queued, running, done or failed; ``job`` is the job
    that is on record, or None.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.status 6f1b2c3d-0000-4000-8000-000000000001

    uuid
        The VPS.
    """
    return _desk().status(uuid)


@domus_door.execution
def progress(uuid: str) -> dict[str, Any] | None:
    """Return the newest installation job of a VPS, or None.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.progress 6f1b2c3d-0000-4000-8000-000000000001

    uuid
        The VPS.
    """
    return _desk().progress(uuid)


@domus_door.execution
def log(uuid: str, lines: int = 40) -> list[str]:
    """Return the last lines of the log of a VPS's installation.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.log 6f1b2c3d-0000-4000-8000-000000000001 lines=200

    uuid
        The VPS.

    lines
        How many lines. Defaults to ``40``.
    """
    return _desk().log(uuid, lines)


@domus_door.execution
def job_changes() -> list[list[dict[str, Any]]]:
    """Return the installations that changed since the last call, twenty at most in a portion.

    The beacon ``domus_jobs`` calls it. The first call after a start of the minion repeats what is under way
    and what ended within the last hour.

    CLI Example:

    .. code-block:: bash

        salt dom0-a os_template.job_changes
    """
    if WATCHER not in __context__:
        state_dir = domus_state_dir.StateDir.from_options(__opts__)
        __context__[WATCHER] = domus_job_changes.Watcher(state_dir)
    return list(__context__[WATCHER].changed())


def _desk() -> domus_os_jobs.Desk:
    return domus_os_jobs.Desk(__opts__, __pillar__)
