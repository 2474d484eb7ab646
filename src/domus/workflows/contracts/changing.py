"""Another price for a contract, and with it another size of its VPS: quoted, agreed to, paid, carried out.

Who agrees to something that costs gets an invoice, and the room on the dom0 is held until it is paid or expires. What costs
nothing is carried out at once. The machine follows by the outbox, as it does for orders.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import crediting
from domus.billing import services as billing
from domus.billing.models import Invoice, Subscription
from domus.catalog.models import Price, Product
from domus.contracts import quotes, services
from domus.contracts.models import ChangeState, ContractChange
from domus.contracts.quotes import Quote
from domus.core.errors import Conflict, DomusError, NotFound
from domus.core.money import Money
from domus.coupons import services as coupons
from domus.db.engine import Database
from domus.inventory.queries import lock_dom0
from domus.mail import services as mail
from domus.placement import services as placement
from domus.placement.choose import Need
from domus.provisioning import outbox
from domus.provisioning import services as provisioning
from domus.provisioning.models import JobKind
from domus.renewals import services as renewals
from domus.vps import queries as vps_queries
from domus.vps import services as vps_services
from domus.vps.models import Vps, VpsState
from domus.workflows.contracts.offering import changeable, chosen, get

log = logging.getLogger(__name__)

SWEEP = Actor.system("sweep")


@dataclass(frozen=True, slots=True)
class Locked:
    """A change with its contract and VPS, which nobody else changes until the transaction ends."""

    vps: Vps
    contract: Subscription
    change: ContractChange


def agree(
    db: Database,
    *,
    vps_id: uuid.UUID,
    price_id: int,
    shown: Money | None,
    restart: bool = False,
    hold: timedelta,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> ContractChange:
    """Agree to a change: carried out at once when nothing is to be paid, else as soon as its invoice is.

    ``shown`` is the amount that was agreed to (`Quote.answer`); when it is another by now, nothing is done. None agrees to
    whatever it is. ``restart`` has the VPS restarted when that is what the new size needs. Until *hold* is over the room
    on the dom0 is kept. Raises InvalidInput for a price that cannot be changed to, NoCapacity when the dom0 has no room,
    Conflict when the contract cannot be changed now or a change is open; then nothing is held and nothing is owed.
    """
    with db.unit_of_work() as session:
        lock_dom0_of(session, vps_id, actor)
        vps_queries.lock(session, vps_id, actor=actor)
        vps, contract = changeable(session, vps_id, actor, now=now, lock=True)
        services.refuse_second(session, contract)
        price = chosen(session, contract, vps, price_id, actor)
        offer = quotes.quote(session, contract, vps, price, now=now)
        if shown is not None and shown != offer.answer:
            raise Conflict(
                f"The amount is {offer.answer} by now and not {shown} any more. Please look at it again."
            )
        _hold_room(session, vps, offer)
        change = services.open_change(
            session, contract, vps, offer, restart=restart, hold=hold, actor=actor, now=now
        )
        audit.record(
            session, actor=actor, action="contract.change_agreed", object_type="vps", object_id=vps.id,
            account_id=vps.account_id, reason=reason, now=now,
            details={"change": change.id, "to": str(price), "amount": str(offer.answer)},
        )  # fmt: skip
        if change.invoice_id is None:
            parts = quotes.to_credit(session, contract, -(offer.net + offer.tax))
            _give_back(session, parts, price, actor=actor, now=now)
            begin(session, Locked(vps, contract, change), actor=actor, reason=reason, now=now)
    return get(db, change_id=change.id, actor=actor)


def withdraw(
    db: Database, *, change_id: int, actor: Actor, reason: str = "", now: datetime
) -> ContractChange:
    """Take a change back that is not paid; its room is free at once. Again, nothing changes.

    Raises Conflict when it took place already.
    """
    with db.unit_of_work() as session:
        locked = lock(session, change_id, actor)
        if locked.change.state is ChangeState.DONE:
            raise Conflict("This change took place already. You can change the VPS again.")
        note = reason or ("withdrawn by us" if actor.is_operator else "withdrawn by the customer")
        _withdraw(session, locked, note=note, actor=actor, now=now)
    return get(db, change_id=change_id, actor=actor)


def mark_paid(
    db: Database, *, change_id: int, actor: Actor, reason: str = "", now: datetime
) -> ContractChange:
    """Book the invoice of a change as paid by other means, and carry it out; operators only."""
    actor.require_operator()
    return _pay(db, change_id, gateway="operator", reason=reason, actor=actor, now=now)


def pay_with_test_gateway(db: Database, *, change_id: int, actor: Actor, now: datetime) -> ContractChange:
    """Pay with play money. Whether that is allowed here is the door's to know (`Settings.test_gateway`)."""
    return _pay(db, change_id, gateway="test", reason="", actor=actor, now=now)


def expire(db: Database, *, now: datetime) -> int:
    """Withdraw the changes that were not paid in time, or that something else has overtaken; return how many."""
    with db.reading() as session:
        late = sa.select(ContractChange.id).where(ContractChange.state == ChangeState.OPEN)
        ids = session.scalars(late.where(_is_stale(now)).order_by(ContractChange.id)).all()
    done = 0
    for change_id in ids:
        try:
            with db.unit_of_work() as session:
                locked = lock(session, change_id, SWEEP)
                overtaken = services.overtaken(session, locked.change, locked.contract, locked.vps)
                if overtaken or locked.change.expires_at <= now:
                    note = overtaken or "not paid in time"
                    done += _withdraw(session, locked, note=note, actor=SWEEP, now=now)
        except DomusError as error:
            log.info("change %s was not withdrawn: %s", change_id, error)
    return done


def lock(session: Session, change_id: int, actor: Actor) -> Locked:
    """Lock what a change is about, in the order of everybody: dom0, VPS, contract; raise NotFound for strangers."""
    change = session.get(ContractChange, change_id)
    if change is None:
        raise NotFound("There is no such change.")
    lock_dom0_of(session, change.vps_id, actor)
    vps = vps_queries.lock(session, change.vps_id, actor=actor)
    contract = renewals.lock(session, vps)
    session.refresh(change)
    if contract is None:
        raise NotFound("There is no such change.")
    return Locked(vps, contract, change)


def lock_open(session: Session, invoice_id: int, *, now: datetime) -> Locked | None:
    """Lock the change that an invoice is for, for money that arrives; None when it is for none, or that is open no longer.

    When something else has overtaken it, it is withdrawn: the invoice is cancelled, and the money goes to the balance.
    """
    change_id = session.scalar(sa.select(ContractChange.id).where(ContractChange.invoice_id == invoice_id))
    if change_id is None:
        return None
    locked = lock(session, change_id, Actor.system("payments"))
    if locked.change.state is not ChangeState.OPEN:
        return None
    overtaken = services.overtaken(session, locked.change, locked.contract, locked.vps)
    if overtaken:
        _withdraw(session, locked, note=overtaken, actor=Actor.system("payments"), now=now)
        return None
    return locked


def begin(session: Session, locked: Locked, *, actor: Actor, reason: str = "", now: datetime) -> bool:
    """Set going what follows from a change being paid, or costing nothing; False when that was done already."""
    vps, contract, change = locked.vps, locked.contract, locked.change
    if change.state is not ChangeState.OPEN:
        return False
    # Asked for at the old price; the next run asks at the new one.
    renewals.withdraw_open(session, contract, now=now)
    price = session.get_one(Price, change.to_price_id, options=[joinedload(Price.product)])
    contract.price_id = price.id
    coupons.end_unless_for(session, contract.order_id, price)
    revision = _resize(session, vps, price.product, change, actor=actor, now=now)
    services.finish(session, change, revision=revision, now=now)
    audit.record(
        session, actor=actor, action="contract.changed", object_type="vps", object_id=vps.id,
        account_id=vps.account_id, reason=reason, details={"change": change.id, "to": str(price)}, now=now,
    )  # fmt: skip
    _tell(session, locked, price, now=now)
    return True


def withdraw_of(
    session: Session, vps: Vps, contract: Subscription, *, note: str, actor: Actor, now: datetime
) -> None:
    """Take back the change of a locked contract that waits to be paid, should there be one."""
    change = services.open_of(session, contract.id)
    if change is not None:
        _withdraw(session, Locked(vps, contract, change), note=note, actor=actor, now=now)


def lock_dom0_of(session: Session, vps_id: uuid.UUID, actor: Actor) -> None:
    """Lock the dom0 of a VPS, before the VPS as by a report of it: a change of what is reserved writes its sums.

    Raises NotFound for strangers.
    """
    row = session.execute(sa.select(Vps.dom0_id, Vps.account_id).where(Vps.id == vps_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such VPS.")
    actor.require_account(row.account_id, what="VPS")
    lock_dom0(session, dom0_id=row.dom0_id)


def _hold_room(session: Session, vps: Vps, offer: Quote) -> None:
    others = sum(disk.size_mib for disk in vps.disks if disk.role != "root")
    need = Need(memory_mib=offer.new.memory_mib, disk_mib=offer.new.disk_mib + others, vcpus=offer.new.vcpus)
    placement.grow(session, vps.id, need)


def _resize(
    session: Session, vps: Vps, product: Product, change: ContractChange, *, actor: Actor, now: datetime
) -> int | None:
    """Want the new size, and tell Salt; return the revision that has it, or None when the size stays."""
    if vps.product_id == product.id:
        return None
    why = f"changed to {product.name}"
    revision = vps_services.want_size(
        session, vps, product, disk_mib=change.disk_mib, restart=change.restart, actor=actor, reason=why,
        now=now,
    )  # fmt: skip
    tag = outbox.SUBSCRIPTION_CHANGED
    if change.restart:
        provisioning.ask_dom0(
            session, vps.id, JobKind.REBOOT, revision=revision, actor=actor, reason=why, now=now, tag=tag
        )
    else:
        provisioning.tell_vps_changed(session, vps.id, now=now, tag=tag)
    return revision


def _give_back(
    session: Session,
    parts: Sequence[tuple[Invoice, Money]],
    price: Price,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    for invoice, amount in parts:
        locked = crediting.lock(session, invoice.id) or invoice
        reason = f"changed to {price.product.name}; unused days"
        crediting.credit_to_balance(session, locked, amount, reason=reason, actor=actor, now=now)


def _withdraw(session: Session, locked: Locked, *, note: str, actor: Actor, now: datetime) -> bool:
    if not services.withdraw(session, locked.change, note=note, now=now):
        return False
    if locked.vps.applied_revision == locked.vps.revision:
        placement.fit(session, locked.vps.id)
    audit.record(
        session, actor=actor, action="contract.change_withdrawn", object_type="vps", object_id=locked.vps.id,
        account_id=locked.vps.account_id, reason=note, details={"change": locked.change.id}, now=now,
    )  # fmt: skip
    return True


def _pay(
    db: Database, change_id: int, *, gateway: str, reason: str, actor: Actor, now: datetime
) -> ContractChange:
    with db.unit_of_work() as session:
        locked = lock(session, change_id, actor)
        change = locked.change
        if change.invoice_id is None or change.state is ChangeState.WITHDRAWN:
            raise Conflict("Nothing is to be paid for this change (any more).")
        overtaken = services.overtaken(session, change, locked.contract, locked.vps)
        if change.state is ChangeState.OPEN and overtaken:
            raise Conflict(f"This change can no longer be paid: {overtaken}. Nothing was booked.")
        invoice = session.get_one(Invoice, change.invoice_id)
        billing.settle(
            session, invoice, gateway=gateway, reference=f"invoice:{invoice.id}", amount=invoice.gross,
            actor=actor, now=now,
        )  # fmt: skip
        begin(session, locked, actor=actor, reason=reason, now=now)
    return get(db, change_id=change_id, actor=actor)


def _is_stale(now: datetime) -> sa.ColumnElement[bool]:
    """Return whether an open change has to be looked at: late, or its contract or VPS not as it was."""
    moved = sa.exists().where(
        Subscription.id == ContractChange.subscription_id,
        sa.or_(
            Subscription.paid_until != ContractChange.until,
            Subscription.price_id != ContractChange.from_price_id,
            Subscription.ended_on.is_not(None),
        ),
    )
    down = sa.exists().where(
        Vps.id == ContractChange.vps_id, sa.or_(Vps.state != VpsState.ACTIVE, Vps.suspensions.any())
    )
    return sa.or_(ContractChange.expires_at <= now, moved, down)


def _tell(session: Session, locked: Locked, price: Price, *, now: datetime) -> None:
    vps, change = locked.vps, locked.change
    mail.enqueue(
        session, "contract_changed", session.get_one(Account, vps.account_id),
        {
            "product": price.product.name, "vps": vps.name, "hostname": vps.hostname,
            "paid_until": locked.contract.paid_until, "restart": change.restart, "path": f"/vps/{vps.id}",
        },
        cause=f"contract_change:{change.id}", now=now,
    )  # fmt: skip
