"""This dom0 as a whole: what it has, how its VPSs are, and bringing about all that is wanted."""

import platform
from typing import TYPE_CHECKING, Any

import domus_dom0_states
import domus_door
import domus_host
import domus_lifecycle
import domus_power_watch
import domus_removal
import domus_report
import domus_seal
import domus_state_dir
import domus_vps_states
import domus_wishes
import salt.version
from domus_errors import NotValid
from domus_spec import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __context__: dict[str, Any]
    __salt__: dict[str, Callable[..., Any]]

__virtualname__ = "dom0"

CONVERGE_LOCK = "converge"
MAX_STATE_RUNS = 100


def __virtual__() -> str:
    return __virtualname__


def _dom0() -> domus_host.Dom0:
    return domus_host.open_dom0(__opts__, __pillar__, __context__)


@domus_door.execution
def ping() -> dict[str, Any]:
    """Return the versions of all that takes part, after the hypervisor answered.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.ping
    """
    dom0 = _dom0()
    return {
        "minion_id": __opts__["id"],
        "hypervisor": dom0.pillar.dom0.hypervisor,
        "schema_version": SCHEMA_VERSION,
        "salt": salt.version.__version__,
        "kernel": platform.release(),
        **dom0.hypervisor.versions(),
    }


@domus_door.execution
def report() -> dict[str, Any]:
    """Return what is there of each VPS that the pillar knows, and whether it is as wanted.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.report
    """
    dom0 = _dom0()
    return domus_seal.sealed(
        dom0.pillar.dom0.report_key, "report", domus_report.report(dom0, domus_door.now())
    )


@domus_door.execution
def console(vps: str, lines: int = 50) -> dict[str, Any]:
    """Return the last lines of a VPS's console, sealed, for the panel; people call ``domu.console_tail``.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.console 6f1b2c3d-0000-4000-8000-000000000000

    vps
        The VPS's uuid.

    lines
        How many lines. Defaults to 50.
    """
    dom0 = _dom0()
    tail = __salt__["domu.console_tail"](vps, lines)
    return domus_seal.sealed(dom0.pillar.dom0.report_key, "console", {"uuid": vps, "lines": tail})


@domus_door.execution
def capacity() -> dict[str, int]:
    """Return the memory, CPUs and disk space of this dom0, and what of it is free.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.capacity
    """
    return domus_report.capacity(_dom0())


@domus_door.execution
def converge(test: bool = False) -> dict[str, Any]:
    """Bring about all that the pillar wants here, and return the report.

    The pillar is read anew. Runs wait for one another; long work goes on after the run has ended.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.converge

    test
        Change nothing; the report then says in ``states`` how much would change. Defaults to False.
    """
    dom0 = _dom0()
    with dom0.state_dir.lock(CONVERGE_LOCK):
        # Salt's own queue knows state runs only by the name of the job, and this job is none. And with
        # a number it waits for other runs; with True it would put this one off and return at once.
        returned = __salt__["state.apply"]("vps", test=test, queue=MAX_STATE_RUNS)
    states = domus_report.require_states(returned)
    problems = {} if test else domus_report.run_problems(states, domus_vps_states.ID_PREFIX)
    found = domus_report.report(dom0, domus_door.now(), problems)
    whole = found | {"states": domus_report.run_counts(states)}
    return domus_seal.sealed(dom0.pillar.dom0.report_key, "run", whole)


@domus_door.execution
def vps_states() -> dict[str, Any]:
    """Return the states of all VPSs; the SLS ``vps`` is made of them.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.vps_states
    """
    state_dir = domus_state_dir.StateDir.from_options(__opts__)
    settled = domus_removal.settled_tokens(state_dir)
    return domus_vps_states.highstate(__pillar__.get(domus_host.PILLAR_KEY), settled, domus_door.now())


@domus_door.execution
def host_states() -> dict[str, Any]:
    """Return the states that make a working dom0 of a bare Debian; the SLS ``dom0`` is made of them.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.host_states
    """
    state_dir = domus_state_dir.StateDir.from_options(__opts__)
    return domus_dom0_states.highstate(__pillar__.get(domus_host.PILLAR_KEY), state_dir)


@domus_door.execution
def sealed(kind: str, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of a beacon with this dom0's seal on it.

    CLI Example:

    .. code-block:: bash

        salt-call dom0.sealed jobs '{"jobs": []}'

    kind
        What is said: ``jobs`` or ``power``.

    message
        The message.
    """
    if kind not in ("jobs", "power"):
        raise NotValid(f"kind is {kind!r}; allowed: jobs, power")
    return domus_seal.sealed(_dom0().pillar.dom0.report_key, kind, message)


@domus_door.execution
def power_changes() -> list[dict[str, Any]]:
    """Go on with guests that are shutting down, and return whose power changed since the last call.

    The beacon ``domus_power`` calls it. On a minion that is no dom0 the list is empty.

    CLI Example:

    .. code-block:: bash

        salt dom0-a dom0.power_changes
    """
    if not __pillar__.get(domus_host.PILLAR_KEY):
        return []
    dom0, now = _dom0(), domus_door.now()
    dom0.hypervisor.renew_shares()
    domus_lifecycle.finish_pending(dom0, now, lambda uuid: domus_wishes.wanted(dom0, uuid))
    return domus_power_watch.changes(dom0, now)
