"""VPSs as the panels and the command line ask for them. Reads only."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.accounts.actor import Actor
from domus.core.errors import NotFound
from domus.inventory.models import Dom0, IpAddress, IpPool
from domus.vps.models import Vps, VpsState, VpsTransition

_IN_LISTS = (
    joinedload(Vps.product),
    joinedload(Vps.template),
    joinedload(Vps.dom0).joinedload(Dom0.location),
    joinedload(Vps.account),
    joinedload(Vps.order),
    selectinload(Vps.suspensions),
)


def get(session: Session, vps_id: uuid.UUID, *, actor: Actor) -> Vps:
    """Return a VPS with all that its page shows but its history.

    Raise NotFound for strangers as for nothing at all.
    """
    options = (*_IN_LISTS, selectinload(Vps.disks), selectinload(Vps.nics))
    vps = session.scalar(sa.select(Vps).where(Vps.id == vps_id).options(*options))
    if vps is None:
        raise NotFound("There is no such VPS.")
    actor.require_account(vps.account_id, what="VPS")
    return vps


def lock(session: Session, vps_id: uuid.UUID, *, actor: Actor) -> Vps:
    """Return a VPS that no one else changes until this transaction ends; raise NotFound as `get` does."""
    # Who only refers to the row by a foreign key need not wait (on PostgreSQL, "for no key update").
    vps = session.get(Vps, vps_id, with_for_update={"key_share": True}, populate_existing=True)
    if vps is None:
        raise NotFound("There is no such VPS.")
    actor.require_account(vps.account_id, what="VPS")
    return vps


def lock_of_order(session: Session, order_id: uuid.UUID) -> Vps | None:
    """Return the VPS of an order, locked as `lock` does; None when there is no such order, for every order has one."""
    query = sa.select(Vps).where(Vps.order_id == order_id).with_for_update(key_share=True)
    return session.scalar(query, execution_options={"populate_existing": True})


def list_vps(
    session: Session,
    *,
    account_id: int | None = None,
    states: Collection[VpsState] = (),
    dom0_id: int | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Sequence[Vps]:
    """Return VPSs, the newest first."""
    query = (
        sa.select(Vps).order_by(Vps.created_at.desc(), Vps.id).limit(limit).offset(offset).options(*_IN_LISTS)
    )
    if account_id is not None:
        query = query.where(Vps.account_id == account_id)
    if states:
        query = query.where(Vps.state.in_(states))
    if dom0_id is not None:
        query = query.where(Vps.dom0_id == dom0_id)
    return session.scalars(query).all()


def history(session: Session, vps_id: uuid.UUID, *, limit: int = 100) -> Sequence[VpsTransition]:
    """Return what happened to a VPS, the latest first. Whether one may know is for `get` to say."""
    query = sa.select(VpsTransition).where(VpsTransition.vps_id == vps_id)
    return session.scalars(query.order_by(VpsTransition.id.desc()).limit(limit)).all()


def addresses_of(session: Session, vps_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """Return the addresses that VPSs hold, IPv4 first; a VPS without any has an empty list."""
    found: dict[uuid.UUID, list[str]] = {vps_id: [] for vps_id in vps_ids}
    query = (
        sa.select(Vps.id, IpAddress.address)
        .join(IpAddress, IpAddress.vps_id == Vps.id)
        .join(IpPool, IpPool.id == IpAddress.pool_id)
        .where(Vps.id.in_(found))
        .order_by(IpPool.network.contains(":"), IpPool.id, IpAddress.position)
    )
    for vps_id, address in session.execute(query):
        found[vps_id].append(address)
    return found
