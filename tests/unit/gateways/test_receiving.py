"""Money from a gateway: each fact has its effect once, and no money is lost, whatever it is worth and whenever it comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.core.errors import Conflict, NotAllowed, NotFound, TooManyAttempts
from domus.gateways import attempts
from domus.gateways.interface import DeliveryRefused, Disputed, Outcome, Refunded, Verdict
from domus.gateways.models import AttemptState, EventState, GatewayRefusal
from domus.workflows import housekeeping, orders
from domus.workflows.payments import booking, events, givenback, paying
from tests.support.builders import NOW
from tests.support.fake_gateway import delivery
from tests.support.till import Till, usd

LATER = NOW + timedelta(hours=1)


def test_the_sum_that_is_due_settles_the_invoice_and_begins_the_vps(any_till: Till) -> None:
    order = any_till.order()
    redirect = any_till.begin(order.invoice)
    assert redirect.url.startswith("https://fake.example/")
    any_till.fake.pays(usd("10.00"))
    assert "settled invoice 2026-00001" in any_till.arrives("pay-1")
    assert any_till.state(order) == ("paid", "paid")
    assert any_till.payments() == [("fake", "10.00 USD", True)]
    assert [attempt.state for attempt in any_till.attempts()] == [AttemptState.DONE]
    any_till.assert_books_agree()


def test_an_event_that_is_repeated_is_stored_and_booked_once(any_till: Till) -> None:
    order = any_till.order()
    any_till.pays(order.invoice)
    assert any_till.arrives("pay-1", event_id="event-pay-1") == "known"
    assert "before" in any_till.arrives("pay-1", event_id="another event about the same payment")
    assert any_till.payments() == [("fake", "10.00 USD", True)]
    assert len(any_till.events()) == 2


@pytest.mark.parametrize("same_event", [True, False])
def test_the_same_payment_told_by_ten_at_once_is_booked_once(any_till: Till, same_event: bool) -> None:
    order = any_till.order()
    any_till.begin(order.invoice)
    any_till.fake.pays(usd("10.00"))
    names = ["event-1" if same_event else f"event-{number}" for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda name: any_till.arrives("pay-1", event_id=name), names))
    events.work(any_till.db, any_till.gateways, now=LATER)
    assert any_till.payments() == [("fake", "10.00 USD", True)]
    assert {event.state for event in any_till.events()} == {EventState.DONE}
    assert any_till.state(order) == ("paid", "paid")
    any_till.assert_books_agree()


def test_too_little_is_kept_and_the_rest_settles(any_till: Till) -> None:
    order = any_till.order()
    assert "does not settle" in any_till.pays(order.invoice, "4.00")
    assert any_till.state(order) == ("placed", "open")
    assert any_till.balance() == "4.00 USD"
    any_till.pays(order.invoice, "6.00", reference="pay-2")
    assert any_till.state(order) == ("paid", "paid")
    assert any_till.balance() == "0.00 USD"
    assert any_till.payments() == [
        ("fake", "4.00 USD", False),
        ("fake", "6.00 USD", False),
        ("balance", "10.00 USD", True),
    ]
    any_till.assert_books_agree()


def test_after_a_part_only_the_rest_is_asked_for(till: Till) -> None:
    order = till.order()
    till.pays(order.invoice, "4.00")
    till.begin(order.invoice)
    assert str(list(till.fake.bills.values())[-1].amount) == "6.00 USD"


def test_too_much_settles_and_the_rest_is_kept(any_till: Till) -> None:
    order = any_till.order()
    any_till.pays(order.invoice, "12.50")
    assert any_till.state(order) == ("paid", "paid")
    assert any_till.balance() == "2.50 USD"
    any_till.assert_books_agree()


def test_money_for_a_cancelled_order_is_kept_and_pays_the_next_one(any_till: Till) -> None:
    any_till.prepay("10.00")
    assert any_till.balance() == "10.00 USD"
    order = any_till.order()
    assert paying.pay_from_balance(
        any_till.db, invoice_id=order.invoice.id, actor=any_till.shop.people.as_alice, now=NOW
    )
    assert any_till.state(order) == ("paid", "paid")
    assert any_till.balance() == "0.00 USD"
    any_till.assert_books_agree()


def test_money_for_an_invoice_that_is_paid_is_kept(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    first = till.fake.pays(usd("10.00"))
    orders.mark_paid(till.db, order_id=order.id, actor=till.shop.people.as_olga, reason="cash", now=NOW)
    till.arrives(first.reference)
    assert till.balance() == "10.00 USD"
    till.assert_books_agree()


def test_another_currency_is_kept_and_settles_nothing(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    paid = till.fake.pays(usd("10.00"))
    till.fake.facts["pay-1"] = [replace(paid, amount=replace(paid.amount, currency="EUR"))]
    till.arrives("pay-1")
    assert till.state(order) == ("placed", "open")
    amounts = paying.balances(till.db, account_id=till.account_id, actor=till.shop.people.as_alice)
    assert [str(amount) for amount in amounts] == ["10.00 EUR"]
    till.assert_books_agree()


def test_a_payment_whose_amount_changes_afterwards_needs_an_operator(till: Till) -> None:
    order = till.order()
    till.pays(order.invoice)
    till.fake.facts["pay-1"] = [replace(fact, amount=usd("99.00")) for fact in till.fake.facts["pay-1"]]
    till.arrives("pay-1", event_id="event-2")
    assert till.events()[-1].state is EventState.ATTENTION
    assert till.payments() == [("fake", "10.00 USD", True)]


def test_a_payment_for_an_attempt_that_we_do_not_know_needs_an_operator(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    paid = till.fake.pays(usd("10.00"))
    till.fake.facts["pay-1"] = [replace(paid, attempt_id=type(paid.attempt_id)(int=1))]
    assert "not in our books" in till.arrives("pay-1")
    assert till.events()[0].state is EventState.ATTENTION
    assert till.payments() == []


def test_an_event_about_somebody_elses_payment_is_ignored(till: Till) -> None:
    till.arrives("of another shop")
    assert [event.state for event in till.events()] == [EventState.IGNORED]


def test_a_forged_delivery_stores_nothing_and_is_counted(any_till: Till) -> None:
    for _ in range(3):
        with pytest.raises(DeliveryRefused):
            events.accept(
                any_till.db, any_till.gateways, "fake", delivery("pay-1", key=b"another"), sender="192.0.2.66", now=NOW
            )  # fmt: skip
    assert any_till.events() == []
    with any_till.db.reading() as session:
        rows = session.scalars(sa.select(GatewayRefusal)).all()
    assert [(row.count, row.reason, row.last_from) for row in rows] == [
        (3, "The signature is wrong.", "192.0.2.66")
    ]


def test_a_gateway_that_is_not_here_delivers_nothing(till: Till) -> None:
    for name in ("balance", "nobody"):
        with pytest.raises(NotFound):
            events.accept(till.db, till.gateways, name, delivery("x"), sender="192.0.2.1", now=NOW)


def test_an_event_whose_gateway_is_silent_is_tried_again(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    till.fake.pays(usd("10.00"))
    till.fake.down = True
    till.arrives("pay-1")
    assert till.events()[0].state is EventState.WAITING
    events.work(till.db, till.gateways, now=NOW)
    till.fake.down = False
    assert till.state(order) == ("placed", "open"), "not before its pause is over"
    events.work(till.db, till.gateways, now=LATER)
    assert till.state(order) == ("paid", "paid")


def test_an_event_that_never_succeeds_ends_with_an_operator(till: Till) -> None:
    till.fake.down = True
    till.arrives("pay-1")
    now = NOW
    for _ in range(40):
        now += timedelta(hours=7)
        events.work(till.db, till.gateways, now=now)
    (event,) = till.events()
    assert event.state is EventState.ATTENTION
    assert "tried" in event.outcome
    till.fake.down = False
    events.repeat(till.db, event_id=event.id, actor=till.shop.people.as_olga, reason="", now=now)
    events.work(till.db, till.gateways, now=now)
    assert till.events()[0].state is EventState.IGNORED


def test_who_dies_after_claiming_an_event_leaves_it_to_the_next(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    till.fake.pays(usd("10.00"))
    till.fake.look_up = lambda subject: (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        till.arrives("pay-1")
    del till.fake.look_up
    events.work(till.db, till.gateways, now=LATER)
    assert till.state(order) == ("paid", "paid")


def test_who_comes_back_before_the_event_finds_it_paid(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    till.fake.pays(usd("10.00"))
    (attempt,) = till.attempts()
    alice = till.shop.people.as_alice
    row = paying.come_back(till.db, till.gateways, attempt_id=attempt.id, actor=alice, now=NOW)
    assert row.state is AttemptState.DONE
    assert till.state(order) == ("paid", "paid")
    till.arrives("pay-1")
    assert till.payments() == [("fake", "10.00 USD", True)]
    till.assert_books_agree()


def test_an_attempt_that_nobody_heard_of_is_asked_about(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    till.fake.pays(usd("10.00"))
    assert events.work(till.db, till.gateways, now=LATER).attempts == 1
    assert till.state(order) == ("paid", "paid")


def test_an_attempt_that_never_ends_is_given_up_and_money_that_comes_still_counts(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    now = NOW
    for _ in range(30):
        now += timedelta(days=90)
        events.work(till.db, till.gateways, now=now)
    assert [attempt.state for attempt in till.attempts()] == [AttemptState.FAILED]
    till.fake.pays(usd("10.00"))
    till.arrives("pay-1", now=now)
    assert [attempt.state for attempt in till.attempts()] == [AttemptState.DONE]
    assert till.state(order) == ("paid", "paid")


def test_the_balance_pays_only_what_it_covers(till: Till) -> None:
    till.prepay("3.00")
    order = till.order()
    with pytest.raises(Conflict, match=r"7\.00 USD are missing"):
        till.begin(order.invoice, gateway="balance")
    till.prepay("7.00", reference="more")
    till.begin(order.invoice, gateway="balance")
    assert till.state(order) == ("paid", "paid")


def test_one_balance_pays_one_of_two_invoices_at_once(any_till: Till) -> None:
    any_till.prepay("10.00")
    both = [any_till.order(), any_till.order()]
    alice = any_till.shop.people.as_alice
    with ThreadPoolExecutor(2) as pool:
        paid = list(
            pool.map(
                lambda order: paying.pay_from_balance(
                    any_till.db, invoice_id=order.invoice.id, actor=alice, now=NOW
                ),
                both,
            )
        )
    assert sorted(paid) == [False, True]
    assert any_till.balance() == "0.00 USD"
    any_till.assert_books_agree()


def test_a_refund_or_dispute_that_comes_before_its_payment_waits_for_it(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    till.fake.pays(usd("10.00"))
    till.fake.facts["refund"] = [
        Refunded(reference="re-1", payment_reference="pay-1", amount=usd("2.00"), outcome=Outcome.DONE)
    ]
    till.arrives("refund", event_id="event-0")
    assert till.events()[0].state is EventState.WAITING
    till.arrives("pay-1")
    events.work(till.db, till.gateways, now=LATER)
    assert {event.state for event in till.events()} == {EventState.DONE}
    assert till.balance() == "-2.00 USD"
    till.assert_books_agree()


def test_strangers_pay_and_see_nothing(till: Till) -> None:
    order = till.order()
    till.begin(order.invoice)
    charlie = till.shop.people.as_charlie
    with pytest.raises(NotFound):
        paying.page(till.db, till.gateways, invoice_id=order.invoice.id, actor=charlie)
    with pytest.raises(NotFound):
        paying.attempt(till.db, attempt_id=till.attempts()[0].id, actor=charlie)
    with pytest.raises(NotFound):
        paying.pay_from_balance(till.db, invoice_id=order.invoice.id, actor=charlie, now=NOW)


def test_a_cancelled_invoice_cannot_be_paid(till: Till) -> None:
    order = till.order()
    orders.cancel(till.db, order_id=order.id, actor=till.shop.people.as_alice, now=NOW)
    with pytest.raises(Conflict):
        till.begin(order.invoice)


@pytest.mark.parametrize("verdict", [Verdict.WON, Verdict.LOST])
@pytest.mark.parametrize("opening", ["seen", "missed"])
def test_a_dispute_holds_the_money_until_it_is_decided(
    any_till: Till, verdict: Verdict, opening: str
) -> None:
    order = any_till.order()
    any_till.pays(order.invoice)
    said = Disputed(
        reference="dp-1", payment_reference="pay-1", amount=usd("10.00"), verdict=Verdict.OPEN, reason="fraudulent"
    )  # fmt: skip
    actor = any_till.shop.people.as_olga
    if opening == "seen":
        booking.book(any_till.db, "fake", said, actor=actor, now=NOW)
    for _ in range(2):
        booking.book(any_till.db, "fake", replace(said, verdict=verdict), actor=actor, now=LATER)
        booking.book(any_till.db, "fake", said, actor=actor, now=LATER)
    assert any_till.balance() == ("0.00 USD" if verdict is Verdict.WON else "-10.00 USD")
    any_till.assert_books_agree()


def test_what_is_prepaid_is_sent_back_by_the_gateway_that_took_it(till: Till) -> None:
    till.prepay("10.00")
    olga = till.shop.people.as_olga
    (payment_id,) = till.payment_ids()
    row = givenback.send_back(
        till.db, till.gateways, payment_id=payment_id, amount="4.00", actor=olga, reason="asked", now=NOW
    )
    till.fake.silent = True
    events.work(till.db, till.gateways, now=NOW)
    till.fake.silent = False
    events.work(till.db, till.gateways, now=LATER)
    assert till.fake.refunds == {row.id: usd("4.00")}
    assert till.balance() == "6.00 USD"
    for amount in ("6.01", "0", "-1"):
        with pytest.raises(Conflict):
            givenback.send_back(
                till.db, till.gateways, payment_id=payment_id, amount=amount, actor=olga, reason="x", now=NOW
            )
    till.assert_books_agree()


def test_customers_send_nothing_back(till: Till) -> None:
    till.prepay("10.00")
    with pytest.raises(NotAllowed):
        givenback.send_back(
            till.db, till.gateways, payment_id=till.payment_ids()[0], amount="1.00",
            actor=till.shop.people.as_alice, reason="x", now=NOW,
        )  # fmt: skip


def test_who_begins_to_pay_without_end_has_to_wait(till: Till) -> None:
    order = till.order()
    for _ in range(attempts.MAX_AN_HOUR):
        till.begin(order.invoice)
    with pytest.raises(TooManyAttempts) as refused:
        till.begin(order.invoice, now=NOW + timedelta(minutes=50))
    assert refused.value.retry_after_seconds == 600
    till.begin(order.invoice, now=NOW + timedelta(hours=1))


def test_what_gateways_said_is_kept_as_long_as_it_is_needed(any_till: Till) -> None:
    any_till.pays(any_till.order().invoice)
    any_till.arrives("of another shop", event_id="event-2")
    housekeeping.clean_up(any_till.db, now=NOW + timedelta(days=29))
    assert [bool(event.body) for event in any_till.events()] == [True, True]
    housekeeping.clean_up(any_till.db, now=NOW + timedelta(days=31))
    assert [bool(event.body) for event in any_till.events()] == [True]
    housekeeping.clean_up(any_till.db, now=NOW + timedelta(days=500))
    assert [bool(event.body) for event in any_till.events()] == [False]
    any_till.assert_books_agree()


def test_a_refund_that_is_not_done_at_once_is_asked_after_and_not_made_again(till: Till) -> None:
    order = till.order()
    till.pays(order.invoice)
    orders.refund(till.db, order_id=order.id, actor=till.shop.people.as_olga, now=NOW)
    till.fake.refunds_wait = True
    for days in range(3):
        events.work(till.db, till.gateways, now=NOW + timedelta(days=days))
    till.fake.refunds_wait = False
    events.work(till.db, till.gateways, now=NOW + timedelta(days=4))
    assert len(till.fake.refunds) == 1
    assert events.work(till.db, till.gateways, now=NOW + timedelta(days=9)).refunds == 0
    assert till.balance() == "0.00 USD"
    till.assert_books_agree()
