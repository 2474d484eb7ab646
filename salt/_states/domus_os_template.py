"""Have operating systems installed on VPSs, and templates ready on this dom0.

.. code-block:: yaml

    debian-12:
      os_template.present

    vps-6f1b2c3d-installed:
      os_template.installed:
        - uuid: 6f1b2c3d-0000-4000-8000-000000000001

An installation takes minutes and goes on after the state has returned; its end is reported by the
beacon ``domus_jobs`` and makes its dom0 due again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import domus_door
from salt.exceptions import CommandExecutionError

if TYPE_CHECKING:
    __opts__: dict[str, Any]
    __salt__: dict[str, Callable[..., Any]]

__virtualname__ = "os_template"


def __virtual__() -> str | tuple[bool, str]:
    if "os_template.status" not in __salt__:
        return False, "the execution module os_template is missing"
    return __virtualname__


def installed(name: str, uuid: str) -> dict[str, Any]:
    """Have the operating system installed that the pillar wants for a VPS.

    While the installation is under way the result is true and the comment says how far it is. When it
    failed the result is false, until the pillar asks for it again by a new ``os:install_id`` or a
    higher ``os:attempt``.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-os:
          os_template.installed:
            - name: vps-6f1b2c3d
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001

    name
        Any name; it is not used.

    uuid
        The uuid of the VPS.

    Not reconciled: what the customer has changed in the guest since, such as its host name.
    """
    test = __opts__["test"]
    try:
        status = __salt__["os_template.status"](uuid)
        is_missing = status["state"] == "missing"
        if is_missing and test:
            would = "The operating system would be installed"
            return domus_door.state(name, would, _changes(uuid, status), test=True)
        job = status["job"]
        # An unfinished job is asked for again, as that wakes a worker that was killed.
        if is_missing or (status["state"] in ("queued", "running") and not test):
            job = __salt__["os_template.install"](uuid)
    except CommandExecutionError as error:
        return domus_door.state(name, str(error), {}, test=test, failed=True)
    changes = _changes(uuid, status) if is_missing else {}
    failed = job["state"] == "failed"
    return domus_door.state(name, _standing(job), changes, test=test, failed=failed)


def present(name: str) -> dict[str, Any]:
    """Have a template ready on this dom0; one of method image is built when it is missing.

    .. code-block:: yaml

        debian-12:
          os_template.present

    name
        The name of the template.

    Not reconciled: templates of former versions stay.
    """
    test = __opts__["test"]
    try:
        template = __salt__["os_template.info"](name)
        if template is None:
            absent = f"The pillar of this dom0 names no template {name}"
            return domus_door.state(name, absent, {}, test=test, failed=True)
        if template["state"] == "ready":
            return domus_door.state(name, f"The template {name} is ready", {}, test=test)
        changes = {name: {"old": template["state"], "new": "ready"}}
        if test:
            return domus_door.state(name, f"The template {name} would be built", changes, test=True)
        __salt__["os_template.build"](name)
    except CommandExecutionError as error:
        return domus_door.state(name, str(error), {}, test=test, failed=True)
    return domus_door.state(name, f"The template {name} was built", changes, test=False)


def _changes(vps: str, status: dict[str, Any]) -> dict[str, Any]:
    job = status["job"]
    old = None if job is None else f"{job['state']} {job['install_id']}"
    return {vps: {"old": old, "new": f"queued {status['install_id']}"}}


def _standing(job: dict[str, Any]) -> str:
    """Return how a job stands, in words."""
    if job["state"] == "failed":
        return f"The installation failed: {job['error']}"
    if job["state"] == "done":
        return "The operating system is installed"
    return f"installing: {job['step'] or job['state']} {job['percent']} %"
