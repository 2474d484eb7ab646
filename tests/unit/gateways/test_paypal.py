"""PayPal, against a local server that behaves as it documents: approval and capture, refunds, keys, signed deliveries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from domus.billing import ledger
from domus.core.errors import ConfigurationError
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.interface import Delivery, DeliveryRefused, GatewayUnavailable, Pending
from domus.gateways.models import AttemptState, EventState
from domus.gateways.paypal import Paypal, from_env
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways
from domus.workflows import orders
from domus.workflows.payments import events, paying
from tests.support.builders import NOW
from tests.support.fake_paypal import (
    AFTER_THE_CERTIFICATE,
    CERTIFICATE_PATH,
    CLIENT_ID,
    CLIENT_SECRET,
    WEBHOOK_ID,
    FakePaypal,
)
from tests.support.till import Till, make_till

LATER = NOW + timedelta(hours=1)


def gateway_at(url: str, *, secret: str = CLIENT_SECRET) -> Paypal:
    made = from_env(
        {
            "DOMUS_PAYPAL_CLIENT_ID": CLIENT_ID,
            "DOMUS_PAYPAL_CLIENT_SECRET": secret,
            "DOMUS_PAYPAL_WEBHOOK_ID": WEBHOOK_ID,
            "DOMUS_PAYPAL_API_BASE": url,
        }
    )
    assert made is not None
    return made


@pytest.fixture
def vendor() -> FakePaypal:
    return FakePaypal()


@pytest.fixture
def paypal(vendor: FakePaypal) -> Iterator[Paypal]:
    with vendor.running() as url:
        yield gateway_at(url)


@pytest.fixture
def make_counter(paypal: Paypal) -> Callable[[Database], Till]:
    """Return a function that opens a shop in which PayPal is a way to pay."""

    def make(db: Database) -> Till:
        till = make_till(db)
        till.gateways = Gateways(paypal, Prepaid())
        return till

    return make


@pytest.fixture
def counter(db: Database, make_counter: Callable[[Database], Till]) -> Till:
    return make_counter(db)


def begin(counter: Till, order: orders.Order) -> str:
    """Begin to pay an order; return PayPal's id of its own."""
    redirect = counter.begin(order.invoice, gateway="paypal")
    assert redirect.url.startswith("https://www.paypal.com/checkoutnow?token=")
    return str(redirect.reference.removeprefix("order/"))


def deliver(counter: Till, delivery: Delivery, *, now: datetime = NOW) -> str:
    stored = events.accept(counter.db, counter.gateways, "paypal", delivery, sender="192.0.2.1", now=now)
    if stored is None:
        return "known"
    return events.process(counter.db, counter.gateways, stored, now=now)


def approved(counter: Till, vendor: FakePaypal, order_id: str) -> str:
    """Let the customer approve, and PayPal tell of it."""
    return deliver(
        counter, vendor.event("CHECKOUT.ORDER.APPROVED", vendor.customer_approves(order_id), at=NOW)
    )


def paid(counter: Till, vendor: FakePaypal) -> tuple[orders.Order, str]:
    """Bring an order to its payment; return it and the id of the capture."""
    order = counter.order()
    approved(counter, vendor, begin(counter, order))
    return order, list(vendor.captures)[-1]


def test_an_approved_order_is_captured_and_settles_the_invoice(counter: Till, vendor: FakePaypal) -> None:
    order = counter.order()
    order_id = begin(counter, order)
    (unit,) = vendor.orders[order_id]["purchase_units"]
    assert unit["amount"] == {"currency_code": "USD", "value": "10.00"}
    assert "settled" in approved(counter, vendor, order_id)
    assert counter.state(order) == ("paid", "paid")
    (capture,) = vendor.captures.values()
    deliver(counter, vendor.event("PAYMENT.CAPTURE.COMPLETED", capture, at=NOW))
    assert counter.payments() == [("paypal", "10.00 USD", True)]
    with counter.db.reading() as session:
        balances = ledger.balances(session)
    assert [str(balances[name][0]) for name in ("fees", "cash:paypal")] == ["0.59 USD", "9.41 USD"]
    counter.assert_books_agree()


def test_who_comes_back_has_the_order_captured(counter: Till, vendor: FakePaypal) -> None:
    order = counter.order()
    vendor.customer_approves(begin(counter, order))
    (attempt,) = counter.attempts()
    row = paying.come_back(
        counter.db, counter.gateways, attempt_id=attempt.id, actor=counter.shop.people.as_alice, now=NOW
    )
    assert row.state is AttemptState.DONE
    assert counter.state(order) == ("paid", "paid")
    counter.assert_books_agree()


def test_who_comes_back_without_having_approved_pays_nothing(counter: Till, vendor: FakePaypal) -> None:
    begin(counter, counter.order())
    (attempt,) = counter.attempts()
    row = paying.come_back(
        counter.db, counter.gateways, attempt_id=attempt.id, actor=counter.shop.people.as_alice, now=NOW
    )
    assert row.state is AttemptState.OPEN
    assert vendor.captures == {}


def test_return_and_events_ten_at_once_capture_and_book_once(
    any_db: Database, make_counter: Callable[[Database], Till], vendor: FakePaypal
) -> None:
    counter = make_counter(any_db)
    order = counter.order()
    delivery = vendor.event(
        "CHECKOUT.ORDER.APPROVED", vendor.customer_approves(begin(counter, order)), at=NOW
    )
    (attempt,) = counter.attempts()
    alice = counter.shop.people.as_alice

    def act(number: int) -> None:
        if number % 2:
            paying.come_back(counter.db, counter.gateways, attempt_id=attempt.id, actor=alice, now=NOW)
        else:
            deliver(counter, delivery)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(act, range(10)))
    events.work(counter.db, counter.gateways, now=LATER)
    assert len(vendor.captures) == 1
    assert counter.payments() == [("paypal", "10.00 USD", True)]
    counter.assert_books_agree()


def test_a_capture_whose_answer_was_lost_is_found(counter: Till, vendor: FakePaypal) -> None:
    order = counter.order()
    order_id = begin(counter, order)
    vendor.customer_approves(order_id)
    vendor.lose_answers = 2  # to the look at the order, and to its capture on the next try
    delivery = vendor.event("CHECKOUT.ORDER.APPROVED", vendor.orders[order_id], at=NOW)
    deliver(counter, delivery)
    for hours in range(1, 4):
        events.work(counter.db, counter.gateways, now=NOW + timedelta(hours=hours))
    assert len(vendor.captures) == 1
    assert counter.state(order) == ("paid", "paid")


def test_a_declined_instrument_ends_the_attempt(counter: Till, vendor: FakePaypal) -> None:
    vendor.declines = True
    order_id = begin(counter, counter.order())
    assert "declined" in approved(counter, vendor, order_id)
    assert [attempt.state for attempt in counter.attempts()] == [AttemptState.FAILED]


def test_who_approves_with_another_card_after_a_refusal_pays(counter: Till, vendor: FakePaypal) -> None:
    order = counter.order()
    order_id = begin(counter, order)
    for vendor.declines in (True, True, False):
        approved(counter, vendor, order_id)
    assert counter.state(order) == ("paid", "paid")
    assert len(vendor.captures) == 1
    assert [attempt.state for attempt in counter.attempts()] == [AttemptState.DONE]


@pytest.mark.parametrize("meanwhile", ["paid", "cancelled"])
@pytest.mark.parametrize("told", ["event", "return"])
def test_what_is_not_due_any_more_is_not_captured(
    counter: Till, vendor: FakePaypal, meanwhile: str, told: str
) -> None:
    order = counter.order()
    order_id = begin(counter, order)
    people = counter.shop.people
    if meanwhile == "paid":
        orders.mark_paid(counter.db, order_id=order.id, actor=people.as_olga, reason="cash", now=NOW)
    else:
        orders.cancel(counter.db, order_id=order.id, actor=people.as_alice, now=NOW)
    if told == "event":
        assert "not paid" in approved(counter, vendor, order_id)
    else:
        vendor.customer_approves(order_id)
        (attempt,) = counter.attempts()
        paying.come_back(counter.db, counter.gateways, attempt_id=attempt.id, actor=people.as_alice, now=NOW)
    assert vendor.captures == {}
    assert [attempt.state for attempt in counter.attempts()] == [AttemptState.FAILED]
    assert counter.balance() == "0.00 USD"


def test_a_look_at_an_order_captures_nothing(counter: Till, vendor: FakePaypal, paypal: Paypal) -> None:
    order_id = begin(counter, counter.order())
    vendor.customer_approves(order_id)
    (fact,) = paypal.look_up(f"order/{order_id}")
    assert (fact, vendor.captures) == (Pending(attempt_id=counter.attempts()[0].id, to_capture=order_id), {})


def test_a_capture_that_waits_is_booked_when_it_is_there(counter: Till, vendor: FakePaypal) -> None:
    vendor.captures_wait = True
    order = counter.order()
    approved(counter, vendor, begin(counter, order))
    assert counter.state(order) == ("placed", "open")
    (capture,) = vendor.captures.values()
    capture["status"] = "COMPLETED"
    deliver(counter, vendor.event("PAYMENT.CAPTURE.COMPLETED", capture, at=NOW))
    assert counter.state(order) == ("paid", "paid")


def test_what_the_body_says_is_not_believed(counter: Till, vendor: FakePaypal) -> None:
    order = counter.order()
    order_id = begin(counter, order)
    lie = {**vendor.orders[order_id], "status": "COMPLETED"}
    deliver(counter, vendor.event("CHECKOUT.ORDER.COMPLETED", lie, at=NOW))
    assert counter.state(order) == ("placed", "open")


def test_orders_of_others_are_neither_captured_nor_booked(counter: Till, vendor: FakePaypal) -> None:
    order_id = begin(counter, counter.order())
    vendor.orders[order_id]["purchase_units"][0]["custom_id"] = "another shop"
    approved(counter, vendor, order_id)
    assert vendor.captures == {}
    assert [event.state for event in counter.events()] == [EventState.IGNORED]


def test_a_refund_is_sent_once_even_when_paypal_has_forgotten_the_key(
    counter: Till, vendor: FakePaypal
) -> None:
    order, _ = paid(counter, vendor)
    orders.refund(counter.db, order_id=order.id, actor=counter.shop.people.as_olga, now=NOW)
    vendor.lose_refunds = 1
    events.work(counter.db, counter.gateways, now=NOW)
    vendor.forget_keys()
    events.work(counter.db, counter.gateways, now=NOW + timedelta(hours=12))
    assert [refund["amount"]["value"] for refund in vendor.refunds.values()] == ["10.00"]
    assert counter.balance() == "0.00 USD"
    counter.assert_books_agree()


def test_a_refund_that_paypal_will_not_make_is_in_the_balance(counter: Till, vendor: FakePaypal) -> None:
    order, _ = paid(counter, vendor)
    orders.refund(counter.db, order_id=order.id, actor=counter.shop.people.as_olga, now=NOW)
    vendor.refuse_refunds = True
    events.work(counter.db, counter.gateways, now=NOW)
    assert counter.balance() == "10.00 USD"
    counter.assert_books_agree()


def test_a_refund_made_at_paypal_is_taken_from_the_balance_once(counter: Till, vendor: FakePaypal) -> None:
    _, capture_id = paid(counter, vendor)
    refund = vendor.operator_refunds(capture_id, "4.00")
    for kind in ("PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"):
        deliver(counter, vendor.event(kind, refund, at=NOW))
    assert counter.balance() == "-4.00 USD"
    counter.assert_books_agree()


def test_a_dispute_needs_an_operator(counter: Till, vendor: FakePaypal) -> None:
    paid(counter, vendor)
    said = deliver(counter, vendor.event("CUSTOMER.DISPUTE.CREATED", {"dispute_id": "PP-D-27803"}, at=NOW))
    assert "answer dispute PP-D-27803" in said
    assert counter.events()[-1].state is EventState.ATTENTION


def test_a_token_that_has_ended_is_renewed(counter: Till, vendor: FakePaypal) -> None:
    order_id = begin(counter, counter.order())
    vendor.end_tokens()
    assert "settled" in approved(counter, vendor, order_id)


def test_wrong_keys_are_not_repeated_in_what_is_said(
    vendor: FakePaypal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with vendor.running() as url, pytest.raises(GatewayUnavailable) as refused:
        gateway_at(url, secret="very secret").look_up("order/ORDER1")
    assert str(refused.value) == "PayPal does not take our keys."
    assert "very secret" not in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(counter: Till, vendor: FakePaypal, status: int) -> None:
    order = counter.order()
    order_id = begin(counter, order)
    vendor.fail_with = status
    approved(counter, vendor, order_id)
    assert counter.events()[0].state is EventState.WAITING
    vendor.fail_with = 0
    events.work(counter.db, counter.gateways, now=LATER)
    assert counter.state(order) == ("paid", "paid")


ORDER = {"id": "ORDER1"}


@pytest.mark.parametrize(
    "changed",
    [
        {"transmission_id": "another"},
        {"transmission_time": "2026-11-20T11:59:00Z"},
        {"transmission_time": "yesterday"},
        {"transmission_time": "2026-11-20T12:00:00"},
        {"transmission_sig": "AAAA"},
        {"transmission_sig": "not base64!"},
        {"transmission_sig": ""},
        {"auth_algo": "none"},
        {"cert_url": ""},
    ],
)
def test_a_delivery_with_another_header_is_refused(
    paypal: Paypal, vendor: FakePaypal, changed: dict[str, str]
) -> None:
    with pytest.raises(DeliveryRefused):
        paypal.verify(vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=NOW, **changed), now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example{CERTIFICATE_PATH}",
        f"https://api.paypal.com.evil.example{CERTIFICATE_PATH}",
        f"https://api.paypal.com@evil.example{CERTIFICATE_PATH}",
        f"https://api.paypal.com:8443{CERTIFICATE_PATH}",
        f"http://api.paypal.com{CERTIFICATE_PATH}",
        "https://api.paypal.com/v1/notifications/certs/../../anything",
        "https://api.paypal.com/v1/notifications/certs/a/b",
        "https://api.paypal.com/elsewhere",
        "file:///etc/passwd",
        "//api.paypal.com/v1/notifications/certs/x",
    ],
)
def test_a_certificate_that_lies_elsewhere_is_not_fetched(
    paypal: Paypal, vendor: FakePaypal, url: str
) -> None:
    with pytest.raises(DeliveryRefused, match="does not lie at PayPal"):
        paypal.verify(vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=NOW, cert_url=url), now=NOW)


def test_a_certificate_that_is_none_is_refused(paypal: Paypal, vendor: FakePaypal) -> None:
    missing = f"{vendor.url}/v1/notifications/certs/CERT-missing"
    with pytest.raises(DeliveryRefused, match="no such certificate"):
        paypal.verify(vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=NOW, cert_url=missing), now=NOW)


def test_a_changed_body_is_refused(paypal: Paypal, vendor: FakePaypal) -> None:
    delivery = vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=NOW)
    with pytest.raises(DeliveryRefused, match="wrong"):
        paypal.verify(Delivery(delivery.headers, delivery.body.replace(b"ORDER1", b"ORDER2")), now=NOW)


@pytest.mark.parametrize("days", [-5, 5])
def test_a_delivery_of_another_time_is_refused(paypal: Paypal, vendor: FakePaypal, days: int) -> None:
    delivery = vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=NOW + timedelta(days=days))
    with pytest.raises(DeliveryRefused, match="four days"):
        paypal.verify(delivery, now=NOW)


def test_an_expired_certificate_is_refused(paypal: Paypal, vendor: FakePaypal) -> None:
    delivery = vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=AFTER_THE_CERTIFICATE)
    with pytest.raises(DeliveryRefused, match="expired"):
        paypal.verify(delivery, now=AFTER_THE_CERTIFICATE)


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"{}", b'{"id": "WH-1", "event_type": "CHECKOUT.ORDER.X", "resource": {}}', b"\xff"]
)  # fmt: skip
def test_a_signed_body_that_is_no_event_is_refused(paypal: Paypal, vendor: FakePaypal, body: bytes) -> None:
    with pytest.raises(DeliveryRefused, match="not an event"):
        paypal.verify(vendor.signed(body, at=NOW), now=NOW)


def test_the_certificate_is_fetched_once(paypal: Paypal, vendor: FakePaypal) -> None:
    for _ in range(3):
        paypal.verify(vendor.event("CHECKOUT.ORDER.APPROVED", ORDER, at=NOW), now=NOW)
    assert vendor.calls.count(("GET", CERTIFICATE_PATH)) == 1


def test_amounts_that_paypal_does_not_take_are_said(paypal: Paypal) -> None:
    assert paypal.obstacle(Money(1000, "USD")) == paypal.obstacle(Money(500, "JPY")) == ""
    assert paypal.obstacle(Money(150_000, "HUF")) == ""
    assert "whole HUF" in paypal.obstacle(Money(150_050, "HUF"))
    assert "does not take KWD" in paypal.obstacle(Money(1000, "KWD"))


def test_the_environment_switches_paypal_on() -> None:
    assert from_env({}) is None
    with pytest.raises(ConfigurationError, match="DOMUS_PAYPAL_WEBHOOK_ID"):
        from_env({"DOMUS_PAYPAL_CLIENT_ID": "x", "DOMUS_PAYPAL_CLIENT_SECRET": "y"})
