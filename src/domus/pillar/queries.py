"""The rows behind one dom0's pillar: four queries, however many VPSs it has, and never another dom0's.

They are ordered here and not by the database, which else would rather walk through all that it has in that order.
"""

from __future__ import annotations

import uuid
from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.catalog.models import OsTemplate
from domus.inventory.models import Dom0, IpAddress, IpPool
from domus.pillar.render import VpsRows
from domus.vps.models import Disk, Nic, Suspension, Vps
from domus.vps.states import ON_DOM0


def dom0_of(session: Session, minion_id: str) -> Dom0 | None:
    """Return the dom0 of a minion, or None when it is not one."""
    return session.scalar(sa.select(Dom0).where(Dom0.minion_id == minion_id))


def rows_of(session: Session, dom0: Dom0) -> list[VpsRows]:
    """Return what stands on a dom0."""
    here = sa.and_(Vps.dom0_id == dom0.id, Vps.state.in_(ON_DOM0))
    suspended = sa.exists().where(Suspension.vps_id == Vps.id)
    query = (
        sa.select(Vps, OsTemplate, suspended, Nic.id, Nic.mac)
        .join(OsTemplate, OsTemplate.id == Vps.template_id)
        .outerjoin(Nic, Nic.vps_id == Vps.id)
        .where(here)
    )
    # The VPSs are read first: one that appears between two queries is then missing entirely, not half there.
    found = sorted(session.execute(query), key=lambda row: (row[0].id, row[3] or 0))
    disks = _disks(session, here)
    addresses = _addresses(session, here)
    rows: dict[uuid.UUID, VpsRows] = {}
    macs: dict[uuid.UUID, list[str]] = defaultdict(list)
    for vps, template, is_suspended, _, mac in found:
        if mac is not None:
            macs[vps.id].append(mac)
        rows[vps.id] = VpsRows(
            vps=vps,
            template=template,
            suspended=is_suspended,
            macs=macs[vps.id],
            disks=disks[vps.id],
            addresses=addresses[vps.id],
        )
    return list(rows.values())


def _disks(session: Session, here: sa.ColumnElement[bool]) -> dict[uuid.UUID, list[Disk]]:
    found: dict[uuid.UUID, list[Disk]] = defaultdict(list)
    query = sa.select(Disk).join(Vps, Vps.id == Disk.vps_id).where(here)
    for disk in sorted(session.scalars(query), key=lambda disk: disk.id):
        found[disk.vps_id].append(disk)
    return found


def _addresses(session: Session, here: sa.ColumnElement[bool]) -> dict[uuid.UUID, list[tuple[str, IpPool]]]:
    found: dict[uuid.UUID, list[tuple[str, IpPool]]] = defaultdict(list)
    query = (
        sa.select(IpAddress.pool_id, IpAddress.position, Vps.id, IpAddress.address, IpPool)
        .join(IpPool, IpPool.id == IpAddress.pool_id)
        .join(Vps, Vps.id == IpAddress.vps_id)
        .where(here)
    )
    for _, _, vps_id, address, pool in sorted(session.execute(query), key=lambda row: (row[0], row[1])):
        found[vps_id].append((address, pool))
    return found
