"""What Domus has to sell from: checks what an operator enters about places, dom0s and pools."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.core.errors import InvalidInput
from domus.core.texts import one_line, paragraphs, whole_number
from domus.db.locks import lock_name
from domus.db.rows import get_row, refuse_taken
from domus.inventory import networks
from domus.inventory.models import (
    AddressState,
    Dom0,
    Hypervisor,
    IpAddress,
    IpPool,
    Location,
    StorageBackend,
    ZoneType,
)

# All of these go to the dom0, whose own grammar (``salt/_utils/domus_spec.py``) they stay within.
_MINION_ID = re.compile(r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?")
_LVM_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.-]{0,62}")
_BRIDGE = re.compile(r"[a-z][a-z0-9._-]{0,14}")
# No user name or password: it is written into guests.
_MIRROR = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?")
_DIRECTORY = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")

#: The columns that each kind of storage needs.
_STORAGE_NEEDS = {
    StorageBackend.SIMULATED: (),
    StorageBackend.LVM: ("volume_group",),
    StorageBackend.LVM_THIN: ("volume_group", "thin_pool"),
    StorageBackend.IMAGE: ("image_dir",),
}
#: What may not change under VPSs that are there.
_FIXED_WHEN_IN_USE = (
    "minion_id",
    "location_id",
    "hypervisor",
    "storage_backend",
    *("volume_group", "thin_pool", "image_dir"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationFields:
    """What an operator decides about a place."""

    name: str
    country: str = ""
    debian_mirror: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dom0Fields:
    """What an operator decides about a dom0; its state is set on its own, with a reason."""

    minion_id: str
    location_id: int
    hypervisor: Hypervisor = Hypervisor.XEN
    storage_backend: StorageBackend = StorageBackend.LVM
    volume_group: str = ""
    thin_pool: str = ""
    image_dir: str = ""
    bridge: str = "xenbr0"
    memory_capacity_mib: int
    disk_capacity_mib: int
    vcpus_capacity: int
    max_parallel_installs: int = 2
    max_removals_per_run: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFields:
    """What an operator decides about an address pool."""

    location_id: int
    network: str
    gateway: str
    dns: list[str]
    zone_type: ZoneType = ZoneType.ONE_ZONEFILE
    custom_zone_text: str = ""
    active: bool = True


def check_location(session: Session, fields: LocationFields, *, own_id: int | None) -> LocationFields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    name = one_line(fields.name, field="name", maximum=120)
    country = fields.country.strip().upper()
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        raise InvalidInput("Write the country as two letters, such as DE or FR.", field="country")
    debian_mirror = fields.debian_mirror.strip()
    if debian_mirror and (len(debian_mirror) > 200 or not _MIRROR.fullmatch(debian_mirror)):
        raise InvalidInput(
            f"{debian_mirror!r} is not the address of a mirror: http or https without a user name, at most 200 letters, "
            "such as http://ftp.de.debian.org/debian.",
            field="debian_mirror",
        )
    refuse_taken(session, Location.name, name, own_id=own_id, field="name")
    return LocationFields(name=name, country=country, debian_mirror=debian_mirror)


def check_dom0(session: Session, fields: Dom0Fields, *, own_id: int | None) -> Dom0Fields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    if not _MINION_ID.fullmatch(fields.minion_id):
        raise InvalidInput(
            f"{fields.minion_id!r} is not a minion id: lower-case letters, digits, dots, hyphens and underscores.",
            field="minion_id",
        )
    get_row(session, Location, fields.location_id, what="location", field="location_id")
    _check_storage(fields)
    if not _BRIDGE.fullmatch(fields.bridge):
        raise InvalidInput(f"{fields.bridge!r} is not the name of a bridge, such as xenbr0.", field="bridge")
    for field in ("memory_capacity_mib", "disk_capacity_mib", "vcpus_capacity"):
        whole_number(getattr(fields, field), field=field, minimum=1, maximum=2**40)
    whole_number(fields.max_parallel_installs, field="max_parallel_installs", minimum=1, maximum=64)
    whole_number(fields.max_removals_per_run, field="max_removals_per_run", minimum=1, maximum=1000)
    refuse_taken(session, Dom0.minion_id, fields.minion_id, own_id=own_id, field="minion_id")
    if own_id is not None:
        _check_against_use(get_row(session, Dom0, own_id, what="dom0"), fields)
    return fields


def check_pool(session: Session, fields: PoolFields, *, own_id: int | None) -> PoolFields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    get_row(session, Location, fields.location_id, what="location", field="location_id")
    network = networks.parse_network(fields.network)
    gateway = networks.parse_gateway(fields.gateway, network)
    checked = dataclasses.replace(
        fields,
        network=str(network),
        gateway=str(gateway),
        dns=networks.parse_dns(fields.dns),
        custom_zone_text=paragraphs(fields.custom_zone_text, field="custom_zone_text", maximum=10_000),
    )
    lock_name(session, "ip_pool")
    _refuse_overlap(session, network, own_id=own_id)
    if own_id is not None:
        _check_against_addresses(session, get_row(session, IpPool, own_id, what="pool"), checked)
    return checked


def add_addresses(session: Session, pool: IpPool, first: str, last: str) -> int:
    """Add the addresses from *first* to *last* to the pool, free; return how many. All are added, or none."""
    network = ipaddress.ip_network(pool.network)
    gateway = ipaddress.ip_address(pool.gateway)
    positions = networks.address_range(first, last, network, gateway=gateway)
    known = session.scalar(
        sa.select(IpAddress.address)
        .where(IpAddress.pool_id == pool.id, IpAddress.position.between(positions[0], positions[-1]))
        .order_by(IpAddress.position)
        .limit(1)
    )
    if known is not None:
        raise InvalidInput(f"{known} is in the pool already; name a range without it.", field="first")
    session.execute(
        sa.insert(IpAddress),
        [
            {
                "pool_id": pool.id,
                "address": str(network[position]),
                "position": position,
                "state": AddressState.FREE,
            }
            for position in positions
        ],
    )
    return len(positions)


def _check_storage(fields: Dom0Fields) -> None:
    for field in _STORAGE_NEEDS[fields.storage_backend]:
        if not getattr(fields, field):
            raise InvalidInput(f"Storage {fields.storage_backend.value} needs this.", field=field)
    for field in ("volume_group", "thin_pool"):
        if getattr(fields, field) and not _LVM_NAME.fullmatch(getattr(fields, field)):
            raise InvalidInput(f"{getattr(fields, field)!r} is not a name that LVM allows.", field=field)
    if fields.image_dir and (len(fields.image_dir) > 255 or not _DIRECTORY.fullmatch(fields.image_dir)):
        raise InvalidInput(
            "Write an absolute path of plain letters and digits, such as /var/lib/domus.", field="image_dir"
        )


def _check_against_use(dom0: Dom0, fields: Dom0Fields) -> None:
    for field in ("memory_reserved_mib", "disk_reserved_mib", "vcpus_reserved"):
        capacity = "vcpus_capacity" if field == "vcpus_reserved" else field.replace("reserved", "capacity")
        if getattr(fields, capacity) < getattr(dom0, field):
            raise InvalidInput(
                f"{getattr(dom0, field)} are taken by VPSs already; the capacity cannot be less.",
                field=capacity,
            )
    if dom0.vcpus_reserved or dom0.memory_reserved_mib or dom0.disk_reserved_mib:
        for field in _FIXED_WHEN_IN_USE:
            if getattr(dom0, field) != getattr(fields, field):
                raise InvalidInput("This cannot change while VPSs are on the dom0.", field=field)


def _refuse_overlap(session: Session, network: networks.Network, *, own_id: int | None) -> None:
    for pool_id, text in session.execute(sa.select(IpPool.id, IpPool.network)):
        other = ipaddress.ip_network(text)
        if pool_id != own_id and other.version == network.version and network.overlaps(other):
            raise InvalidInput(
                f"{network} overlaps the pool {other}; an address belongs to one pool.", field="network"
            )


def _check_against_addresses(session: Session, pool: IpPool, fields: PoolFields) -> None:
    def has(*conditions: sa.ColumnElement[bool]) -> bool:
        return bool(session.scalar(sa.select(sa.exists().where(IpAddress.pool_id == pool.id, *conditions))))

    if fields.network != pool.network and has():
        raise InvalidInput("The pool has addresses; remove them before its network changes.", field="network")
    if has(IpAddress.address == fields.gateway):
        raise InvalidInput(
            f"{fields.gateway} is an address of the pool; remove it there first.", field="gateway"
        )
    if fields.location_id != pool.location_id and has(IpAddress.vps_id.is_not(None)):
        raise InvalidInput("VPSs have addresses of the pool, so it cannot move.", field="location_id")
