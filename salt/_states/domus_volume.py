"""States of the volumes of VPSs. A volume belongs to the VPS whose tag it carries."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import domus_door
import domus_host
import domus_volume_rules
from domus_errors import DomusError

if TYPE_CHECKING:
    from domus_interfaces import Changes, Storage

    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __context__: dict[str, Any]
    __salt__: dict[str, Callable[..., Any]]


def __virtual__() -> bool | tuple[bool, str]:
    if "domus_volume.info" not in __salt__:
        return False, "the execution module domus_volume is missing"
    return True


def present(name: str, uuid: str, size_mib: int) -> dict[str, Any]:
    """Have a volume of at least a size; a missing one is made, empty.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-volume-data:
          domus_volume.present:
            - name: vps-6f1b2c3d-data
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001
            - size_mib: 10240

    uuid
        The VPS that it belongs to.
    size_mib
        Its size in MiB; LVM may round it up.

    Not reconciled: a volume that is larger; the file system in it.
    """

    def act(storage: "Storage", test: bool) -> "Changes":
        volume = storage.info(name)
        if volume is not None:
            return _grow(storage, name, uuid, size_mib, test)
        domus_volume_rules.checked_size(size_mib)
        if not test:
            storage.create(name, size_mib, uuid=uuid)
        return {"size_mib": {"old": None, "new": size_mib}}

    return _about_volume(name, act)


def grown(name: str, uuid: str, size_mib: int) -> dict[str, Any]:
    """Have a volume, if it is there, of at least a size; a missing one is left to the installation.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-volume-root:
          domus_volume.grown:
            - name: vps-6f1b2c3d-root
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001
            - size_mib: 10240

    uuid
        The VPS that it belongs to.
    size_mib
        Its size in MiB; LVM may round it up.

    Not reconciled: a missing volume, as an empty one in its place would hide the loss.
    """

    def act(storage: "Storage", test: bool) -> "Changes":
        return _grow(storage, name, uuid, size_mib, test) if storage.info(name) else {}

    return _about_volume(name, act)


def absent(name: str, uuid: str) -> dict[str, Any]:
    """Have no volume of that name; only one that belongs to the VPS is removed.

    .. code-block:: yaml

        domus-vps-6f1b2c3d-0000-4000-8000-000000000001-volume-old:
          domus_volume.absent:
            - name: vps-6f1b2c3d-old
            - uuid: 6f1b2c3d-0000-4000-8000-000000000001

    uuid
        The VPS that it belongs to.

    Not reconciled: a volume that belongs to another; the state fails then.
    """

    def act(storage: "Storage", test: bool) -> "Changes":
        volume = storage.info(name)
        if volume is None:
            return {}
        domus_volume_rules.owned(volume, uuid)
        if not test:
            storage.remove(name, uuid=uuid)
        return {"size_mib": {"old": volume.size_mib, "new": None}}

    return _about_volume(name, act)


def _grow(storage: "Storage", name: str, uuid: str, size_mib: int, test: bool) -> "Changes":
    volume = domus_volume_rules.existing(storage.info, name, uuid)
    if volume.size_mib >= domus_volume_rules.checked_size(size_mib):
        return {}
    after = size_mib if test else storage.resize(name, size_mib, uuid=uuid).size_mib
    return {"size_mib": {"old": volume.size_mib, "new": after}}


def _about_volume(name: str, act: "Callable[[Storage, bool], Changes]") -> dict[str, Any]:
    """Do something about a volume and turn what came of it into a state's answer."""
    test = bool(__opts__["test"])
    try:
        storage = domus_host.open_dom0(__opts__, __pillar__, __context__).storage
        changes = act(storage, test)
    except DomusError as error:
        return domus_door.state(name, str(error), {}, test=test, failed=True)
    if not changes:
        return domus_door.state(name, f"{name} is as it should be", {}, test=test)
    comment = f"{name} would be changed" if test else f"{name} was changed"
    return domus_door.state(name, comment, changes, test=test)
