"""A customer's contract: until when it is paid, paying the next period early or late, and getting the VPS back."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing.models import Order, Subscription
from domus.core.clock import utc_now
from domus.renewals.models import Renewal
from domus.vps.models import SuspensionReason, VpsState
from domus.workflows import power
from domus.workflows.renewals import running
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


@pytest.fixture
def order(shop: Shop, people: People) -> Order:
    return shop.delivered(people.alice)


def said(visitor: Visitor, path: str) -> str:
    return text_of(visitor.get(path)).replace("\N{NO-BREAK SPACE}", " ")


def page_of(shop: Shop, order: Order) -> str:
    return f"/vps/{shop.vps(order).id}"


def contract(shop: Shop, order: Order) -> Subscription:
    with shop.db.reading() as session:
        return session.scalars(sa.select(Subscription).where(Subscription.order_id == order.id)).one()


def asked(shop: Shop) -> list[Renewal]:
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(Renewal).order_by(Renewal.invoice_id)))


def ran_out(shop: Shop, order: Order, days: int) -> None:
    """Let the contract have run out so many days ago."""
    with shop.db.unit_of_work() as session:
        session.execute(
            sa.update(Subscription)
            .where(Subscription.order_id == order.id)
            .values(paid_until=utc_now().date() - timedelta(days=days))
        )


def suspended(shop: Shop, order: Order) -> None:
    """Let the contract be overdue for so long that its VPS is suspended."""
    ran_out(shop, order, 16)
    running.run(shop.db, now=utc_now() - timedelta(days=2))
    running.run(shop.db, now=utc_now())
    shop.says_running(order, power="stopped")


def pay(visitor: Visitor, shop: Shop) -> None:
    visitor.post(f"/payments/invoice/{asked(shop)[-1].invoice_id}", {"gateway": "test"})


def test_the_next_period_can_be_paid_early(shop: Shop, order: Order, alice: Visitor) -> None:
    before = contract(shop, order).paid_until
    answer = alice.post(f"{page_of(shop, order)}/renew")
    [renewal] = asked(shop)
    assert answer.location == f"/payments/invoice/{renewal.invoice_id}"
    assert "Pay now" in said(alice, page_of(shop, order))
    pay(alice, shop)
    assert contract(shop, order).paid_until == renewal.ends_on > before
    assert "Pay now" not in said(alice, page_of(shop, order))


def test_asking_twice_is_asking_once(shop: Shop, order: Order, alice: Visitor) -> None:
    for _ in range(3):
        alice.post(f"{page_of(shop, order)}/renew")
    assert len(asked(shop)) == 1


def test_one_of_several_periods_can_be_chosen(shop: Shop, order: Order, alice: Visitor) -> None:
    yearly = builders.make_price(
        shop.db, shop.price.product, amount_minor=9000, period_text="0001-00-00", renewal_of_id=shop.price.id
    )
    assert "1 year, 90.00 USD" in said(alice, page_of(shop, order))
    alice.post(f"{page_of(shop, order)}/renew", {"price_id": yearly.id})
    assert asked(shop)[0].price_id == yearly.id
    page = alice.post(f"{page_of(shop, order)}/renew", {"price_id": 10**6}, status=422)
    assert "cannot be renewed at that price" in text_of(page)


def test_the_list_says_until_when_each_is_paid(shop: Shop, order: Order, alice: Visitor) -> None:
    until = contract(shop, order).paid_until
    assert "Paid until" in said(alice, "/vps")
    assert f"{until.day} " in said(alice, "/vps")


def test_who_was_suspended_for_want_of_money_pays_and_has_it_back(
    shop: Shop, order: Order, alice: Visitor
) -> None:
    suspended(shop, order)
    page = said(alice, page_of(shop, order))
    assert "Suspended: unpaid." in page
    assert "Pay 9.00 USD now" in page
    alice.post(f"{page_of(shop, order)}/start", status=409)
    pay(alice, shop)
    shop.says_running(order)
    page = said(alice, page_of(shop, order))
    assert "Suspended" not in page.partition("History")[0]
    assert "Running" in page


def test_who_pays_before_the_wipe_has_it_back(shop: Shop, order: Order, alice: Visitor) -> None:
    ran_out(shop, order, 30)
    for days in (9, 8, 0):
        running.run(shop.db, now=utc_now() - timedelta(days=days))
    assert shop.vps(order).state is VpsState.REMOVING
    page = said(alice, page_of(shop, order))
    assert "Its contract has ended. Everything on it is kept until" in page
    pay(alice, shop)
    assert shop.vps(order).state is VpsState.ACTIVE
    assert "Removal called back" in said(alice, page_of(shop, order))


def test_what_has_no_contract_cannot_be_renewed(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.order(people.alice)
    page = alice.post(f"{page_of(shop, order)}/renew", status=409)
    assert "no contract" in text_of(page)


def test_another_suspension_is_not_paid_away(
    shop: Shop, order: Order, alice: Visitor, people: People
) -> None:
    suspended(shop, order)

    power.suspend(
        shop.db, vps_id=shop.vps(order).id, suspension=SuspensionReason.ABUSE, note="ticket 17",
        actor=Actor.of(people.olga), now=utc_now(),
    )  # fmt: skip
    pay(alice, shop)
    page = said(alice, page_of(shop, order))
    assert "Suspended: abuse." in page
    assert "Suspended: unpaid." not in page
