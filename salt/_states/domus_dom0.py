"""States of a dom0 itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import domus_door
import domus_host
from domus_errors import DomusError, ToolMissing

if TYPE_CHECKING:
    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __salt__: dict[str, Callable[..., Any]]

__virtualname__ = "dom0"


def __virtual__() -> str | tuple[bool, str]:
    if "dom0.capacity" not in __salt__:
        return False, "the execution module dom0 is missing"
    return __virtualname__


def storage_ready(name: str) -> dict[str, Any]:
    """Have the place for volumes that the pillar names.

    .. code-block:: yaml

        domus-dom0-storage:
          dom0.storage_ready:
            - name: xenvg

    Not reconciled: a volume group or thin pool that is missing. The state fails then and says how to make
    one; Domus does not choose a disk to overwrite.

    In test mode the result is none while the programs that would tell are still to be installed.
    """
    test = __opts__["test"]
    try:
        capacity = domus_host.open_storage_of(__opts__, __pillar__).capacity()
    except DomusError as error:
        if test and isinstance(error, ToolMissing):
            return {"name": name, "result": None, "changes": {}, "comment": f"It would be looked at. {error}"}
        hint = f"Make it by hand, such as: vgcreate {name} DISK; lvcreate --type thin-pool for a thin pool"
        return domus_door.state(name, f"{error}. {hint}", {}, test=False, failed=True)
    comment = f"{capacity.free_mib} of {capacity.total_mib} MiB are free"
    return domus_door.state(name, comment, {}, test=False)
