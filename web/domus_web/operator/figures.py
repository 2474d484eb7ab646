"""What the dashboard says, in a fixed number of statements however large the business is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask import url_for
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.billing.models import Order, OrderState
from domus.catalog.models import OsTemplate, Price
from domus.inventory.models import AddressState, Dom0, Dom0State, IpAddress, IpPool, Location
from domus.provisioning.models import Job, JobState
from domus.provisioning.queries import newest_jobs
from domus.vps.models import Vps, VpsState
from domus_web.filters import mib
from domus_web.operator.columns import bar
from domus_web.operator.searching import HAS_PROBLEM, on_lost_dom0

ROWS_SHOWN = 8
DOM0S_SHOWN = 20
#: Nobody needs to know whether 1,000 or 100,000 wait, and counting no further keeps the page quick.
COUNT_LIMIT = 1000
#: Fewer free addresses than these are worth a colour.
SCARCE = 10

_OPEN_JOBS = (JobState.QUEUED, JobState.RUNNING)
_SUMMED = (
    "memory_reserved_mib", "memory_capacity_mib", "disk_reserved_mib", "disk_capacity_mib",
    "vcpus_reserved", "vcpus_capacity",
)  # fmt: skip


def counted(number: int) -> str:
    """Return a number that was counted up to the limit; that there is more is said so."""
    return f"{COUNT_LIMIT:,} or more" if number >= COUNT_LIMIT else f"{number:,}"


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that leads to its list."""

    label: str
    count: int
    url: str
    tone: str = ""

    @property
    def text(self) -> str:
        """Return the number."""
        return counted(self.count)


@dataclass(frozen=True, slots=True)
class Place:
    """A location with what is given away there, and its fullest dom0s."""

    location: Location
    dom0s: Sequence[Dom0]
    dom0_count: int
    memory: Markup
    disk: Markup
    vcpus: Markup
    free_addresses: int

    @property
    def addresses_text(self) -> str:
        """Return how many addresses can still be given away."""
        return counted(self.free_addresses)

    @property
    def addresses_tone(self) -> str:
        """Return the tone of that number: without an address nothing can be sold."""
        return "danger" if not self.free_addresses else "warning" if self.free_addresses < SCARCE else ""

    @property
    def hidden(self) -> int:
        """Return how many dom0s are not shown."""
        return self.dom0_count - len(self.dom0s)


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the dashboard shows; what needs a hand comes first."""

    tiles: Sequence[Tile]
    silent_dom0s: Sequence[Dom0]
    failed: Sequence[tuple[Vps, str]]
    troubled: Sequence[Vps]
    unpaid: Sequence[Order]
    open_jobs: Sequence[Job]
    places: Sequence[Place]
    setup: Sequence[tuple[str, str]] = field(default=())


def figures(session: Session) -> Figures:
    """Read the dashboard."""
    places = _places(session)
    return Figures(
        tiles=_tiles(session),
        silent_dom0s=session.scalars(
            sa.select(Dom0)
            .where(Dom0.failed_runs > 0, Dom0.state != Dom0State.LOST)
            .order_by(Dom0.seen_at)
            .limit(ROWS_SHOWN)
        ).all(),
        failed=_failed(session),
        troubled=_troubled(session),
        unpaid=session.scalars(
            sa.select(Order)
            .where(Order.state == OrderState.PLACED)
            .options(joinedload(Order.account), joinedload(Order.price).joinedload(Price.product))
            .options(selectinload(Order.invoices))
            .order_by(Order.number)
            .limit(ROWS_SHOWN)
        ).all(),
        open_jobs=session.scalars(
            sa.select(Job)
            .where(Job.state.in_(_OPEN_JOBS))
            .options(joinedload(Job.vps).joinedload(Vps.dom0))
            # By state first, as the index is: by time alone every job that ever was would be looked at.
            .order_by(Job.state.desc(), Job.created_at.desc())
            .limit(ROWS_SHOWN)
        ).all(),
        places=places,
        setup=_setup(session, places),
    )


def _tiles(session: Session) -> list[Tile]:
    """Count, in one statement, what the operator looks for first."""

    def up_to(query: sa.Select[Any]) -> Any:
        limited = query.limit(COUNT_LIMIT).subquery()
        return sa.select(sa.func.count()).select_from(limited).scalar_subquery()

    counts = session.execute(
        sa.select(
            up_to(sa.select(Order.id).where(Order.state == OrderState.PLACED)),
            up_to(sa.select(Vps.id).where(Vps.state == VpsState.PROVISION_FAILED)),
            up_to(sa.select(Job.id).where(Job.state.in_(_OPEN_JOBS))),
            up_to(sa.select(Dom0.id).where(Dom0.failed_runs > 0, Dom0.state != Dom0State.LOST)),
            up_to(sa.select(Vps.id).where(Vps.state == VpsState.ACTIVE)),
            up_to(sa.select(Vps.id).where(on_lost_dom0())),
        )
    ).one()
    unpaid, failed, under_way, silent, active, lost = (int(count) for count in counts)
    # What is paid for and has no machine: nothing brings it back by itself, and its contract goes on.
    stranded = Tile(
        "VPSs paid for on lost dom0s", lost, url_for("operator_vps.index_view", trouble="lost"), "danger"
    )
    return [
        *([stranded] if lost else ()),
        Tile("dom0s do not answer", silent, url_for("operator_dom0s.index_view", trouble="yes"), "danger"),
        Tile(
            "installations failed",
            failed,
            url_for("operator_vps.index_view", state="provision_failed"),
            "danger",
        ),
        Tile(
            "orders wait for payment",
            unpaid,
            url_for("operator_orders.index_view", state="placed"),
            "warning",
        ),
        Tile("jobs under way", under_way, url_for("operator_jobs.index_view")),
        Tile("VPSs active", active, url_for("operator_vps.index_view", state="active")),
    ]


def _failed(session: Session) -> list[tuple[Vps, str]]:
    """Return VPSs whose installation failed, the longest waiting first, each with the error of its newest job."""
    query = sa.select(Vps).where(Vps.state == VpsState.PROVISION_FAILED).options(joinedload(Vps.account))
    rows = session.scalars(query.order_by(Vps.created_at).limit(ROWS_SHOWN)).all()
    jobs = newest_jobs(session, [vps.id for vps in rows]) if rows else {}
    return [(vps, jobs[vps.id].error if vps.id in jobs else vps.problem) for vps in rows]


def _troubled(session: Session) -> Sequence[Vps]:
    """Return active VPSs of which their dom0 says that something is wrong, the oldest first."""
    # The few with a problem have an index; asked for together with the state, SQLite would take that of the state.
    wrong = sa.select(Vps.id).where(HAS_PROBLEM).order_by(Vps.created_at).limit(COUNT_LIMIT).subquery()
    query = sa.select(Vps).join(wrong, wrong.c.id == Vps.id).where(Vps.state == VpsState.ACTIVE)
    query = query.options(joinedload(Vps.dom0)).order_by(Vps.created_at)
    return session.scalars(query.limit(ROWS_SHOWN)).all()


def _places(session: Session) -> list[Place]:
    """Return every location with its sums, its free addresses and its fullest dom0s."""
    sums = _sums(session)
    free = _addresses(session)
    fullest = _fullest(session)
    rows = session.scalars(sa.select(Location).order_by(Location.name)).all()
    return [_place(row, sums.get(row.id), fullest.get(row.id, []), free.get(row.id, 0)) for row in rows]


def _place(location: Location, sums: Any, dom0s: Sequence[Dom0], free: int) -> Place:
    count, *totals = sums or (0, *(0 for _ in _SUMMED))
    memory, memory_all, disk, disk_all, vcpus, vcpus_all = (int(total) for total in totals)
    return Place(
        location=location,
        dom0s=dom0s,
        dom0_count=int(count),
        memory=bar(memory, memory_all, f"{mib(memory)} of {mib(memory_all)}", "memory given away"),
        disk=bar(disk, disk_all, f"{mib(disk)} of {mib(disk_all)}", "disk given away"),
        vcpus=bar(vcpus, vcpus_all, f"{vcpus:,} of {vcpus_all:,}", "vCPUs given away"),
        free_addresses=free,
    )


def _sums(session: Session) -> dict[int, Any]:
    columns = (sa.func.sum(getattr(Dom0, name)) for name in _SUMMED)
    query = sa.select(Dom0.location_id, sa.func.count(), *columns).where(Dom0.state != Dom0State.LOST)
    return {row[0]: row[1:] for row in session.execute(query.group_by(Dom0.location_id))}


def _addresses(session: Session) -> dict[int, int]:
    """Return for each location how many addresses are free in the pools in use, counting so far and no further."""
    free = sa.select(IpAddress.id).where(IpAddress.pool_id == IpPool.id, IpAddress.state == AddressState.FREE)
    of_pool = sa.select(sa.func.count()).select_from(free.limit(COUNT_LIMIT).correlate(IpPool).subquery())
    query = (
        sa.select(IpPool.location_id, sa.func.sum(of_pool.correlate(IpPool).scalar_subquery()))
        .where(IpPool.active)
        .group_by(IpPool.location_id)
    )
    return {location: int(count) for location, count in session.execute(query)}


def _fullest(session: Session) -> dict[int, list[Dom0]]:
    """Return the dom0s of each location with the least memory left, a few of each."""
    left = Dom0.memory_capacity_mib - Dom0.memory_reserved_mib
    place = sa.func.row_number().over(partition_by=Dom0.location_id, order_by=(left, Dom0.minion_id))
    ranked = sa.select(Dom0.id, place.label("place")).where(Dom0.state != Dom0State.LOST).subquery()
    query = sa.select(Dom0).join(ranked, ranked.c.id == Dom0.id).where(ranked.c.place <= DOM0S_SHOWN)
    found: dict[int, list[Dom0]] = {}
    for dom0 in session.scalars(query.order_by(ranked.c.place)):
        found.setdefault(dom0.location_id, []).append(dom0)
    return found


def _setup(session: Session, places: Sequence[Place]) -> list[tuple[str, str]]:
    """Return what is missing before anything can be sold."""
    has_price, has_template, has_address = session.execute(
        sa.select(
            sa.exists().where(Price.active, Price.renewal_of_id.is_(None)),
            sa.exists().where(OsTemplate.active),
            sa.exists().where(IpAddress.state == AddressState.FREE),
        )
    ).one()
    missing = (
        (not places, "Add a location", "operator_locations.create_view"),
        (not any(p.dom0_count for p in places), "Add a dom0", "operator_dom0s.create_view"),
        (not has_address, "Add an IP pool with free addresses", "operator_pools.index_view"),
        (not has_template, "Add an OS template", "operator_templates.create_view"),
        (not has_price, "Add a product with a price", "operator_products.index_view"),
    )
    return [(text, endpoint) for is_missing, text, endpoint in missing if is_missing]
