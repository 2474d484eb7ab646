"""The rules that hold for volumes of every kind."""

from collections.abc import Callable

import domus_fields
from domus_errors import NotValid, Refused
from domus_interfaces import Volume
from domus_spec import volume_tag

MAX_SIZE_MIB = 1 << 30


def checked_name(name: str) -> str:
    """Return the name of a volume; it becomes a path and an argument, so its grammar is strict."""
    if name.startswith("-") or ".." in name:
        raise NotValid(f"The volume name {domus_fields.shorten(name)} is not allowed")
    return domus_fields.matching(
        name, "the volume name", domus_fields.LVM_NAME, "letters, digits and . _ + -"
    )


def checked_owner(owner: str) -> str:
    """Return the owner of a volume: a uuid, or a plain word for the templates of Domus itself."""
    return domus_fields.matching(
        owner, "the owner", domus_fields.SLUG, "a uuid or lower case letters, digits, . and -"
    )


def checked_size(size_mib: int) -> int:
    """Return a size that a volume can have."""
    if type(size_mib) is not int or not 1 <= size_mib <= MAX_SIZE_MIB:
        shown = domus_fields.shorten(size_mib)
        raise NotValid(f"size_mib is {shown}; allowed is a whole number from 1 to {MAX_SIZE_MIB}")
    return size_mib


def owned(volume: Volume, uuid: str) -> Volume:
    """Return the volume if it carries the owner's tag and no other of Domus, else refuse."""
    if volume.tag_owner != checked_owner(uuid):
        belongs = f"belongs to {volume.tag_owner}" if volume.tag_owner else "has no tag of Domus"
        raise Refused(
            f"The volume {volume.name} {belongs}, not to {uuid}; only a volume with the tag "
            f"{volume_tag(uuid)} is touched"
        )
    return volume


def existing(find: Callable[[str], Volume | None], name: str, uuid: str) -> Volume:
    """Return a volume that has to be there and to belong to the owner."""
    volume = find(checked_name(name))
    if volume is None:
        raise NotValid(f"There is no volume {name}")
    return owned(volume, uuid)


def growth(volume: Volume, size_mib: int) -> int:
    """Return how much a volume has to grow; a smaller size is refused, as it would cut off data."""
    difference = checked_size(size_mib) - volume.size_mib
    if difference < 0:
        raise Refused(f"The volume {volume.name} has {volume.size_mib} MiB; it is not cut down to {size_mib}")
    return difference
