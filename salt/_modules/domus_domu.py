"""Look at and drive the domUs of this dom0: one driver interface over Xen, KVM or the simulation.

A domU is called by the uuid of its VPS or by its name. These functions act at once and on the
hypervisor alone; what is wanted for good stands in the database, and the next state run brings it back.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import domus_bring_up
import domus_door
import domus_host
import domus_report

if TYPE_CHECKING:
    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __context__: dict[str, Any]

__virtualname__ = "domu"
__func_alias__ = {"list_": "list"}


def __virtual__() -> str:
    return __virtualname__


def _dom0() -> domus_host.Dom0:
    return domus_host.open_dom0(__opts__, __pillar__, __context__)


def _described(dom0: domus_host.Dom0, domu: Any) -> dict[str, Any]:
    power, reason = domus_report.seen_power(dom0, domu.uuid, domu)
    return asdict(domu) | {"power": power, "power_reason": reason}


@domus_door.execution
def list_() -> list[dict[str, Any]]:
    """Return all domUs of this dom0, those that Domus does not know too.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.list
    """
    dom0 = _dom0()
    return [_described(dom0, domu) for domu in dom0.hypervisor.list()]


@domus_door.execution
def info(vps: str) -> dict[str, Any] | None:
    """Return what the hypervisor says about a domU, or None when it has no such domU.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.info vps-6f1b2c3d

    vps
        The uuid or the name.
    """
    dom0 = _dom0()
    domu = dom0.hypervisor.info(dom0.uuid(vps))
    return _described(dom0, domu) if domu else None


@domus_door.execution
def define(vps: str) -> dict[str, Any]:
    """Define a domU as the pillar of this dom0 says, and return what changed.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.define 6f1b2c3d-0000-4000-8000-000000000001

    vps
        The uuid or the name; the pillar has to have it, and its volumes have to be there.
    """
    dom0 = _dom0()
    spec = dom0.spec(dom0.uuid(vps))
    paths = domus_bring_up.find_disks(spec, dom0.storage)
    changes = dom0.hypervisor.outdated(spec, paths)
    dom0.hypervisor.define(spec, paths)
    return changes


@domus_door.execution
def start(vps: str) -> dict[str, Any]:
    """Start a domU and return what it is then.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.start vps-6f1b2c3d

    vps
        The uuid or the name.
    """
    return _after("start", vps)


@domus_door.execution
def shutdown(vps: str) -> dict[str, Any]:
    """Ask the guest to shut itself down; it may take its time, or not obey.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.shutdown vps-6f1b2c3d

    vps
        The uuid or the name.
    """
    return _after("shutdown", vps)


@domus_door.execution
def reboot(vps: str, hard: bool = False) -> dict[str, Any]:
    """Ask the guest to restart.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.reboot vps-6f1b2c3d hard=True

    vps
        The uuid or the name.
    hard
        Do not ask, pull the plug and start it again. Defaults to False.
    """
    return _after("reboot", vps, hard=hard)


@domus_door.execution
def destroy(vps: str) -> dict[str, Any]:
    """Pull the plug of a domU. Its definition and its disks stay.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.destroy vps-6f1b2c3d

    vps
        The uuid or the name.
    """
    return _after("destroy", vps)


@domus_door.execution
def undefine(vps: str) -> bool:
    """Forget the definition of a domU that does not run. Its disks stay.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.undefine 6f1b2c3d-0000-4000-8000-000000000001

    vps
        The uuid or the name.

    The answer is False when there was no such domU.
    """
    dom0 = _dom0()
    uuid = dom0.uuid(vps)
    was_there = dom0.hypervisor.info(uuid) is not None
    dom0.hypervisor.undefine(uuid)
    return was_there


@domus_door.execution
def console_tail(vps: str, lines: int = 50) -> list[str]:
    """Return the last lines that the guest wrote to its console, free of control characters.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.console_tail vps-6f1b2c3d lines=20

    vps
        The uuid or the name.
    lines
        How many lines, 1000 at most. Defaults to 50.
    """
    dom0 = _dom0()
    return dom0.hypervisor.console_tail(dom0.uuid(vps), int(lines))


@domus_door.execution
def set_memory(vps: str, memory_mib: int) -> str:
    """Change the memory of a domU; the answer says whether it holds ``live`` or at the ``next boot``.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.set_memory vps-6f1b2c3d 1024

    vps
        The uuid or the name.
    memory_mib
        The memory in MiB.
    """
    dom0 = _dom0()
    return dom0.hypervisor.set_memory(dom0.uuid(vps), domus_door.count("memory_mib", memory_mib, 32, 1 << 24))


@domus_door.execution
def set_vcpus(vps: str, vcpus: int) -> str:
    """Change the virtual CPUs of a domU; the answer says whether it holds ``live`` or at the ``next boot``.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domu.set_vcpus vps-6f1b2c3d 2

    vps
        The uuid or the name.
    vcpus
        The number of virtual CPUs.
    """
    dom0 = _dom0()
    return dom0.hypervisor.set_vcpus(dom0.uuid(vps), domus_door.count("vcpus", vcpus, 1, 512))


def _after(deed: str, vps: str, **arguments: Any) -> dict[str, Any]:
    """Do something to a domU and return what it is then."""
    dom0 = _dom0()
    uuid = dom0.uuid(vps)
    getattr(dom0.hypervisor, deed)(uuid, **arguments)
    domu = dom0.hypervisor.info(uuid)
    return _described(dom0, domu) if domu else {}
