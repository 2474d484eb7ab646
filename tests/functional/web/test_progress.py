"""How far an order is, what is said when it waits, fails, or is done."""

from __future__ import annotations

import sqlalchemy as sa

from domus.billing import ledger
from domus.billing.models import Payment
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.provisioning.models import Job
from domus.workflows import work
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def test_the_steps_show_what_is_done_and_what_is_next(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.paid(people.alice)
    shop.says_job(order, step="unpack", percent=40)
    page = alice.get(f"/orders/{order.id}")
    said = text_of(page).replace("\N{NO-BREAK SPACE}", " ")
    for fact in (
        "Installing 40 %",
        "Making the volumes done",
        "Installing packages running now",
        "I: unpacking",
    ):
        assert fact in said, fact
    body = page.get_data(as_text=True)
    assert '<noscript><meta http-equiv="refresh"' in body
    assert f'data-live="/orders/{order.id}/progress"' in body


def test_the_fragment_is_the_same_part_of_the_page(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.paid(people.alice)
    shop.says_job(order, percent=55)
    fragment = alice.get(f"/orders/{order.id}/progress").get_data(as_text=True)
    assert fragment.lstrip().startswith("<section")
    assert 'data-every="1500"' in fragment
    assert 'value="55"' in fragment


def test_a_dom0_that_does_not_answer_is_named_as_the_reason_to_wait(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    order = shop.paid(people.alice)
    ticket = work.begin_run(db, minion_id=shop.dom0.minion_id, now=utc_now())
    assert ticket is not None
    work.run_failed(db, run_id=ticket.run_id, problem="Minion did not return.", now=utc_now())
    with db.reading() as session:
        note = session.scalars(sa.select(Job.note)).one()
    assert note
    said = text_of(alice.get(f"/orders/{order.id}"))
    assert note.rstrip(".") in said
    assert "Your order is safe; it goes on by itself." in said


def test_a_finished_order_says_how_to_log_in_and_stops_refreshing(
    shop: Shop, people: People, alice: Visitor
) -> None:
    order = shop.delivered(people.alice)
    page = alice.get(f"/orders/{order.id}")
    assert "ssh root@192.0.2." in text_of(page)
    assert "refresh" not in page.get_data(as_text=True)
    assert "data-every" not in alice.get(f"/orders/{order.id}/progress").get_data(as_text=True)


def test_a_failed_order_says_why_and_is_tried_again(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.failed(people.alice, "The mirror did not answer.")
    said = text_of(alice.get(f"/orders/{order.id}"))
    for fact in ("The installation failed", "The mirror did not answer.", "Try again", "support@example.com"):
        assert fact in said, fact
    alice.post(f"/orders/{order.id}/retry")
    assert shop.vps(order).state.value == "provisioning"
    assert "Try again" not in text_of(alice.get(f"/orders/{order.id}"))


def test_a_failed_order_is_refunded_after_a_question(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.failed(people.alice)
    assert "Take the money back?" in text_of(alice.get(f"/orders/{order.id}/refund"))
    alice.post(f"/orders/{order.id}/refund")
    said = text_of(alice.get(f"/orders/{order.id}")).replace("\N{NO-BREAK SPACE}", " ")
    assert "Refunded" in said
    assert "12.50 USD" in said


def test_what_came_by_transfer_is_refunded_to_the_balance(
    shop: Shop, people: People, alice: Visitor, db: Database
) -> None:
    order = shop.failed(people.alice)
    with db.unit_of_work() as session:
        session.execute(sa.update(Payment).values(gateway="bank"))
    assert "go to your balance" in text_of(alice.get(f"/orders/{order.id}/refund"))
    alice.post(f"/orders/{order.id}/refund")
    assert "are in your balance" in text_of(alice.get(f"/orders/{order.id}"))
    with db.reading() as session:
        assert str(ledger.balance_of(session, order.account_id, "USD")) == "12.50 USD"


def test_a_working_vps_is_not_refunded_here(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.delivered(people.alice)
    alice.get(f"/orders/{order.id}/refund", status=409)
    alice.post(f"/orders/{order.id}/refund", status=409)


def test_what_a_dom0_says_is_shown_as_text(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.paid(people.alice)
    evil = "<img src=x onerror=alert(1)>"
    shop.says_job(order, log_tail=[evil], percent=10)
    assert evil not in alice.get(f"/orders/{order.id}").get_data(as_text=True)
    assert evil in text_of(alice.get(f"/orders/{order.id}"))
