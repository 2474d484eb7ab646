"""Orders from the form to the end: placed, paid, cancelled, retried, refunded.

Each is one transaction or nothing.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing import services as billing
from domus.billing.models import Invoice, Order, OrderAddon, OrderState
from domus.billing.states import change_order_state
from domus.catalog.addons import extras_of
from domus.catalog.models import Price
from domus.core.errors import Conflict, DomusError, InvalidInput, NoCapacity, NotAllowed, NotFound
from domus.coupons import services as coupons
from domus.db.engine import LOCK_TIMEOUT_SECONDS, Database
from domus.db.locks import lock_name
from domus.placement import addresses
from domus.placement import services as placement
from domus.provisioning import jobs
from domus.provisioning import services as provisioning
from domus.provisioning.models import JobKind
from domus.renewals import services as renewals
from domus.vps import queries as vps_queries
from domus.vps import services as vps_services
from domus.vps.models import Power, Vps, VpsState
from domus.workflows import order_coupons
from domus.workflows.mail_orders import tell_placed
from domus.workflows.order_checks import Choice, OrderRequest, check_choice, check_wish
from domus.workflows.payments import givenback

__all__ = [
    "OrderRequest",
    "begin",
    "cancel",
    "expire_unpaid",
    "get",
    "lock",
    "mark_paid",
    "pay_with_test_gateway",
    "place",
    "refund",
    "retry",
]

log = logging.getLogger(__name__)

#: How long the disk of a VPS that was in use is kept after its order was refunded.
REMOVAL_GRACE = timedelta(days=7)


def get(db: Database, *, order_id: uuid.UUID, actor: Actor) -> Order:
    """Return an order with its price, product, invoice and payments; raise NotFound for strangers."""
    with db.reading() as session:
        return _load(session, order_id, actor)


def place(
    db: Database,
    request: OrderRequest,
    *,
    actor: Actor,
    now: datetime,
    hold: timedelta,
    max_unpaid: int | None = None,
) -> Order:
    """Place an order: its price fixed, its place and addresses held until *hold* is over.

    The same form sent twice is the same order. One that a coupon leaves nothing to pay of is paid at once. Raises
    InvalidInput with the field, NoCapacity, or Conflict when the account has ``max_unpaid`` orders to pay already; then
    nothing is held and nothing is owed.
    """
    actor.require_account(request.account_id, what="account")
    with db.reading() as session:
        earlier = _same_form(session, request)
    if earlier is not None:
        return get(db, order_id=earlier, actor=actor)
    wish = check_wish(request)
    try:
        with db.unit_of_work() as session:
            _limit_lock_wait(session)
            if max_unpaid is not None:
                _refuse_too_many_unpaid(session, request.account_id, max_unpaid)
            choice = check_choice(session, request, actor=actor)
            coupon = order_coupons.find(session, request, choice, now=now)
            order = _new_order(session, request, choice, now=now, hold=hold)
            placement.reserve(
                session,
                order,
                product=choice.price.product,
                template=choice.template,
                location_id=choice.location.id,
                wish=wish,
                extras=extras_of((one.addon.kind, one.addon.unit, one.count) for one in choice.addons),
                now=now,
            )
            invoice = order_coupons.open_invoice(session, order, coupon, now=now)
            if invoice.gross:
                tell_placed(session, order, invoice, hostname=wish.hostname, now=now)
            audit.record(
                session, actor=actor, action="order.placed", object_type="order", object_id=order.id,
                account_id=order.account_id, details={"number": order.number}, now=now,
            )  # fmt: skip
            if not invoice.gross:
                _begin_free(session, order, actor=actor, now=now)
    except (NoCapacity, InvalidInput, sa.exc.IntegrityError, sa.exc.OperationalError) as error:
        return _settled_elsewhere(db, request, error, actor=actor)
    return get(db, order_id=order.id, actor=actor)


def pay_with_test_gateway(
    db: Database, *, order_id: uuid.UUID, reference: str, actor: Actor, now: datetime
) -> Order:
    """Pay with play money. Whether that is allowed here is the door's to know (`Settings.test_gateway`)."""
    return _settle(db, order_id, gateway="test", reference=reference, reason="", actor=actor, now=now)


def mark_paid(db: Database, *, order_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Order:
    """Book an order as paid by other means; operators only."""
    if not actor.is_operator:
        raise NotAllowed("Only an operator can mark an order as paid.")
    reference = f"order:{order_id}"
    return _settle(db, order_id, gateway="operator", reference=reference, reason=reason, actor=actor, now=now)


def cancel(db: Database, *, order_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Order:
    """Withdraw an order that is not paid; its place and addresses are free at once."""
    with db.unit_of_work() as session:
        order, vps = lock(session, order_id, actor)
        if order.state is not OrderState.CANCELLED:
            _cancel(session, order, vps, actor=actor, reason=reason, now=now)
    return get(db, order_id=order_id, actor=actor)


def retry(db: Database, *, vps_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Vps:
    """Try a failed installation again."""
    with db.unit_of_work() as session:
        vps = vps_queries.lock(session, vps_id, actor=actor)
        if vps_services.transition(session, vps_id, "retry", actor=actor, reason=reason, now=now):
            revision = vps_services.want_another_attempt(session, vps_id, actor=actor, reason=reason, now=now)
            provisioning.ask_dom0(
                session, vps_id, JobKind.PROVISION, revision=revision, actor=actor, reason=reason, now=now
            )
            audit.record(
                session, actor=actor, action="vps.retry", object_type="vps", object_id=vps_id,
                account_id=vps.account_id, reason=reason, now=now,
            )  # fmt: skip
    with db.reading() as session:
        return vps_queries.get(session, vps_id, actor=actor)


def refund(db: Database, *, order_id: uuid.UUID, actor: Actor, reason: str = "", now: datetime) -> Order:
    """Give the money back and take the VPS away.

    A customer may do it when the VPS could not be made, an operator at any time after payment. What was never
    handed over is removed at once; of what was in use the disk is kept for a grace time.
    """
    with db.unit_of_work() as session:
        order, vps = lock(session, order_id, actor)
        if order.state is not OrderState.REFUNDED:
            _refund(session, order, vps, actor=actor, reason=reason, now=now)
    return get(db, order_id=order_id, actor=actor)


def expire_unpaid(db: Database, *, now: datetime) -> int:
    """Cancel the orders that were not paid in time; return how many.

    One that fails does not keep the others.
    """
    overdue = sa.select(Order.id).where(Order.state == OrderState.PLACED, Order.hold_until <= now)
    with db.reading() as session:
        order_ids = session.scalars(overdue.order_by(Order.hold_until)).all()
    expired = 0
    for order_id in order_ids:
        try:
            cancel(db, order_id=order_id, actor=Actor.system("sweep"), reason="not paid in time", now=now)
        except DomusError as error:
            log.info("order %s was not cancelled: %s", order_id, error)
        else:
            expired += 1
    return expired


def _new_order(
    session: Session, request: OrderRequest, choice: Choice, *, now: datetime, hold: timedelta
) -> Order:
    order = Order(
        number=billing.next_number(session, "order"),
        account_id=request.account_id,
        price_id=request.price_id,
        request_token=request.request_token,
        placed_at=now,
        hold_until=now + hold,
        addons=[
            OrderAddon(
                addon_id=one.addon.id, name=one.addon.name, kind=one.addon.kind, unit=one.addon.unit,
                count=one.count, amount_minor=one.each.minor,
            )
            for one in choice.addons
        ],
    )  # fmt: skip
    session.add(order)
    session.flush()  # The VPS refers to it, and the same form sent twice fails here.
    return order


def _refuse_too_many_unpaid(session: Session, account_id: int, maximum: int) -> None:
    """Raise Conflict when the account has enough to pay already: an order costs nothing and keeps a place from others."""
    lock_name(session, f"unpaid:{account_id}")
    unpaid = sa.select(sa.func.count()).where(
        Order.account_id == account_id, Order.state == OrderState.PLACED
    )
    if (session.scalar(unpaid) or 0) >= maximum:
        raise Conflict(
            f"You have as many unpaid orders as an account may have ({maximum}). Please pay or cancel one first."
        )


def _same_form(session: Session, request: OrderRequest) -> uuid.UUID | None:
    return session.scalar(
        sa.select(Order.id).where(
            Order.account_id == request.account_id, Order.request_token == request.request_token
        )
    )


def _settled_elsewhere(db: Database, request: OrderRequest, error: Exception, *, actor: Actor) -> Order:
    """Return the order that the same form placed a moment before.

    Raise what went wrong when there is none.
    """
    with db.reading() as session:
        earlier = _same_form(session, request)
    if earlier is not None:
        return get(db, order_id=earlier, actor=actor)
    # The same form sent twice at once finds the coupon used, by itself.
    if isinstance(error, (NoCapacity, InvalidInput)):
        raise error
    log.warning("an order could not be placed", exc_info=error)
    raise Conflict(
        "Others are ordering at the same moment; nothing was ordered. Please try again."
    ) from error


def _settle(
    db: Database,
    order_id: uuid.UUID,
    *,
    gateway: str,
    reference: str,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Order:
    """Book the payment and set all going that follows from it.

    The same payment told again changes nothing.
    """
    with db.unit_of_work() as session:
        order, vps = lock(session, order_id, actor)
        is_first = order.state is OrderState.PLACED
        invoice = order.invoice
        billing.settle(
            session, invoice, gateway=gateway, reference=reference, amount=invoice.gross, actor=actor, now=now
        )
        if is_first:
            begin(session, order, vps, actor=actor, reason=reason, now=now)
        else:
            log.info("the payment %s of order %s came again; nothing to do", reference, order.number)
    return get(db, order_id=order_id, actor=actor)


def begin(session: Session, order: Order, vps: Vps, *, actor: Actor, reason: str = "", now: datetime) -> None:
    """Set going what follows from an order's invoice being settled, in the caller's transaction, which holds its lock."""
    change_order_state(session, order.id, "pay", actor=actor, reason=reason, now=now)
    billing.start_subscription(session, order, now=now)
    vps_services.transition(session, vps.id, "provision", actor=actor, reason=f"order {order} paid", now=now)
    revision = vps_services.want_power(session, vps.id, Power.RUNNING, actor=actor, now=now)
    addresses.assign(session, vps_id=vps.id, account_id=vps.account_id, now=now)
    jobs.open_job(session, vps.id, JobKind.PROVISION, revision=revision, actor=actor, now=now)
    provisioning.tell_order_paid(session, order.id, now=now)


def _begin_free(session: Session, order: Order, *, actor: Actor, now: datetime) -> None:
    """Settle a new order that costs nothing, and set going what follows."""
    locked, vps = lock(session, order.id, actor)
    billing.settle_free(session, locked.invoice, now=now)
    begin(session, locked, vps, actor=actor, now=now)


def _cancel(session: Session, order: Order, vps: Vps, *, actor: Actor, reason: str, now: datetime) -> None:
    change_order_state(session, order.id, "cancel", actor=actor, reason=reason, now=now)
    billing.cancel_invoice(session, order.invoice)
    vps_services.transition(session, vps.id, "cancel", actor=actor, reason=reason, now=now)
    placement.give_back(session, vps.id, quarantine=timedelta(0), now=now)
    coupons.give_back(session, order.id, now=now)


def _refund(session: Session, order: Order, vps: Vps, *, actor: Actor, reason: str, now: datetime) -> None:
    if not actor.is_operator and vps.state is not VpsState.PROVISION_FAILED:
        raise Conflict(
            "An order can be refunded here when its VPS could not be made; please ask us otherwise."
        )
    change_order_state(session, order.id, "refund", actor=actor, reason=reason, now=now)
    payment = billing.refund(session, order.invoice, actor=actor, reason=reason, now=now)
    if payment is not None:
        givenback.keep_unsendable(session, payment, now=now)
    contract = renewals.lock(session, vps)
    if contract is not None:
        renewals.withdraw_open(session, contract, now=now)
    grace = timedelta(0) if order.fulfilled_at is None else REMOVAL_GRACE
    vps_services.transition(session, vps.id, "remove", actor=actor, reason=reason, now=now)
    revision = vps_services.want_absent(
        session, vps.id, not_before=now + grace, actor=actor, reason=reason, now=now
    )
    provisioning.ask_dom0(
        session, vps.id, JobKind.REMOVE, revision=revision, actor=actor, reason=reason, now=now
    )


def lock(session: Session, order_id: uuid.UUID, actor: Actor) -> tuple[Order, Vps]:
    """Return an order and its VPS, which nobody else changes until this transaction ends.

    The VPS is locked before the order here as everywhere, so that nobody waits for another in a circle.
    """
    vps = vps_queries.lock_of_order(session, order_id)
    order = session.get(Order, order_id, with_for_update={"key_share": True}, populate_existing=True)
    if order is None or vps is None:
        raise NotFound("There is no such order.")
    actor.require_account(order.account_id, what="order")
    return order, vps


def _load(session: Session, order_id: uuid.UUID, actor: Actor) -> Order:
    query = (
        sa.select(Order)
        .where(Order.id == order_id)
        .options(
            joinedload(Order.account),
            joinedload(Order.price).joinedload(Price.product),
            selectinload(Order.addons),
            selectinload(Order.invoices).options(selectinload(Invoice.lines), selectinload(Invoice.payments)),
        )
    )
    order = session.scalar(query)
    if order is None:
        raise NotFound("There is no such order.")
    actor.require_account(order.account_id, what="order")
    return order


def _limit_lock_wait(session: Session) -> None:
    """Have a buyer wait for others only so long, on PostgreSQL as on SQLite, before being asked to try again."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_SECONDS * 1000}"))
