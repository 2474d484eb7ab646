"""Refunds of orders: what the books say was paid out was sent, once, or is in the balance."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domus.billing import ledger
from domus.core.errors import Conflict
from domus.gateways.references import reference_of
from domus.workflows import orders
from domus.workflows.payments import bank, events, givenback
from tests.support.builders import NOW
from tests.support.till import Till

LATER = NOW + timedelta(hours=1)


def cash(till: Till) -> str:
    """Return what the books say the fake holds for us."""
    with till.db.reading() as session:
        return str(ledger.balances(session)["cash:fake"][0])


@pytest.mark.parametrize("refused", [True, False])
def test_a_refund_sends_what_was_not_sent_back_before(any_till: Till, refused: bool) -> None:
    order = any_till.order()
    any_till.pays(order.invoice)
    any_till.prepay("5.00")
    olga = any_till.shop.people.as_olga
    any_till.fake.refuses_refunds = "no money there" if refused else ""
    givenback.send_back(
        any_till.db, any_till.gateways, payment_id=any_till.payment_ids()[0], amount="3.00", actor=olga, reason="x", now=NOW
    )  # fmt: skip
    events.work(any_till.db, any_till.gateways, now=NOW)
    any_till.fake.refuses_refunds = ""
    orders.refund(any_till.db, order_id=order.id, actor=olga, now=NOW)
    for _ in range(2):
        events.work(any_till.db, any_till.gateways, now=LATER)
    sent = ["10.00 USD"] if refused else ["3.00 USD", "7.00 USD"]
    assert sorted(str(amount) for amount in any_till.fake.refunds.values()) == sent
    assert cash(any_till) == any_till.balance() == "5.00 USD"
    any_till.assert_books_agree()


def test_a_refund_that_the_gateway_refused_is_not_asked_for_again(till: Till) -> None:
    order = till.order()
    till.pays(order.invoice)
    orders.refund(till.db, order_id=order.id, actor=till.shop.people.as_olga, now=NOW)
    till.fake.refuses_refunds = "no money there"
    events.work(till.db, till.gateways, now=NOW)
    till.fake.refuses_refunds = ""
    assert events.work(till.db, till.gateways, now=LATER).refunds == 0
    assert till.balance() == cash(till) == "10.00 USD"
    till.assert_books_agree()


def test_what_came_by_transfer_goes_to_the_balance_and_can_be_sent_back_from_there(any_till: Till) -> None:
    order = any_till.order()
    olga = any_till.shop.people.as_olga
    said = f"date;amount;currency;text\n2026-11-20;10.00;USD;{reference_of(order.invoice.id)}\n"
    bank.import_statement(any_till.db, said.encode(), file_name="x.csv", actor=olga, now=NOW)
    for _ in range(2):
        orders.refund(any_till.db, order_id=order.id, actor=olga, now=NOW)
    assert any_till.balance() == "10.00 USD"
    (payment_id,) = any_till.payment_ids()
    for amount in ("4.00", "6.00"):
        givenback.send_back(
            any_till.db,
            any_till.gateways,
            payment_id=payment_id,
            amount=amount,
            actor=olga,
            reason="x",
            now=NOW,
        )
    assert any_till.balance() == "0.00 USD"
    with pytest.raises(Conflict, match=r"0\.00 USD can be given back"):
        givenback.send_back(
            any_till.db,
            any_till.gateways,
            payment_id=payment_id,
            amount="1.00",
            actor=olga,
            reason="x",
            now=NOW,
        )
    any_till.assert_books_agree()
