"""What a contract may be changed to, at which amounts, and what was changed before. Reads only."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.accounts.actor import Actor
from domus.billing.models import Subscription
from domus.catalog.models import OsTemplate, Price
from domus.contracts import quotes
from domus.contracts.models import ChangeState, ContractChange
from domus.contracts.quotes import Quote
from domus.core.errors import Conflict, InvalidInput, NotFound
from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State
from domus.renewals import services as renewals
from domus.renewals.addons import has_addons
from domus.vps import queries as vps_queries
from domus.vps.models import Vps, VpsState

_WHOLE = (
    joinedload(ContractChange.subscription),
    joinedload(ContractChange.invoice),
    joinedload(ContractChange.vps),
    joinedload(ContractChange.from_price).joinedload(Price.product),
    joinedload(ContractChange.to_price).joinedload(Price.product),
)


@dataclass(frozen=True, slots=True)
class Option:
    """A price that a contract may go to: what it would mean, or why it cannot."""

    price: Price
    quote: Quote | None
    obstacle: str


def options(db: Database, *, vps_id: uuid.UUID, actor: Actor, now: datetime) -> list[Option]:
    """Return the prices that the contract of a VPS may go to, each with all its amounts, and those that cannot be and why.

    Raises Conflict when it cannot be changed at all now, NotFound for strangers.
    """
    with db.reading() as session:
        vps, contract = changeable(session, vps_id, actor, now=now)
        current = session.get_one(Price, contract.price_id)
        template = session.get_one(OsTemplate, vps.template_id)
        found = []
        for price in quotes.candidates(session, include_private=actor.is_operator):
            if price.id == current.id or price.currency != current.currency:
                continue
            why_not = quotes.obstacle(vps, template, current, price)
            offer = None if why_not else quotes.quote(session, contract, vps, price, now=now)
            found.append(Option(price, offer, why_not))
    return found


def quote(db: Database, *, vps_id: uuid.UUID, price_id: int, actor: Actor, now: datetime) -> Quote:
    """Return what the change of a VPS to a price would mean, with every amount; raises as `agree` does."""
    with db.reading() as session:
        vps, contract = changeable(session, vps_id, actor, now=now)
        price = chosen(session, contract, vps, price_id, actor)
        return quotes.quote(session, contract, vps, price, now=now)


def get(db: Database, *, change_id: int, actor: Actor) -> ContractChange:
    """Return a change with its prices and invoice; strangers get NotFound."""
    with db.reading() as session:
        found = session.get(ContractChange, change_id, options=_WHOLE)
        if found is not None:
            actor.require_account(found.subscription.account_id, what="change")
            if found.invoice is not None:
                # What a former owner paid is no business of the present one.
                actor.require_account(found.invoice.account_id, what="change")
    if found is None:
        raise NotFound("There is no such change.")
    return found


def open_change(session: Session, subscription_id: int) -> ContractChange | None:
    """Return the change of a contract that waits to be paid, ready to be shown."""
    return _newest(session, subscription_id, ContractChange.state == ChangeState.OPEN)


def last_done(session: Session, subscription_id: int) -> ContractChange | None:
    """Return the last change of a contract that took place, ready to be shown."""
    return _newest(session, subscription_id, ContractChange.state == ChangeState.DONE)


def history(session: Session, subscription_id: int) -> Sequence[ContractChange]:
    """Return all changes of a contract, the newest first, ready to be shown."""
    query = sa.select(ContractChange).where(ContractChange.subscription_id == subscription_id)
    return session.scalars(query.options(*_WHOLE).order_by(ContractChange.id.desc())).all()


def changeable(
    session: Session, vps_id: uuid.UUID, actor: Actor, *, now: datetime, lock: bool = False
) -> tuple[Vps, Subscription]:
    """Return a VPS and its contract; raise Conflict when it cannot be changed now, with the reason."""
    vps = vps_queries.get(session, vps_id, actor=actor)
    query = sa.select(Subscription).where(Subscription.order_id == vps.order_id)
    contract = renewals.lock(session, vps) if lock else session.scalar(query)
    if contract is None or contract.ended_on is not None or vps.state is not VpsState.ACTIVE:
        raise Conflict("Only a VPS that was handed over and whose contract goes on can be changed.")
    if contract.cancel_on is not None:
        raise Conflict("Its contract was cancelled; take that back first, then it can be changed.")
    if has_addons(session, contract.id):
        raise Conflict(
            "Its contract has add-ons, which belong to its product; it cannot be changed to another. Please ask us."
        )
    if contract.paid_until <= now.date():
        raise Conflict("Its contract is not paid for today; renew it first, then it can be changed.")
    if vps.suspensions:
        reasons = ", ".join(sorted(one.reason.value for one in vps.suspensions))
        raise Conflict(f"The VPS is suspended ({reasons}); it can be changed when that is lifted.")
    if session.get_one(Dom0, vps.dom0_id).state is Dom0State.LOST:
        raise Conflict("The machine that the VPS was on is lost; it cannot be changed.")
    return vps, contract


def chosen(session: Session, contract: Subscription, vps: Vps, price_id: int, actor: Actor) -> Price:
    """Return a price that a contract can be changed to; raise InvalidInput, with the reason, for any other."""
    among = quotes.candidates(session, include_private=actor.is_operator)
    price = next((price for price in among if price.id == price_id), None)
    if price is None:
        raise InvalidInput("This price is not on offer.", field="price_id")
    current = session.get_one(Price, contract.price_id)
    why_not = quotes.obstacle(vps, session.get_one(OsTemplate, vps.template_id), current, price)
    if why_not:
        raise InvalidInput(why_not, field="price_id")
    return price


def _newest(session: Session, subscription_id: int, which: sa.ColumnElement[bool]) -> ContractChange | None:
    query = sa.select(ContractChange).where(ContractChange.subscription_id == subscription_id, which)
    return session.scalar(query.options(*_WHOLE).order_by(ContractChange.id.desc()).limit(1))
