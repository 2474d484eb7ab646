"""Changing the size of a VPS in the customer's panel: every amount before the button, and the right person only."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing.models import Order, Subscription
from domus.catalog.models import Price
from domus.contracts.models import ChangeState, ContractChange
from domus.core.clock import utc_now
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


@pytest.fixture
def order(shop: Shop, people: People) -> Order:
    return shop.delivered(people.alice)


@pytest.fixture
def large(shop: Shop) -> Price:
    product = shop.price.product
    return builders.make_product_with_price(
        shop.db,
        price={"amount_minor": 10 * shop.price.amount_minor, "currency": shop.price.currency,
               "period_text": shop.price.period_text},
        name="Giant", memory_mib=product.memory_mib * 2, disk_mib=product.disk_mib * 2, vcpus=product.vcpus + 1,
    )  # fmt: skip


def said(visitor: Visitor, path: str) -> str:
    return text_of(visitor.get(path)).replace("\N{NO-BREAK SPACE}", " ")


def page_of(shop: Shop, order: Order) -> str:
    return f"/vps/{shop.vps(order).id}"


def changes(shop: Shop) -> list[ContractChange]:
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(ContractChange).order_by(ContractChange.id)))


def shown_minor(visitor: Visitor, path: str) -> str:
    found = re.search(r'name="shown_minor"[^>]*value="(-?\d+)"', visitor.get(path).get_data(as_text=True))
    assert found
    return found.group(1)


def agree(visitor: Visitor, path: str, **fields: str):
    return visitor.post(path, {"shown_minor": shown_minor(visitor, path), **fields})


def test_every_amount_stands_on_the_page_before_the_button(
    shop: Shop, order: Order, large: Price, alice: Visitor
) -> None:
    assert "Change size or period" in said(alice, page_of(shop, order))
    assert "Giant" in said(alice, f"{page_of(shop, order)}/change")
    page = said(alice, f"{page_of(shop, order)}/change/to/{large.id}")
    for words in (
        "Days left",
        "Unused at the old price",
        "To pay now",
        "Next renewal",
        "after a restart",
        "resize2fs",
    ):
        assert words in page
    assert changes(shop) == []


def test_agreed_to_it_is_paid_and_then_wanted(shop: Shop, order: Order, large: Price, alice: Visitor) -> None:
    path = f"{page_of(shop, order)}/change/to/{large.id}"
    answer = agree(alice, path, restart="y")
    [change] = changes(shop)
    assert (answer.location, change.restart) == (f"/payments/invoice/{change.invoice_id}", True)
    assert "waits to be paid" in said(alice, page_of(shop, order))
    assert alice.get(f"{page_of(shop, order)}/change", status=302).location.endswith(f"/change/{change.id}")
    alice.post(f"/payments/invoice/{change.invoice_id}", {"gateway": "test"})
    assert changes(shop)[0].state is ChangeState.DONE
    assert "its machine is bringing it about" in said(alice, page_of(shop, order))
    assert shop.vps(order).memory_mib == large.product.memory_mib


def test_another_amount_than_was_shown_is_not_agreed_to(
    shop: Shop, order: Order, large: Price, alice: Visitor
) -> None:
    path = f"{page_of(shop, order)}/change/to/{large.id}"
    answer = alice.post(path, {"shown_minor": "1"}, status=409)
    assert changes(shop) == []
    assert "Please look at it again" in text_of(answer)
    for wrong in ("", "1.5", "9" * 20, "x"):
        alice.post(path, {"shown_minor": wrong}, status=422)


def test_it_can_be_withdrawn(shop: Shop, order: Order, large: Price, alice: Visitor) -> None:
    agree(alice, f"{page_of(shop, order)}/change/to/{large.id}")
    [change] = changes(shop)
    assert "Withdraw it" in said(alice, f"{page_of(shop, order)}/change/{change.id}")
    alice.post(f"{page_of(shop, order)}/change/{change.id}/withdraw")
    assert changes(shop)[0].state is ChangeState.WITHDRAWN
    assert "waits to be paid" not in said(alice, page_of(shop, order))


def test_strangers_find_nothing(
    shop: Shop, order: Order, large: Price, alice: Visitor, charlie: Visitor
) -> None:
    path = page_of(shop, order)
    agree(alice, f"{path}/change/to/{large.id}")
    [change] = changes(shop)
    for address in (f"{path}/change", f"{path}/change/to/{large.id}", f"{path}/change/{change.id}"):
        charlie.get(address, status=404)
    charlie.post(f"{path}/change/{change.id}/withdraw", status=404)
    assert changes(shop)[0].state is ChangeState.OPEN


def test_what_cannot_be_changed_says_why(shop: Shop, order: Order, large: Price, alice: Visitor) -> None:
    builders.make_product_with_price(
        shop.db, name="Tiny", disk_mib=512, price={"currency": shop.price.currency, "amount_minor": 1}
    )
    assert "it cannot shrink without losing" in said(alice, f"{page_of(shop, order)}/change")
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Subscription).values(paid_until=utc_now().date() - timedelta(days=1)))
    assert "renew it first" in said(alice, f"{page_of(shop, order)}/change")
    alice.get(f"{page_of(shop, order)}/change/to/{large.id}", status=409)


def test_an_operator_sees_every_amount_and_changes_withdraws_and_books(
    shop: Shop, order: Order, large: Price, olga: Visitor
) -> None:
    with shop.db.reading() as session:
        key = session.scalars(sa.select(Subscription.id)).one()
    act = f"/operator/contracts/do/change/?id={key}"
    page = olga.get(act).get_data(as_text=True)
    [value] = re.findall(rf'<option[^>]*value="({large.id}:-?\d+)"', page)
    assert "to pay now, then" in text_of(olga.get(act))
    olga.post(act, {"to": f"{large.id}:1", "reason": "asked by phone"}, status=422)
    olga.post(act, {"to": value, "reason": "asked by phone"})
    olga.post(f"/operator/contracts/do/change-withdraw/?id={key}", {"reason": "not after all"})
    olga.post(act, {"to": value, "reason": "now really", "restart": "y"})
    olga.post(f"/operator/contracts/do/change-paid/?id={key}", {"reason": "by transfer"})
    assert [one.state for one in changes(shop)] == [ChangeState.WITHDRAWN, ChangeState.DONE]
    words = text_of(olga.get(f"/operator/contracts/details/?id={key}"))
    assert "its machine is at it" in words
    assert "not after all" in words


def test_an_operator_refunds_a_part_of_an_invoice(shop: Shop, order: Order, olga: Visitor) -> None:
    act = f"/operator/invoices/do/refund/?id={order.invoice.id}"
    assert "are left of it" in text_of(olga.get(act))
    olga.post(act, {"amount": "1000000", "reason": "too much"}, status=409)
    olga.post(act, {"amount": "1.00", "reason": "slow disk"})
    words = text_of(olga.get(f"/operator/invoices/details/?id={order.invoice.id}"))
    assert "slow disk" in words
