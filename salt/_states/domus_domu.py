"""States of VPSs as domUs. What is wanted stands in the pillar ``domus``; a state names the VPS only.

They never wait for a guest or for an installation: what is under way is said in the comment, and a
later run, or the beacon, goes on with it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import domus_bring_up
import domus_door
import domus_host
import domus_lifecycle
import domus_removal
import domus_state_dir
import domus_vps_notes
import domus_wishes
from domus_errors import DomusError, NotValid

if TYPE_CHECKING:
    from domus_host import Dom0
    from domus_lifecycle import Outcome
    from domus_spec import VpsSpec

    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __context__: dict[str, Any]
    __salt__: dict[str, Callable[..., Any]]

__virtualname__ = "domu"


def __virtual__() -> str | tuple[bool, str]:
    if "domu.info" not in __salt__:
        return False, "the execution module domu is missing"
    return __virtualname__


def running(name: str, uuid: str) -> dict[str, Any]:
    """Let a VPS run as the pillar says, once its operating system is installed.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-power:
          domu.running:
            - name: vps-6f1b2c3d
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001

    Its definition is brought up to date, and reboots that were asked for are done.

    Not reconciled: a running guest's disks, cards and growth beyond what it was started with; they hold
    from its next start on.
    """
    return _settled(name, uuid, "running")


def stopped(name: str, uuid: str) -> dict[str, Any]:
    """Let a VPS be down, gracefully or hard as the pillar says.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-power:
          domu.stopped:
            - name: vps-6f1b2c3d
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001

    Not reconciled: nothing; a guest that takes its time has until the deadline in the comment.
    """
    return _settled(name, uuid, "stopped")


def present(name: str, uuid: str) -> dict[str, Any]:
    """Have a VPS defined as the pillar says, whether it runs or not.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-definition:
          domu.present:
            - name: vps-6f1b2c3d
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001

    Not reconciled: power.
    """

    def act(dom0: "Dom0", spec: "VpsSpec", test: bool) -> "Outcome":
        paths = domus_bring_up.find_disks(spec, dom0.storage)
        changes = dom0.hypervisor.outdated(spec, paths)
        if not test:
            dom0.hypervisor.define(spec, paths)
        would = "would be" if test and changes else "is"
        return domus_lifecycle.Outcome(f"{spec.name} {would} defined", changes)

    return _about_vps(name, uuid, act)


def absent(name: str, uuid: str, held_back: str | None = None) -> dict[str, Any]:
    """Remove a VPS with its volumes, if the pillar has a tombstone for it that is due.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-absent:
          domu.absent:
            - name: vps-6f1b2c3d
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001

    held_back
        Why it is not to be removed in this run; the state fails with it. Defaults to nothing.

    Not reconciled: volumes without the tag of this uuid, whatever their names.
    """

    def act(dom0: "Dom0", spec: "VpsSpec", test: bool) -> "Outcome":
        if held_back:
            return domus_lifecycle.Outcome(held_back, failed=True)
        return domus_removal.remove(dom0, spec, domus_door.now(), test=test)

    return _about_vps(name, uuid, act)


def noted(name: str) -> dict[str, Any]:
    """Have the newest wish about each VPS on record, for what works outside of state runs.

    .. code-block:: yaml

        domus-vps-notes:
          domu.noted:
            - name: what is wanted of the VPSs

    Not reconciled: VPSs that the pillar does not have; nothing follows from that.
    """
    test = bool(__opts__["test"])
    try:
        dom0 = domus_host.open_dom0(__opts__, __pillar__, __context__)
        changes = domus_wishes.note(dom0, __pillar__[domus_host.PILLAR_KEY], test=test)
    except DomusError as error:
        return domus_door.state(name, str(error), {}, test=test, failed=True)
    would = "would be" if test and changes else "are"
    return domus_door.state(name, f"The wishes {would} on record", changes, test=test)


def invalid(name: str, problem: str, uuid: str | None = None) -> dict[str, Any]:
    """Fail for an entry of the pillar that is not valid, and leave everything as it is.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-pillar:
          domu.invalid:
            - name: 6f1b2c3d-0000-4000-8000-000000000001
            - problem: vps.memory_mib is missing

    problem
        What is wrong with it.
    uuid
        The VPS, if the entry has a uuid for its key; the report shows the problem then.

    Not reconciled: nothing.
    """
    if uuid and not __opts__["test"]:
        state_dir = domus_state_dir.StateDir.from_options(__opts__)
        domus_vps_notes.VpsNotes(state_dir, uuid).keep(problem=problem)
    return domus_door.state(name, problem, {}, test=False, failed=True)


def _settled(name: str, uuid: str, wanted: str) -> dict[str, Any]:
    def act(dom0: "Dom0", spec: "VpsSpec", test: bool) -> "Outcome":
        if spec.wanted != wanted:
            raise NotValid(f"The pillar wants {spec.name} {spec.wanted}; this state is for {wanted}")
        return domus_lifecycle.settle(dom0, spec, domus_door.now(), test=test)

    return _about_vps(name, uuid, act)


def _about_vps(name: str, uuid: str, act: "Callable[[Dom0, VpsSpec, bool], Outcome]") -> dict[str, Any]:
    """Do something about a VPS and turn what came of it into a state's answer and a note."""
    test = bool(__opts__["test"])
    try:
        dom0 = domus_host.open_dom0(__opts__, __pillar__, __context__)
        outcome = act(dom0, dom0.spec(uuid), test)
    except DomusError as error:
        outcome = domus_lifecycle.Outcome(str(error), failed=True)
    if not test:
        _note_problem(uuid, outcome)
    return domus_door.state(name, outcome.comment, outcome.changes, test=test, failed=outcome.failed)


def _note_problem(uuid: str, outcome: "Outcome") -> None:
    """Remember why a VPS is not as wanted; nothing is noted about one that is gone."""
    state_dir = domus_state_dir.StateDir.from_options(__opts__)
    notes = domus_vps_notes.VpsNotes(state_dir, uuid)
    if outcome.failed or notes.problem:
        notes.keep(problem=outcome.comment if outcome.failed else None)
