"""Give a VPS its place: the choice is a guess over a snapshot, the database has the last word."""

from __future__ import annotations

import logging
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import Order
from domus.catalog.addons import NO_EXTRAS, Extras
from domus.catalog.models import OsTemplate, Product
from domus.contracts.models import ChangeState, ContractChange
from domus.core.errors import NoCapacity
from domus.inventory.models import Location
from domus.placement import addresses, queries
from domus.placement.choose import Need, in_order_of_choice
from domus.vps.models import Disk, Nic, Reservation, Vps

log = logging.getLogger(__name__)

#: The prefix that Xen guests' network cards share; the other three bytes are drawn.
XEN_OUI = "00:16:3e"
#: Names and MACs are drawn; two VPSs that draw the same are told apart by another draw.
_DRAWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a customer wants on the new VPS; checked, and the password already hashed."""

    hostname: str
    root_password_hash: str | None
    ssh_keys: tuple[str, ...]


def need_of(product: Product, extras: Extras = NO_EXTRAS) -> Need:
    """Return what a VPS of this product takes from its dom0, with what was ordered beside it."""
    return Need(
        memory_mib=product.memory_mib + extras.memory_mib,
        disk_mib=product.disk_total_mib + extras.disk_mib,
        vcpus=product.vcpus + extras.vcpus,
    )


def reserve(
    session: Session,
    order: Order,
    *,
    product: Product,
    template: OsTemplate,
    location_id: int,
    wish: Wish,
    extras: Extras = NO_EXTRAS,
    now: datetime,
) -> Vps:
    """Make the reserved VPS of an order, with its place on a dom0 and its addresses; raise NoCapacity.

    The locks are always taken in the same order, the dom0 before its addresses, so that buyers never wait for
    each other in a circle. Whatever a refused candidate began is undone by its savepoint.
    """
    need = need_of(product, extras)
    chosen = in_order_of_choice(
        queries.candidates(session, location_id=location_id).get(location_id, ()), need
    )
    for candidate in chosen:
        vps = _try_dom0(session, order, product, template, candidate.dom0_id, wish, extras, now)
        if vps is not None:
            addresses.reserve(session, location_id=location_id, vps_id=vps.id, ipv4=1 + extras.ipv4)
            return vps
        log.info("dom0 %s filled up while an order was placed; trying the next one", candidate.dom0_id)
    place = session.get_one(Location, location_id).name
    raise NoCapacity(
        f"{place} has no room for a {product.name} at the moment. Please choose another location or size."
    )


def grow(session: Session, vps_id: uuid.UUID, need: Need) -> None:
    """Hold the room that a VPS needs on its dom0 to become larger, besides what it has; raise NoCapacity when there is none.

    What it needs less of it keeps until its dom0 has made it smaller (`fit`).
    """
    held = session.get_one(Reservation, vps_id, populate_existing=True)
    try:
        with session.begin_nested():
            held.memory_mib = max(held.memory_mib, need.memory_mib)
            held.disk_mib = max(held.disk_mib, need.disk_mib)
            held.vcpus = max(held.vcpus, need.vcpus)
            session.flush()
    except sa.exc.IntegrityError:
        raise NoCapacity(
            "The machine that this VPS is on has no room for it to grow so far. Nothing was changed or charged."
        ) from None


def fit(session: Session, vps_id: uuid.UUID) -> None:
    """Give back what a VPS holds and does not need: it is as small as wanted by now, and nothing larger is agreed to."""
    disks = sa.select(sa.func.sum(Disk.size_mib)).where(Disk.vps_id == vps_id).scalar_subquery()
    size = sa.select(Vps.memory_mib, Vps.vcpus, disks).where(Vps.id == vps_id)
    memory_mib, vcpus, disk_mib = session.execute(size).one()
    agreed = sa.exists().where(ContractChange.vps_id == vps_id, ContractChange.state == ChangeState.OPEN)
    larger = sa.or_(
        Reservation.memory_mib > memory_mib, Reservation.vcpus > vcpus, Reservation.disk_mib > disk_mib
    )
    session.execute(
        sa.update(Reservation)
        .where(Reservation.vps_id == vps_id, larger, ~agreed)
        .values(memory_mib=memory_mib, vcpus=vcpus, disk_mib=disk_mib)
    )


def give_back(session: Session, vps_id: uuid.UUID, *, quarantine: timedelta, now: datetime) -> None:
    """Free the place of a VPS and let its addresses go."""
    # The trigger takes the reservation out of the dom0's sums: the dom0 is locked before the addresses, as in
    # reserve.
    session.execute(sa.delete(Reservation).where(Reservation.vps_id == vps_id))
    addresses.release(session, vps_id=vps_id, quarantine=quarantine, now=now)


def _try_dom0(
    session: Session,
    order: Order,
    product: Product,
    template: OsTemplate,
    dom0_id: int,
    wish: Wish,
    extras: Extras,
    now: datetime,
) -> Vps | None:
    """Return the VPS placed on this dom0, or None when it is full by now."""
    for _ in range(_DRAWS):
        vps = _new_vps(order, product, template, dom0_id, wish, extras, now)
        try:
            with session.begin_nested():
                session.add(vps)
                session.flush()
                session.add(_reservation(vps, need_of(product, extras)))
                session.flush()
        except sa.exc.IntegrityError:
            if not _drawn_before(session, vps):
                return None
            continue
        return vps
    raise NoCapacity("No free name could be drawn for the VPS; please try again.")


def _drawn_before(session: Session, vps: Vps) -> bool:
    """Tell whether the name or the MAC that was drawn belongs to another VPS.

    Else it was the dom0 that refused.
    """
    same_name = sa.select(Vps.id).where(Vps.name == vps.name)
    same_mac = sa.select(Nic.id).where(Nic.mac.in_([nic.mac for nic in vps.nics]))
    return session.scalar(same_name) is not None or session.scalar(same_mac) is not None


def _new_vps(
    order: Order,
    product: Product,
    template: OsTemplate,
    dom0_id: int,
    wish: Wish,
    extras: Extras,
    now: datetime,
) -> Vps:
    identity = uuid.uuid4()
    vcpus = product.vcpus + extras.vcpus
    return Vps(
        id=identity,
        name=f"vps-{identity.hex[:8]}",
        account_id=order.account_id,
        order_id=order.id,
        product_id=product.id,
        template_id=template.id,
        dom0_id=dom0_id,
        state_since=now,
        created_at=now,
        hostname=wish.hostname,
        root_password_hash=wish.root_password_hash,
        ssh_keys=list(wish.ssh_keys),
        virtualization=product.virtualization,
        memory_mib=product.memory_mib + extras.memory_mib,
        vcpus=vcpus,
        cpu_weight=product.cpu_weight,
        # The cap is that of all vCPUs together: a further one brings its share with it.
        cpu_cap_percent=product.cpu_cap_percent * vcpus // product.vcpus,
        disks=_disks(product, extras),
        nics=[Nic(mac=draw_mac())],
    )


def draw_mac() -> str:
    """Return a random MAC address of the Xen range."""
    tail = secrets.token_bytes(3)
    return f"{XEN_OUI}:{tail[0]:02x}:{tail[1]:02x}:{tail[2]:02x}"


def _disks(product: Product, extras: Extras) -> list[Disk]:
    size_mib = product.disk_mib + extras.disk_mib
    disks = [Disk(name="root", role="root", size_mib=size_mib, device="xvda1", filesystem="ext4")]
    if product.swap_mib:
        disks.append(
            Disk(name="swap", role="swap", size_mib=product.swap_mib, device="xvda2", filesystem="swap")
        )
    return disks


def _reservation(vps: Vps, need: Need) -> Reservation:
    return Reservation(
        vps_id=vps.id,
        dom0_id=vps.dom0_id,
        memory_mib=need.memory_mib,
        disk_mib=need.disk_mib,
        vcpus=need.vcpus,
    )
