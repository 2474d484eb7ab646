"""An order changes its state by its table, once, with an audit event."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Order, OrderState
from domus.billing.states import ORDER_TRANSITIONS, change_order_state
from domus.core.errors import Conflict
from domus.db.engine import Database
from tests.support.builders import NOW
from tests.support.people import People

EVENTS = ("pay", "fulfil", "cancel", "refund")
#: How an order gets into each state.
WAY = {
    OrderState.PLACED: (),
    OrderState.PAID: ("pay",),
    OrderState.FULFILLED: ("pay", "fulfil"),
    OrderState.CANCELLED: ("cancel",),
    OrderState.REFUNDED: ("pay", "refund"),
}


def change(db: Database, order: Order, event: str, people: People) -> bool:
    with db.unit_of_work() as session:
        return change_order_state(session, order.id, event, actor=people.as_olga, reason="because", now=NOW)


def state_of(db: Database, order: Order) -> OrderState:
    with db.reading() as session:
        return session.get_one(Order, order.id).state


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_in_every_state_is_done_refused_or_known(
    db: Database, people: People, place: Callable[..., Order], state: OrderState, event: str
) -> None:
    order = place()
    for step in WAY[state]:
        change(db, order, step, people)
    if (state, event) in ORDER_TRANSITIONS.arrows:
        assert change(db, order, event, people)
        assert state_of(db, order) is ORDER_TRANSITIONS.arrows[(state, event)]
    elif state in {target for (_, name), target in ORDER_TRANSITIONS.arrows.items() if name == event}:
        assert not change(db, order, event, people)
        assert state_of(db, order) is state
    else:
        with pytest.raises(Conflict):
            change(db, order, event, people)
        assert state_of(db, order) is state


@pytest.fixture
def any_db(db: Database) -> Database:
    return db


@pytest.fixture
def cast(people: People) -> People:
    return people


def test_the_change_is_recorded_once_with_who_and_why(
    db: Database, people: People, place: Callable[..., Order]
) -> None:
    order = place()
    change(db, order, "cancel", people)
    change(db, order, "cancel", people)
    with db.reading() as session:
        (event,) = session.scalars(sa.select(AuditEvent)).all()
    assert (event.action, event.object_id, event.reason) == ("order.cancelled", str(order.id), "because")
    assert event.actor == people.as_olga.name
    assert event.account_id == people.acme.id


def test_of_many_who_pay_and_cancel_at_once_one_kind_wins(
    db: Database, people: People, place: Callable[..., Order]
) -> None:
    order = place()

    def attempt(event: str) -> bool:
        try:
            return change(db, order, event, people)
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, ["pay", "cancel"] * 8)) == 1
