"""Look at and change the volumes of this dom0: LVM thick and thin, or image files.

A volume belongs to the VPS whose tag it carries; whoever changes or removes one has to name that VPS's
uuid, and any other uuid is refused.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import domus_door
import domus_host

if TYPE_CHECKING:
    from domus_interfaces import Storage

    __opts__: dict[str, Any]
    __pillar__: dict[str, Any]
    __context__: dict[str, Any]

__func_alias__ = {"list_": "list"}


def _storage() -> "Storage":
    return domus_host.open_dom0(__opts__, __pillar__, __context__).storage


@domus_door.execution
def info(name: str) -> dict[str, Any] | None:
    """Return one volume, or None.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.info vps-6f1b2c3d-root

    name
        The name of the volume.
    """
    volume = _storage().info(name)
    return asdict(volume) if volume else None


@domus_door.execution
def list_() -> list[dict[str, Any]]:
    """Return all volumes, those that are not of Domus too.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.list
    """
    return [asdict(volume) for volume in _storage().list()]


@domus_door.execution
def create(name: str, size_mib: int, uuid: str, origin: str | None = None) -> dict[str, Any]:
    """Make a volume. One that is there already and has the same owner is returned as it is.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.create vps-6f1b2c3d-data 1024 6f1b2c3d-0000-4000-8000-000000000001

    name
        The name of the volume.
    size_mib
        Its size in MiB.
    uuid
        The VPS that it is for.
    origin
        A thin volume that it starts as a snapshot of. Defaults to none.
    """
    return asdict(_storage().create(name, size_mib, uuid=uuid, origin=origin))


@domus_door.execution
def resize(name: str, size_mib: int, uuid: str) -> dict[str, Any]:
    """Grow a volume; making it smaller is refused. The file system in it is left alone.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.resize vps-6f1b2c3d-root 20480 6f1b2c3d-0000-4000-8000-000000000001

    name
        The name of the volume.
    size_mib
        Its new size in MiB.
    uuid
        The VPS that it belongs to.
    """
    return asdict(_storage().resize(name, size_mib, uuid=uuid))


@domus_door.execution
def remove(name: str, uuid: str) -> bool:
    """Remove a volume with all that is on it; False means that it was not there.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.remove vps-6f1b2c3d-data 6f1b2c3d-0000-4000-8000-000000000001

    name
        The name of the volume.
    uuid
        The VPS that it belongs to.
    """
    return _storage().remove(name, uuid=uuid)


@domus_door.execution
def snapshot(name: str, snapshot_name: str, uuid: str) -> dict[str, Any]:
    """Make a writable copy of a volume as it is now.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.snapshot vps-6f1b2c3d-root vps-6f1b2c3d-before \\
            6f1b2c3d-0000-4000-8000-000000000001

    name
        The name of the volume.
    snapshot_name
        The name of the copy.
    uuid
        The VPS that both belong to.
    """
    return asdict(_storage().snapshot(name, snapshot_name, uuid=uuid))


@domus_door.execution
def capacity() -> dict[str, int]:
    """Return the size of the group of volumes and what of it is free.

    CLI Example:

    .. code-block:: bash

        salt dom0-a domus_volume.capacity
    """
    return asdict(_storage().capacity())
