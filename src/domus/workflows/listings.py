"""Lists for the command line and for machines: plain dicts of JSON-safe values, the useful columns first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import joinedload, selectinload

from domus.accounts.actor import Actor
from domus.billing.models import Order, OrderState
from domus.catalog.models import Price, Product
from domus.core.clock import iso_z
from domus.core.errors import InvalidInput, NotFound
from domus.db.engine import Database
from domus.inventory.models import Dom0, Location
from domus.placement import addresses as placement_addresses
from domus.placement import queries as placement_queries
from domus.placement.services import need_of
from domus.provisioning import queries as job_queries
from domus.provisioning.models import JobState
from domus.vps import queries as vps_queries
from domus.vps.models import Vps, VpsState
from domus.vps.shown import shown

Row = dict[str, Any]
State = TypeVar("State", bound=StrEnum)

_OPERATOR = Actor.system("listing")


def orders(db: Database, *, state: str | None = None, limit: int = 50) -> list[Row]:
    """Return the newest orders with their VPSs."""
    wanted = _state(OrderState, state)
    query = (
        sa.select(Order, Vps)
        .outerjoin(Vps, Vps.order_id == Order.id)
        .options(
            joinedload(Order.account),
            joinedload(Order.price).joinedload(Price.product),
            selectinload(Order.invoices),
        )
        .order_by(Order.number.desc())
        .limit(limit)
    )
    if wanted is not None:
        query = query.where(Order.state == wanted)
    with db.reading() as session:
        return [
            {
                "number": order.number,
                "order": str(order.id),
                "state": order.state.value,
                "account": order.account.name,
                "product": order.price.product.name,
                "amount": str(order.invoice.gross),
                "vps": vps.name if vps else None,
                "vps_state": vps.state.value if vps else None,
                "placed_at": iso_z(order.placed_at),
                "paid_at": _iso(order.paid_at),
                "fulfilled_at": _iso(order.fulfilled_at),
            }
            for order, vps in session.execute(query).all()
        ]


def vps(db: Database, *, state: str | None = None, dom0: str | None = None, limit: int = 100) -> list[Row]:
    """Return the newest VPSs: where they are, what is wanted and what was seen of them."""
    wanted = _state(VpsState, state)
    with db.reading() as session:
        dom0_id = (
            None
            if dom0 is None
            else _dom0_id(session.scalar(sa.select(Dom0).where(Dom0.minion_id == dom0)), dom0)
        )
        rows = vps_queries.list_vps(session, states=[wanted] if wanted else [], dom0_id=dom0_id, limit=limit)
        ids = [row.id for row in rows]
        addresses = vps_queries.addresses_of(session, ids)
        jobs = job_queries.newest_jobs(session, ids)
        return [
            {
                "name": row.name,
                "shown": shown(
                    row.state,
                    row.wanted_power,
                    row.observed_power,
                    suspended=bool(row.suspensions),
                    problem=row.problem,
                    job=jobs.get(row.id),
                ).label,
                "dom0": row.dom0.minion_id,
                "addresses": addresses[row.id],
                "hostname": row.hostname,
                "account": row.account.name,
                "product": row.product.name,
                "template": row.template.name,
                "state": row.state.value,
                "wanted": row.wanted_power.value,
                "observed": row.observed_power.value,
                "observed_at": _iso(row.observed_at),
                "suspended": sorted(suspension.reason.value for suspension in row.suspensions),
                "revision": row.revision,
                "applied_revision": row.applied_revision,
                "problem": row.problem,
                "uuid": str(row.id),
            }
            for row in rows
        ]


def jobs(db: Database, *, state: str | None = None, limit: int = 50) -> list[Row]:
    """Return the newest jobs with how far they are and what they wait for."""
    wanted = _state(JobState, state)
    with db.reading() as session:
        return [
            {
                "vps": job.vps.name,
                "dom0": job.vps.dom0.minion_id,
                "kind": job.kind.value,
                "state": job.state.value,
                "percent": job.percent,
                "step": job.step,
                "note": job.note,
                "error": job.error,
                "actor": job.actor,
                "reason": job.reason,
                "created_at": iso_z(job.created_at),
                "finished_at": _iso(job.finished_at),
                "job": str(job.id),
            }
            for job in job_queries.list_jobs(session, states=[wanted] if wanted else [], limit=limit)
        ]


def dom0s(db: Database) -> list[Row]:
    """Return the dom0s with what they hold and how they are."""
    query = sa.select(Dom0).options(joinedload(Dom0.location)).order_by(Dom0.minion_id)
    with db.reading() as session:
        return [
            {
                "dom0": dom0.minion_id,
                "location": dom0.location.name,
                "state": dom0.state.value,
                "hypervisor": dom0.hypervisor.value,
                "storage": dom0.storage_backend.value,
                "memory_reserved_mib": dom0.memory_reserved_mib,
                "memory_capacity_mib": dom0.memory_capacity_mib,
                "disk_reserved_mib": dom0.disk_reserved_mib,
                "disk_capacity_mib": dom0.disk_capacity_mib,
                "vcpus_reserved": dom0.vcpus_reserved,
                "vcpus_capacity": dom0.vcpus_capacity,
                "seen_at": _iso(dom0.seen_at),
                "next_run_at": _iso(dom0.next_run_at),
                "failed_runs": dom0.failed_runs,
                "problem": dom0.problem,
            }
            for dom0 in session.scalars(query)
        ]


def capacity(db: Database) -> list[Row]:
    """Return how many VPSs of each product can still be sold, location by location."""
    with db.reading() as session:
        locations = session.scalars(sa.select(Location).order_by(Location.name)).all()
        products = session.scalars(
            sa.select(Product).where(Product.active).order_by(Product.memory_mib, Product.id)
        ).all()
        ipv4 = placement_addresses.free_count(session, version=4)
        ipv6 = placement_addresses.free_count(session, version=6)
        places = {
            product.id: placement_queries.free_places(session, need_of(product)) for product in products
        }
        return [
            {
                "location": location.name,
                "ipv4_free": ipv4.get(location.id, 0),
                "ipv6_free": ipv6.get(location.id, 0),
                "places": {product.name: places[product.id].get(location.id, 0) for product in products},
            }
            for location in locations
        ]


def order_status(db: Database, order_id: uuid.UUID) -> Row:
    """Return what became of one order, with the seconds from its payment to the running VPS."""
    query = sa.select(Order, Vps, Dom0).join(Vps, Vps.order_id == Order.id).join(Dom0, Dom0.id == Vps.dom0_id)
    with db.reading() as session:
        found = session.execute(query.where(Order.id == order_id)).one_or_none()
        if found is None:
            raise NotFound("There is no such order.")
        order, row, dom0 = found
        ipv4 = [a for a in vps_queries.addresses_of(session, [row.id])[row.id] if ":" not in a]
    seconds = None
    if order.paid_at is not None and order.fulfilled_at is not None:
        seconds = round((order.fulfilled_at - order.paid_at).total_seconds(), 3)
    return {
        "order": str(order.id),
        "vps": str(row.id),
        "dom0": dom0.minion_id,
        "hypervisor": dom0.hypervisor.value,
        "state": row.state.value,
        "ipv4": ipv4[0] if ipv4 else None,
        "seconds_paid_to_running": seconds,
    }


def newest_job(db: Database, vps_id: uuid.UUID) -> Row | None:
    """Return how far the newest job of a VPS is, in words for people; None while it has none."""
    with db.reading() as session:
        job = job_queries.newest_jobs(session, [vps_id]).get(vps_id)
    if job is None:
        return None
    titles = {step.get("name"): step.get("title") for step in job.steps}
    return {
        "kind": job.kind.value,
        "state": job.state.value,
        "percent": job.percent,
        "step": titles.get(job.step) or job.step,
        "note": job.note,
        "error": job.error,
    }


def _state(kind: type[State], text: str | None) -> State | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no state; allowed are {', '.join(_values(kind))}.", field="state"
        ) from None


def _values(kind: Iterable[StrEnum]) -> list[str]:
    return [member.value for member in kind]


def _dom0_id(dom0: Dom0 | None, name: str) -> int:
    if dom0 is None:
        raise InvalidInput(f"There is no dom0 {name!r}.", field="dom0")
    return dom0.id


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso_z(moment)
