"""How an order goes from state to state, in one table and one function."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing.models import Order, OrderState
from domus.core.errors import Conflict, NotFound
from domus.core.state_machine import TransitionTable
from domus.db.rows import changed_rows

log = logging.getLogger(__name__)

ORDER_TRANSITIONS = TransitionTable(
    "order",
    {
        (OrderState.PLACED, "pay"): OrderState.PAID,
        (OrderState.PLACED, "cancel"): OrderState.CANCELLED,
        (OrderState.PAID, "fulfil"): OrderState.FULFILLED,
        (OrderState.PAID, "refund"): OrderState.REFUNDED,
        (OrderState.FULFILLED, "refund"): OrderState.REFUNDED,
    },
)

#: The state that each event leads to, wherever it comes from.
_TARGET = {event: target for (_, event), target in ORDER_TRANSITIONS.arrows.items()}


def change_order_state(
    session: Session, order_id: uuid.UUID, event: str, *, actor: Actor, reason: str = "", now: datetime
) -> bool:
    """Let ``pay``, ``fulfil``, ``cancel`` or ``refund`` happen to an order, with its audit event (``order.paid`` ...).

    Returns False, and changes nothing, when it has happened already. Raises Conflict when the table forbids it, NotFound
    when there is no such order. On PostgreSQL the order's row stays locked until the transaction ends.
    """
    order = session.scalar(
        sa.select(Order)
        .where(Order.id == order_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if order is None:
        raise NotFound("There is no such order.")
    if order.state is _TARGET.get(event):
        log.info("%s of order %s came again; nothing to do", event, order.number)
        return False
    new = ORDER_TRANSITIONS.after(order.state, event)
    changed = changed_rows(
        session,
        sa.update(Order)
        .where(Order.id == order_id, Order.state == order.state)
        .values(state=new, **_stamps(new, now)),
    )
    if not changed:
        raise Conflict("The order was changed by somebody else at the same moment; look again.")
    audit.record(
        session,
        actor=actor,
        action=f"order.{new.value}",
        object_type="order",
        object_id=order_id,
        account_id=order.account_id,
        reason=reason,
        now=now,
    )
    return True


def _stamps(state: OrderState, now: datetime) -> dict[str, Any]:
    if state is OrderState.PAID:
        return {"paid_at": now}
    if state is OrderState.FULFILLED:
        return {"fulfilled_at": now}
    return {}
