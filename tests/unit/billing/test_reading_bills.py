"""Bills are for those whose they are."""

import uuid
from collections.abc import Callable

import pytest

from domus.accounts.actor import Actor
from domus.billing import services
from domus.billing.models import Order
from domus.core.errors import NotAllowed, NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.workflows import billing
from tests.support.builders import NOW
from tests.support.people import People


@pytest.fixture
def any_db(db: Database) -> Database:
    """Use SQLite alone."""
    return db


@pytest.fixture
def paid(db: Database, place: Callable[..., Order], cast: People) -> Order:
    order = place()
    with db.unit_of_work() as session:
        services.settle(
            session,
            order.invoice,
            gateway="test",
            reference="r",
            amount=Money(1000, "USD"),
            actor=cast.as_alice,
            now=NOW,
        )
        services.start_subscription(session, order, now=NOW)
    return order


def test_owner_colleague_and_staff_see_an_invoice_with_its_lines_and_payments(
    db: Database, paid: Order, cast: People
) -> None:
    for actor in (cast.as_alice, cast.as_bob, cast.as_olga):
        (listed,) = billing.invoices(db, account_id=cast.acme.id, actor=actor)
        shown = billing.invoice(db, invoice_id=listed.id, actor=actor)
        assert shown.number == "2026-00001"
        assert [line.net_minor for line in shown.lines] == [1000]
        assert [payment.amount for payment in shown.payments] == [Money(1000, "USD")]
        contract = billing.subscription(db, order_id=paid.id, actor=actor)
        assert contract is not None
        assert str(contract.paid_until) == "2026-12-20"
        assert contract.price.product.name


@pytest.mark.parametrize("invoice_id", [1, 99])
def test_a_stranger_cannot_tell_an_invoice_from_none(
    db: Database, paid: Order, cast: People, invoice_id: int
) -> None:
    with pytest.raises(NotFound, match=r"^There is no such invoice\.$"):
        billing.invoice(db, invoice_id=invoice_id, actor=cast.as_charlie)


def test_a_stranger_sees_no_list_and_no_contract(db: Database, paid: Order, cast: People) -> None:
    with pytest.raises(NotFound):
        billing.invoices(db, account_id=cast.acme.id, actor=cast.as_charlie)
    for order_id in (paid.id, uuid.uuid4()):
        with pytest.raises(NotFound, match=r"^There is no such order\.$"):
            billing.subscription(db, order_id=order_id, actor=cast.as_charlie)


def test_an_unpaid_order_has_no_contract(db: Database, place: Callable[..., Order], cast: People) -> None:
    assert billing.subscription(db, order_id=place().id, actor=cast.as_alice) is None


def test_the_ledger_is_for_the_staff(db: Database, paid: Order, cast: People) -> None:
    assert billing.ledger_balances(db, actor=cast.as_olga)["cash:test"] == [Money(1000, "USD")]
    with pytest.raises(NotAllowed):
        billing.ledger_balances(db, actor=cast.as_alice)


def test_parts_of_domus_may_do_everything_and_a_dom0_is_no_operator() -> None:
    Actor.system("sweep").require_account(1, what="order")
    Actor.shell("root").require_operator()
    with pytest.raises(NotFound, match="no such order"):
        Actor.dom0("dom0-a").require_account(1, what="order")
    with pytest.raises(NotAllowed):
        Actor.dom0("dom0-a").require_operator()
