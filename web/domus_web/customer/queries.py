"""What the customer's pages show, read for one account. Whatever belongs to another account is not found."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.billing.models import Invoice, Order, Subscription, SubscriptionAddon
from domus.catalog.models import OsTemplate, Price
from domus.contracts.models import ContractChange
from domus.core.errors import NotFound
from domus.core.money import Money
from domus.core.periods import Period
from domus.coupons import running
from domus.coupons.running import Running
from domus.gateways.checks import BANK
from domus.inventory.models import AddressState, Dom0, IpAddress
from domus.provisioning.models import Job, JobState
from domus.renewals.addons import costs_of
from domus.renewals.models import Renewal
from domus.renewals.queries import open_renewal
from domus.vps.models import ConsoleTail, Vps, VpsState, VpsTransition
from domus.vps.shown import Shown, shown
from domus.workflows.contracts import offering
from domus_web.pagination import Page, paginate

#: Not in the list of a customer's VPSs: they were never made, or are gone.
PAST_STATES = (VpsState.CANCELLED, VpsState.REMOVED)
HISTORY_LENGTH = 50
JOBS_LENGTH = 10


@dataclass(frozen=True, slots=True)
class VpsView:
    """A VPS with what a page says about it."""

    vps: Vps
    addresses: Sequence[IpAddress]
    job: Job | None
    """The newest one that is still open."""
    shown: Shown
    paid_until: date | None = None
    """The first day that its contract is not paid for; None before the contract begins, and when it has ended."""

    @property
    def ipv4(self) -> IpAddress | None:
        """Return the address to log in at."""
        return next((address for address in self.addresses if ":" not in address.address), None)

    @property
    def is_suspended(self) -> bool:
        """Tell whether there is a reason for which it may not run."""
        return bool(self.vps.suspensions)


@dataclass(frozen=True, slots=True)
class RenewalChoice:
    """A price that a contract can be renewed at, and what it costs with the add-ons."""

    id: int
    period: Period
    amount: Money


@dataclass(frozen=True, slots=True)
class VpsPage:
    """All that the page of one VPS shows."""

    view: VpsView
    subscription: Subscription | None
    renewals: Sequence[RenewalChoice]
    """What the next period can be ordered at; empty when nothing can be renewed."""
    to_pay: Renewal | None
    """The next period, when it was asked for and is not paid."""
    coupon: Running | None
    """What takes something off the next payment."""
    change: ContractChange | None
    """A change of size that waits to be paid."""
    changed: ContractChange | None
    """The last one that took place."""
    jobs: Sequence[Job]
    history: Sequence[VpsTransition]

    @property
    def size_is_coming(self) -> bool:
        """Tell whether a new size is wanted that the machine has not brought about yet."""
        revision = None if self.changed is None else self.changed.revision
        return revision is not None and self.view.vps.applied_revision < revision

    @property
    def can_be_changed(self) -> bool:
        """Tell whether there is a contract whose size may be changed."""
        contract = self.subscription
        return contract is not None and contract.ended_on is None and self.view.vps.state is VpsState.ACTIVE


@dataclass(frozen=True, slots=True)
class OrderPage:
    """All that the page of one order shows."""

    order: Order
    view: VpsView
    provision: Job | None
    """The newest job that makes the VPS."""

    @property
    def is_refunded_to_balance(self) -> bool:
        """Tell whether the money comes back as a balance: a transfer is not sent back by itself."""
        return any(payment.gateway == BANK for payment in self.order.invoice.payments)


def vps_page_list(session: Session, account_id: int, number: int) -> Page[VpsView]:
    """Return the account's VPSs, the newest first."""
    query = (
        sa.select(Vps)
        .where(Vps.account_id == account_id, Vps.state.not_in(PAST_STATES))
        .options(selectinload(Vps.suspensions), joinedload(Vps.template))
        .options(joinedload(Vps.dom0).joinedload(Dom0.location))
        .order_by(Vps.created_at.desc(), Vps.id)
    )
    page = paginate(session, query, number=number)
    return Page(items=_views(session, page.items), number=page.number, has_next=page.has_next)


def vps_view(session: Session, account_id: int, vps_id: uuid.UUID) -> VpsView:
    """Return one VPS of the account; raise NotFound for every other."""
    vps = session.scalar(
        sa.select(Vps)
        .where(Vps.id == vps_id, Vps.account_id == account_id)
        .options(selectinload(Vps.suspensions), selectinload(Vps.disks))
        .options(joinedload(Vps.template), joinedload(Vps.product))
        .options(joinedload(Vps.order), joinedload(Vps.dom0).joinedload(Dom0.location))
    )
    if vps is None:
        raise NotFound("There is no such VPS.")
    return _views(session, [vps])[0]


def vps_page(session: Session, account_id: int, vps_id: uuid.UUID) -> VpsPage:
    """Return what the page of one VPS shows; raise NotFound when it is not the account's."""
    view = vps_view(session, account_id, vps_id)
    subscription = session.scalar(
        sa.select(Subscription)
        .where(Subscription.order_id == view.vps.order_id)
        .options(
            joinedload(Subscription.price).options(selectinload(Price.renewals), joinedload(Price.product)),
            selectinload(Subscription.addons).joinedload(SubscriptionAddon.addon),
        )
    )
    jobs = session.scalars(
        sa.select(Job).where(Job.vps_id == vps_id).order_by(Job.created_at.desc()).limit(JOBS_LENGTH)
    ).all()
    history = session.scalars(
        sa.select(VpsTransition)
        .where(VpsTransition.vps_id == vps_id)
        .order_by(VpsTransition.id.desc())
        .limit(HISTORY_LENGTH)
    ).all()
    to_pay = None if subscription is None else open_renewal(session, subscription.id)
    coupon = running.of_order(session, view.vps.order_id)
    change = None if subscription is None else offering.open_change(session, subscription.id)
    changed = None if subscription is None else offering.last_done(session, subscription.id)
    return VpsPage(
        view, subscription, _renewals(session, subscription), to_pay, coupon, change, changed, jobs, history
    )


def console_tail(session: Session, vps_id: uuid.UUID) -> ConsoleTail | None:
    """Return the last lines of a console, when they were ever asked for."""
    return session.get(ConsoleTail, vps_id)


def order_page_list(session: Session, account_id: int, number: int) -> Page[Order]:
    """Return the account's orders, the newest first."""
    query = (
        sa.select(Order)
        .where(Order.account_id == account_id)
        .options(joinedload(Order.price).joinedload(Price.product), selectinload(Order.invoices))
        .order_by(Order.placed_at.desc(), Order.number.desc())
    )
    return paginate(session, query, number=number)


def order_page(session: Session, account_id: int, order_id: uuid.UUID) -> OrderPage:
    """Return what the page of one order shows; raise NotFound when it is not the account's."""
    order = session.scalar(
        sa.select(Order)
        .where(Order.id == order_id, Order.account_id == account_id)
        .options(joinedload(Order.price).joinedload(Price.product), selectinload(Order.addons))
        .options(
            selectinload(Order.invoices).options(selectinload(Invoice.lines), selectinload(Invoice.payments))
        )
    )
    row = session.execute(sa.select(Vps.id, Vps.account_id).where(Vps.order_id == order_id)).one_or_none()
    if order is None or row is None:
        raise NotFound("There is no such order.")
    vps_id = row.id
    if row.account_id != account_id:
        raise NotFound(
            "The VPS of this order belongs to another account by now. What you paid is under Invoices."
        )
    provision = session.scalar(
        sa.select(Job).where(Job.vps_id == vps_id, Job.kind == "provision").order_by(Job.created_at.desc())
    )
    return OrderPage(order, vps_view(session, account_id, vps_id), provision)


def invoice_page_list(session: Session, account_id: int, number: int) -> Page[Invoice]:
    """Return the account's invoices, the newest first."""
    query = (
        sa.select(Invoice)
        .where(Invoice.account_id == account_id)
        .options(joinedload(Invoice.order))
        .order_by(Invoice.issued_at.desc(), Invoice.id.desc())
    )
    return paginate(session, query, number=number)


def invoice(session: Session, account_id: int, invoice_id: int) -> Invoice:
    """Return one invoice of the account with its lines and payments; raise NotFound for every other."""
    found = session.scalar(
        sa.select(Invoice)
        .where(Invoice.id == invoice_id, Invoice.account_id == account_id)
        .options(joinedload(Invoice.account), joinedload(Invoice.order))
        .options(selectinload(Invoice.lines), selectinload(Invoice.payments))
        .options(selectinload(Invoice.credit_notes))
    )
    if found is None:
        raise NotFound("There is no such invoice.")
    return found


def templates(session: Session) -> Sequence[OsTemplate]:
    """Return the operating systems on offer."""
    return session.scalars(sa.select(OsTemplate).where(OsTemplate.active).order_by(OsTemplate.title)).all()


def _renewals(session: Session, subscription: Subscription | None) -> Sequence[RenewalChoice]:
    if subscription is None or subscription.ended_on is not None or subscription.cancel_on is not None:
        return ()
    prices = [price for price in subscription.price.renewals if price.active] or [subscription.price]
    costs = [(price, price.amount) for price in prices]
    if subscription.addons:
        costs = costs_of(session, subscription, prices)
    return [RenewalChoice(price.id, price.period, amount) for price, amount in costs]


def _views(session: Session, rows: Sequence[Vps]) -> list[VpsView]:
    """Return the views of *rows*, with the addresses and open jobs of all of them in two statements."""
    ids = [vps.id for vps in rows]
    addresses = _addresses(session, ids)
    jobs = _open_jobs(session, ids)
    until = _paid_until(session, [vps.order_id for vps in rows])
    return [
        VpsView(
            vps, addresses.get(vps.id, ()), job := jobs.get(vps.id), _shown(vps, job), until.get(vps.order_id)
        )
        for vps in rows
    ]


def _paid_until(session: Session, order_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, date]:
    query = sa.select(Subscription.order_id, Subscription.paid_until)
    living = query.where(Subscription.order_id.in_(order_ids), Subscription.ended_on.is_(None))
    return {row.order_id: row.paid_until for row in session.execute(living)}


def _shown(vps: Vps, job: Job | None) -> Shown:
    return shown(
        vps.state,
        vps.wanted_power,
        vps.observed_power,
        suspended=bool(vps.suspensions),
        problem=vps.problem,
        job=job,
    )


def _addresses(session: Session, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, list[IpAddress]]:
    query = (
        sa.select(IpAddress)
        .where(IpAddress.vps_id.in_(ids), IpAddress.state.in_((AddressState.RESERVED, AddressState.ASSIGNED)))
        .order_by(IpAddress.pool_id, IpAddress.position)
    )
    found: dict[uuid.UUID, list[IpAddress]] = {}
    for address in session.scalars(query):
        if address.vps_id is not None:
            found.setdefault(address.vps_id, []).append(address)
    return found


def _open_jobs(session: Session, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Job]:
    query = (
        sa.select(Job)
        .where(Job.vps_id.in_(ids), Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
        .order_by(Job.created_at)
    )
    return {job.vps_id: job for job in session.scalars(query)}
