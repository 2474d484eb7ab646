"""Stripe, against a local server that behaves as it documents: signatures, keys, declines, lost answers, refunds."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
import stripe

from domus.billing import ledger
from domus.core.errors import ConfigurationError, InvalidInput
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.interface import Bill, Delivery, DeliveryRefused, GatewayUnavailable, Listens, Paid
from domus.gateways.models import AttemptState, EventState
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways, gateways_from
from domus.gateways.stripe_cards import StripeCards, from_env
from domus.workflows import orders
from domus.workflows.payments import charging, events
from tests.support.builders import NOW
from tests.support.fake_stripe import SECRET_KEY, WEBHOOK_SECRET, FakeStripe
from tests.support.till import Till, make_till, urls, usd

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def vendor() -> FakeStripe:
    return FakeStripe(now=int(NOW.timestamp()))


@pytest.fixture
def cards(vendor: FakeStripe) -> Iterator[StripeCards]:
    with vendor.running() as url:
        yield StripeCards(SECRET_KEY, WEBHOOK_SECRET, api_base=url, retries=0)


@pytest.fixture
def make_counter(cards: StripeCards) -> Callable[[Database], Till]:
    """Return a function that opens a shop in which Stripe is a way to pay."""

    def make(db: Database) -> Till:
        till = make_till(db)
        till.gateways = Gateways(cards, Prepaid())
        return till

    return make


@pytest.fixture
def counter(db: Database, make_counter: Callable[[Database], Till]) -> Till:
    return make_counter(db)


def begin(counter: Till, order: orders.Order, **options: object) -> str:
    """Begin to pay an order; return Stripe's name of its page."""
    redirect = counter.begin(order.invoice, gateway="stripe", **options)
    assert redirect.url.startswith("https://checkout.stripe.com/")
    return str(redirect.reference)


def deliver(counter: Till, delivery: Delivery, *, now: object = NOW) -> str:
    stored = events.accept(counter.db, counter.gateways, "stripe", delivery, sender="192.0.2.1", now=now)
    if stored is None:
        return "known"
    return events.process(counter.db, counter.gateways, stored, now=now)


def save_card(counter: Till, vendor: FakeStripe, *, token: str = "") -> None:
    """Let Alice save a card that the vendor knows by *token*."""
    redirect = charging.begin_saving(
        counter.db, counter.gateways, account_id=counter.account_id, gateway="stripe", currency="USD",
        actor=counter.shop.people.as_alice, now=NOW, urls=urls,
    )  # fmt: skip
    setup = vendor.customer_saves_card(redirect.reference)
    vendor.objects[setup["payment_method"]]["token"] = token
    deliver(counter, vendor.event("setup_intent.succeeded", setup, at=NOW))


def charge(counter: Till, order: orders.Order, *, now: object = NOW) -> charging.Charged:
    return charging.charge(
        counter.db, counter.gateways, account_id=counter.account_id, invoice_id=order.invoice.id,
        actor=counter.shop.people.as_olga, now=now,
    )  # fmt: skip


def test_a_payment_on_stripes_page_settles_the_invoice(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    session = begin(counter, order)
    asked = vendor.opens(session)["asked"]
    assert asked["line_items"]["0"]["price_data"]["unit_amount"] == "1000"
    assert asked["customer_email"] == "alice@example.org"
    assert asked["success_url"].startswith("https://panel.example/")
    intent = vendor.customer_pays(session)
    assert "settled" in deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    assert counter.state(order) == ("paid", "paid")
    done = vendor.event("checkout.session.completed", vendor.opens(session), at=NOW)
    assert "before" in deliver(counter, done)
    assert counter.payments() == [("stripe", "10.00 USD", True)]
    counter.assert_books_agree()


def test_what_stripe_keeps_is_booked_once(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    for number in range(2):
        deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW, event_id=f"evt_x{number}"))
    with counter.db.reading() as session:
        balances = {name: str(amounts[0]) for name, amounts in ledger.balances(session).items()}
    assert balances["fees"] == "0.59 USD"
    assert balances["cash:stripe"] == "9.41 USD"


def test_the_page_is_opened_once_for_an_attempt(cards: StripeCards, vendor: FakeStripe) -> None:
    bill = Bill(
        attempt_id=uuid.uuid4(), invoice_id=1, account_id=1, amount=usd("10.00"), text="VPS", email="a@example.org",
        return_url="https://panel.example/", cancel_url="https://panel.example/",
    )  # fmt: skip
    assert cards.begin(bill) == cards.begin(bill)
    assert len([thing for thing in vendor.objects.values() if thing["object"] == "checkout.session"]) == 1


def test_the_same_event_ten_times_at_once_books_once(
    any_db: Database, make_counter: Callable[[Database], Till], vendor: FakeStripe
) -> None:
    counter = make_counter(any_db)
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    delivery = vendor.event("payment_intent.succeeded", intent, at=NOW)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: deliver(counter, delivery), range(10)))
    events.work(counter.db, counter.gateways, now=LATER)
    assert counter.payments() == [("stripe", "10.00 USD", True)]
    assert [event.state for event in counter.events()] == [EventState.DONE]
    counter.assert_books_agree()


def test_events_in_reversed_order_end_alike(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    dispute = vendor.bank_disputes(intent["id"])
    refund_event = vendor.event("charge.dispute.created", dispute, at=NOW)
    deliver(counter, refund_event)
    assert counter.events()[0].state is EventState.WAITING
    deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    events.work(counter.db, counter.gateways, now=LATER)
    assert {event.state for event in counter.events()} == {EventState.DONE}
    counter.assert_books_agree()


def test_a_late_created_event_changes_nothing_after_the_success(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    stale = {**intent, "status": "requires_payment_method", "amount_received": 0}
    deliver(counter, vendor.event("payment_intent.created", stale, at=NOW))
    assert counter.state(order) == ("paid", "paid")
    assert len(counter.payments()) == 1


def test_what_the_body_says_is_not_believed(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    session = begin(counter, order)
    intent = vendor.customer_pays(session, amount=100)
    lie = {**intent, "amount": 1000, "amount_received": 1000}
    deliver(counter, vendor.event("payment_intent.succeeded", lie, at=NOW))
    assert counter.state(order) == ("placed", "open")
    assert counter.balance() == "1.00 USD"


def test_an_expired_page_ends_the_attempt(counter: Till, vendor: FakeStripe) -> None:
    session = begin(counter, counter.order())
    vendor.expires(session)
    deliver(counter, vendor.event("checkout.session.expired", vendor.opens(session), at=NOW))
    assert [attempt.state for attempt in counter.attempts()] == [AttemptState.FAILED]


def test_another_shops_payment_on_the_same_account_is_ignored(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    intent["metadata"] = {}
    for kind, thing in (
        ("payment_intent.succeeded", intent),
        ("charge.dispute.created", vendor.bank_disputes(intent["id"])),
        ("refund.created", vendor.operator_refunds(intent["id"], 100)),
        ("customer.created", intent),
    ):
        deliver(counter, vendor.event(kind, thing, at=NOW))
    assert {event.state for event in counter.events()} == {EventState.IGNORED}


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24 * 3])
def test_a_signature_of_another_time_is_refused(counter: Till, vendor: FakeStripe, minutes: int) -> None:
    delivery = vendor.event("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"}, at=NOW)
    with pytest.raises(DeliveryRefused):
        deliver(counter, delivery, now=NOW + timedelta(minutes=minutes))


def test_of_several_signatures_one_that_holds_is_enough(cards: StripeCards, vendor: FakeStripe) -> None:
    delivery = vendor.event("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"}, at=NOW)
    timestamp, good = delivery.headers["stripe-signature"].split(",")
    header = f"{timestamp},v1={'0' * 64},v0={'1' * 64},{good}"
    assert cards.verify(Delivery({"stripe-signature": header}, delivery.body), now=NOW).subject == "pi_1"


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", "t=1,v1=", "t=now,v1=00", "v1=00", "t=1", f"t={int(NOW.timestamp())},v0={'0' * 64}", "=", "t=1=2,v1=x"],
)  # fmt: skip
def test_a_header_that_is_none_is_refused(cards: StripeCards, header: str) -> None:
    with pytest.raises(DeliveryRefused):
        cards.verify(Delivery({"stripe-signature": header}, b'{"id": "evt_1"}'), now=NOW)


def test_a_changed_body_is_refused(cards: StripeCards, vendor: FakeStripe) -> None:
    delivery = vendor.event("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"}, at=NOW)
    with pytest.raises(DeliveryRefused):
        cards.verify(Delivery(delivery.headers, delivery.body.replace(b"pi_1", b"pi_2")), now=NOW)


@pytest.mark.parametrize(
    "body", ["[]", "{}", "null", '{"id": "evt_1", "type": "charge.x", "data": []}', "\x00"]
)
def test_a_signed_body_that_is_no_event_is_refused(cards: StripeCards, body: str) -> None:
    header = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET, int(NOW.timestamp()))
    with pytest.raises(DeliveryRefused):
        cards.verify(Delivery({"stripe-signature": header}, body.encode()), now=NOW)


def test_bytes_that_are_no_text_are_refused(cards: StripeCards) -> None:
    with pytest.raises(DeliveryRefused):
        cards.verify(Delivery({"stripe-signature": "t=1,v1=00"}, b"\xff\xfe"), now=NOW)


def test_a_card_is_saved_and_charged_for_a_renewal(counter: Till, vendor: FakeStripe) -> None:
    save_card(counter, vendor)
    (method,) = charging.methods(
        counter.db, account_id=counter.account_id, actor=counter.shop.people.as_alice
    )
    assert (method.label, method.valid_until) == ("Visa ending in 4242", date(2028, 2, 29))
    order = counter.order()
    assert charge(counter, order).paid
    assert counter.state(order) == ("paid", "paid")
    assert charge(counter, order).paid, "a second time it is paid already"
    assert counter.payments() == [("stripe", "10.00 USD", True)]
    counter.assert_books_agree()


def test_a_card_is_kept_with_a_payment_only_if_the_customer_says_so(
    counter: Till, vendor: FakeStripe
) -> None:
    alice = counter.shop.people.as_alice
    for keep, count in ((False, 0), (True, 1)):
        intent = vendor.customer_pays(begin(counter, counter.order(), keep_method=keep))
        deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
        saved = charging.methods(counter.db, account_id=counter.account_id, actor=alice)
        assert len(saved) == count
    # Stripe knows the customer from then on.
    session = begin(counter, counter.order())
    assert vendor.opens(session)["asked"]["customer"] == saved[0].customer


@pytest.mark.parametrize(
    ("token", "needs_customer", "card_is_kept"),
    [
        ("pm_card_chargeDeclined", False, True),
        ("pm_card_insufficient", False, True),
        ("pm_card_authenticationRequired", True, True),
        ("pm_card_expired", True, False),
    ],
)
def test_a_declined_card_says_what_to_do(
    counter: Till, vendor: FakeStripe, token: str, needs_customer: bool, card_is_kept: bool
) -> None:
    save_card(counter, vendor, token=token)
    order = counter.order()
    charged = charge(counter, order)
    assert not charged.paid
    assert not charged.pending
    assert charged.problem
    assert charged.needs_customer is needs_customer
    kept = charging.methods(counter.db, account_id=counter.account_id, actor=counter.shop.people.as_alice)
    assert bool(kept) is card_is_kept
    assert counter.state(order) == ("placed", "open")
    counter.assert_books_agree()


def test_a_card_declined_once_is_charged_under_a_new_key_next_time(counter: Till, vendor: FakeStripe) -> None:
    save_card(counter, vendor, token="pm_card_insufficient")
    order = counter.order()
    assert not charge(counter, order).paid
    for thing in vendor.objects.values():
        if thing["object"] == "payment_method":
            thing["token"] = ""
    assert charge(counter, order, now=LATER).paid


def test_a_charge_whose_answer_was_lost_is_asked_about_and_not_repeated(
    counter: Till, vendor: FakeStripe
) -> None:
    save_card(counter, vendor)
    order = counter.order()
    vendor.lose_answers = 1
    assert charge(counter, order).pending
    assert charge(counter, order).pending, "it may still be on its way"
    assert charge(counter, order, now=LATER).paid
    assert len([call for call in vendor.calls if call[:2] == ("POST", "/v1/payment_intents")]) == 1
    assert counter.payments() == [("stripe", "10.00 USD", True)]
    counter.assert_books_agree()


def test_a_charge_whose_answer_was_lost_is_found_by_the_sweep(counter: Till, vendor: FakeStripe) -> None:
    save_card(counter, vendor)
    order = counter.order()
    vendor.lose_answers = 1
    charge(counter, order)
    events.work(counter.db, counter.gateways, now=LATER)
    assert counter.state(order) == ("paid", "paid")


def test_a_charge_that_never_arrived_can_be_made_later(counter: Till, vendor: FakeStripe) -> None:
    save_card(counter, vendor)
    order = counter.order()
    vendor.fail_with = 500
    assert charge(counter, order).pending
    vendor.fail_with = 0
    assert "never heard" in charge(counter, order, now=LATER).problem
    assert charge(counter, order, now=LATER).paid


def test_two_renewal_runs_at_once_charge_once(
    any_db: Database, make_counter: Callable[[Database], Till], vendor: FakeStripe
) -> None:
    counter = make_counter(any_db)
    save_card(counter, vendor)
    order = counter.order()
    with ThreadPoolExecutor(5) as pool:
        results = list(pool.map(lambda _: charge(counter, order), range(5)))
    assert any(result.paid for result in results)
    assert all(result.paid or result.pending for result in results)
    assert len(counter.payments()) == 1
    counter.assert_books_agree()


def test_without_a_card_the_customer_is_asked(counter: Till) -> None:
    assert charge(counter, counter.order()).needs_customer


def test_a_refund_of_an_order_is_sent_once_however_often_it_is_asked_for(
    counter: Till, vendor: FakeStripe
) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    orders.refund(counter.db, order_id=order.id, actor=counter.shop.people.as_olga, now=NOW)
    vendor.lose_refunds = 1
    events.work(counter.db, counter.gateways, now=NOW)
    vendor.forget_keys()
    for days in range(1, 4):
        events.work(counter.db, counter.gateways, now=NOW + timedelta(days=days))
    refunds = [thing for thing in vendor.objects.values() if thing["object"] == "refund"]
    assert [refund["amount"] for refund in refunds] == [1000]
    deliver(counter, vendor.event("charge.refunded", vendor.objects[intent["latest_charge"]], at=NOW))
    assert counter.balance() == "0.00 USD"
    counter.assert_books_agree()


def test_a_refund_that_stripe_will_not_make_is_in_the_balance(counter: Till, vendor: FakeStripe) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    orders.refund(counter.db, order_id=order.id, actor=counter.shop.people.as_olga, now=NOW)
    vendor.refuse_refunds = True
    events.work(counter.db, counter.gateways, now=NOW)
    assert counter.balance() == "10.00 USD"
    counter.assert_books_agree()


def test_a_refund_made_at_stripe_is_taken_from_the_balance_and_closes_with_the_orders(
    counter: Till, vendor: FakeStripe
) -> None:
    order = counter.order()
    intent = vendor.customer_pays(begin(counter, order))
    deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    refund = vendor.operator_refunds(intent["id"], 1000)
    for number in range(2):
        deliver(counter, vendor.event("refund.created", refund, at=NOW, event_id=f"evt_r{number}"))
    assert counter.balance() == "-10.00 USD"
    orders.refund(counter.db, order_id=order.id, actor=counter.shop.people.as_olga, now=NOW)
    events.work(counter.db, counter.gateways, now=NOW)
    assert counter.balance() == "0.00 USD"
    counter.assert_books_agree()


@pytest.mark.parametrize(
    ("statuses", "balance"),
    [
        (["needs_response", "under_review", "won"], "0.00 USD"),
        (["needs_response", "lost"], "-10.00 USD"),
        (["lost"], "-10.00 USD"),
        (["warning_needs_response", "warning_closed"], "0.00 USD"),
    ],
)
def test_a_dispute_is_booked_as_it_stands(
    counter: Till, vendor: FakeStripe, statuses: list[str], balance: str
) -> None:
    intent = vendor.customer_pays(begin(counter, counter.order()))
    deliver(counter, vendor.event("payment_intent.succeeded", intent, at=NOW))
    dispute = vendor.bank_disputes(intent["id"])
    for status in statuses:
        dispute["status"] = status
        deliver(counter, vendor.event("charge.dispute.updated", dispute, at=NOW))
    assert counter.balance() == balance
    counter.assert_books_agree()


def test_a_saved_card_is_forgotten_at_stripe_too(counter: Till, vendor: FakeStripe) -> None:
    save_card(counter, vendor)
    alice = counter.shop.people.as_alice
    (method,) = charging.methods(counter.db, account_id=counter.account_id, actor=alice)
    for _ in range(2):
        charging.remove_method(counter.db, counter.gateways, method_id=method.id, actor=alice, now=NOW)
    assert vendor.objects[method.method]["customer"] is None
    assert charge(counter, counter.order()).needs_customer


def test_a_wrong_key_is_not_repeated_in_what_is_said(
    vendor: FakeStripe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with vendor.running() as url:
        wrong = StripeCards("sk_live_very_secret", "whsec_very_secret", api_base=url, retries=0)
        with pytest.raises(GatewayUnavailable) as refused:
            wrong.look_up("pi_1")
        with pytest.raises(DeliveryRefused):
            wrong.verify(Delivery({"stripe-signature": "t=1,v1=00"}, b"{}"), now=NOW)
    assert str(refused.value) == "Stripe does not take our key."
    assert "very_secret" not in caplog.text + str(refused.value)


def test_an_amount_that_stripe_will_not_take_is_said_to_the_customer(
    counter: Till, cards: StripeCards, vendor: FakeStripe
) -> None:
    order = counter.order()
    counter.begin(order.invoice, gateway="stripe")
    assert "steps of ten" in cards.obstacle(Money(10_005, "KWD"))
    assert "less than 0.50 EUR" in cards.obstacle(Money(49, "EUR"))
    assert "less than 50 JPY" in cards.obstacle(Money(49, "JPY"))
    assert cards.obstacle(Money(50, "EUR")) == cards.obstacle(Money(0, "EUR")) == ""
    assert cards.obstacle(Money(10_010, "KWD")) == cards.obstacle(Money(500, "JPY")) == ""
    with pytest.raises(InvalidInput, match="too small"):
        cards.begin(Bill(attempt_id=uuid.uuid4(), invoice_id=1, account_id=1, amount=usd("0.10"), text="VPS"))


def test_the_books_can_be_compared_with_what_stripe_took(
    counter: Till, cards: StripeCards, vendor: FakeStripe
) -> None:
    intent = vendor.customer_pays(begin(counter, counter.order()))
    (paid,) = cards.paid_since(NOW - timedelta(days=1))
    assert isinstance(paid, Paid)
    assert (paid.reference, str(paid.amount)) == (intent["id"], "10.00 USD")
    assert list(cards.paid_since(NOW + timedelta(days=1))) == []


def test_the_environment_switches_stripe_on(tmp_path: object) -> None:
    keys = {"DOMUS_STRIPE_SECRET_KEY": "sk_test_1", "DOMUS_STRIPE_WEBHOOK_SECRET": "whsec_1"}
    assert isinstance(from_env(keys), StripeCards)
    assert from_env({}) is None
    with pytest.raises(ConfigurationError, match="DOMUS_STRIPE_WEBHOOK_SECRET is not"):
        from_env({"DOMUS_STRIPE_SECRET_KEY": "sk_test_1"})
    gateways = gateways_from(keys)
    assert [gateway.name for gateway in gateways] == ["balance", "stripe"]
    assert isinstance(gateways.find("stripe"), Listens)
