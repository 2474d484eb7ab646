"""Opens the hypervisor that the pillar of a dom0 names."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from domus_interfaces import LIVE, NEXT_BOOT, DomuInfo, Hypervisor, NodeCapacity
from domus_libvirt import LibvirtHypervisor
from domus_run import Runner
from domus_simulated import SimulatedHypervisor
from domus_spec import Dom0Spec
from domus_state_dir import StateDir

__all__ = ["LIVE", "NEXT_BOOT", "DomuInfo", "Hypervisor", "NodeCapacity", "open_hypervisor"]


def open_hypervisor(
    dom0: Dom0Spec,
    state_dir: StateDir,
    options: Mapping[str, Any],
    runner: Runner,
    context: MutableMapping[str, Any] | None = None,
) -> Hypervisor:
    """Return the hypervisor of a dom0; ``options`` is ``domus`` in the minion configuration.

    A connection is kept in ``context``, as in Salt's ``__context__``, and used again from there.
    """
    if dom0.hypervisor == "simulated":
        return SimulatedHypervisor(state_dir, options)
    return LibvirtHypervisor(dom0.hypervisor, options, runner, {} if context is None else context)
