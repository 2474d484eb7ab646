"""What gateways and the bank said, for operators: events processed again, transfers assigned."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from domus.accounts.actor import Actor
from domus.billing.models import Order, Payment
from domus.core.clock import utc_now
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.models import BankLine, EventState, GatewayEvent, LineState, PaymentAttempt
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways
from domus.workflows import billing
from domus.workflows.payments import bank, charging, events
from domus_web import create_app
from tests.support import panel
from tests.support.fake_gateway import FakeGateway, delivery, make_saved_method
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

PRICE = Money(1250, "USD")


@pytest.fixture
def fake() -> FakeGateway:
    """Offer a gateway that can do everything."""
    return FakeGateway()


@pytest.fixture
def app(db: Database, fake: FakeGateway) -> Flask:
    """Offer the panels with the fake gateway."""
    return create_app(panel.settings(), db, Gateways(fake, Prepaid()))


@pytest.fixture
def order(shop: Shop, people: People) -> Order:
    """Offer an order that waits for its money."""
    return shop.order(people.alice)


@pytest.fixture
def line(db: Database, order: Order) -> BankLine:
    """Offer a transfer without a reference."""
    bank.import_statement(
        db,
        b"date,amount,currency,payer,text\n2026-11-20,12.50,USD,Alice,no idea\n",
        file_name="november.csv",
        actor=Actor.shell("olga"),
        now=utc_now(),
    )
    with db.reading() as session:
        return session.scalars(sa.select(BankLine)).one()


def state_of(db: Database, line: BankLine) -> LineState:
    with db.reading() as session:
        return session.get_one(BankLine, line.id).state


def test_a_transfer_is_assigned_to_an_invoice(
    db: Database, shop: Shop, olga: Visitor, order: Order, line: BankLine
) -> None:
    listed = text_of(olga.get("/operator/transfers/"))
    assert "12.50 USD" in listed
    assert "no reference of ours in it" in listed
    answer = olga.post(
        f"/operator/transfers/do/invoice/?id={line.id}",
        {"invoice": order.invoice.id, "reason": "she called"},
    )
    assert "settled invoice" in text_of(olga.get(answer.location or ""))
    assert state_of(db, line) is LineState.BOOKED
    assert shop.vps(order).state.value == "provisioning"


def test_a_transfer_is_assigned_to_a_balance(
    db: Database, olga: Visitor, order: Order, line: BankLine
) -> None:
    olga.post(
        f"/operator/transfers/do/account/?id={line.id}", {"account": order.account_id, "reason": "prepaid"}
    )
    with db.reading() as session:
        assert session.scalars(sa.select(Payment)).one().invoice_id is None
    assert f"balance of account {order.account_id}" in text_of(olga.get("/operator/payments/"))
    assert "Balance 12.50 USD" in text_of(olga.get(f"/operator/accounts/details/?id={order.account_id}"))


def test_a_transfer_is_not_assigned_to_what_is_not_there(db: Database, olga: Visitor, line: BankLine) -> None:
    for act, field in (("invoice", "invoice"), ("account", "account")):
        page = olga.post(
            f"/operator/transfers/do/{act}/?id={line.id}", {field: 4711, "reason": "x"}, status=422
        )
        assert f"There is no such {field}" in text_of(page)
    assert state_of(db, line) is LineState.UNMATCHED


def test_a_transfer_is_set_aside_once(db: Database, olga: Visitor, line: BankLine) -> None:
    olga.post(f"/operator/transfers/do/set-aside/?id={line.id}", {"reason": "tax office"})
    assert state_of(db, line) is LineState.SET_ASIDE
    olga.post(f"/operator/transfers/do/set-aside/?id={line.id}", {"reason": "again"}, status=409)


def test_an_event_that_needs_an_operator_is_processed_again(
    db: Database, olga: Visitor, fake: FakeGateway, people: People
) -> None:
    gateways = Gateways(fake)
    stored = events.accept(db, gateways, "fake", delivery("pay-1"), sender="192.0.2.1", now=utc_now())
    assert stored is not None
    events.process(db, gateways, stored, now=utc_now())
    page = text_of(olga.get(f"/operator/gateway-events/details/?id={stored}"))
    assert "it concerns nothing of ours" in page
    answer = olga.post(f"/operator/gateway-events/do/repeat/?id={stored}", {"reason": "restored a backup"})
    assert "processed again" in text_of(olga.get(answer.location or ""))
    with db.reading() as session:
        assert session.get_one(GatewayEvent, stored).state is EventState.IGNORED


def test_the_list_of_events_leaves_their_bodies_where_they_are(
    db: Database, olga: Visitor, fake: FakeGateway
) -> None:
    events.accept(db, Gateways(fake), "fake", delivery("pay-1"), sender="192.0.2.1", now=utc_now())
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        assert "pay-1" in text_of(olga.get("/operator/gateway-events/"))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    of_events = [statement for statement in asked if "gateway_event.subject" in statement]
    assert of_events
    assert not any("gateway_event.body" in s or "gateway_event.headers" in s for s in of_events)


def test_what_was_turned_away_is_counted(db: Database, app: Flask, olga: Visitor) -> None:
    said = delivery("pay-1", key=b"guessed")
    for _ in range(2):
        app.test_client().post("/webhooks/fake", data=said.body, headers=dict(said.headers))
    listed = text_of(olga.get("/operator/refusals/"))
    assert "The signature is wrong." in listed
    assert "127.0.0.1" in listed


def test_what_is_prepaid_is_sent_back_and_no_more(
    db: Database, olga: Visitor, order: Order, line: BankLine
) -> None:
    olga.post(
        f"/operator/transfers/do/account/?id={line.id}", {"account": order.account_id, "reason": "prepaid"}
    )
    with db.reading() as session:
        payment_id = session.scalars(sa.select(Payment.id)).one()
    path = f"/operator/payments/do/send-back/?id={payment_id}"
    assert "can be given back" in text_of(olga.post(path, {"amount": "13.00", "reason": "x"}, status=409))
    assert "is not an amount" in text_of(olga.post(path, {"amount": "all", "reason": "x"}, status=422))
    answer = olga.post(path, {"amount": "12.00", "reason": "asked for it"})
    assert "sending them is yours" in text_of(olga.get(answer.location or ""))
    olga.post(path, {"amount": "12.00", "reason": "again"}, status=409)
    assert "Balance 0.50 USD" in text_of(olga.get(f"/operator/accounts/details/?id={order.account_id}"))
    assert billing.check_ledger(db) == []


def test_why_an_attempt_failed_is_shown(db: Database, olga: Visitor, order: Order, fake: FakeGateway) -> None:
    method = make_saved_method(db, order.account_id)
    fake.declines = "Your card has insufficient funds."
    charging.charge(
        db, Gateways(fake), account_id=order.account_id, invoice_id=order.invoice.id, method_id=method.id,
        actor=Actor.system("renewals"), now=utc_now(),
    )  # fmt: skip
    assert "insufficient funds" in text_of(olga.get(f"/operator/attempts/?account={order.account_id}"))
    with db.reading() as session:
        attempt = session.scalars(sa.select(PaymentAttempt)).one()
    page = text_of(olga.get(f"/operator/attempts/details/?id={attempt.id}"))
    assert "Visa ending in 4242" in page
