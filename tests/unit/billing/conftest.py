"""An order that waits for its money."""

from collections.abc import Callable

import pytest

from domus.billing import services
from domus.billing.models import Invoice, Order, OrderState
from domus.catalog.models import Price
from domus.db.engine import Database
from tests.support.builders import NOW, make_product_with_price
from tests.support.people import People, make_people

PlaceOrder = Callable[..., Order]


@pytest.fixture
def cast(any_db: Database) -> People:
    return make_people(any_db)


@pytest.fixture
def place(any_db: Database, cast: People) -> PlaceOrder:
    """Offer a function that writes an order with its open invoice, without a VPS."""

    def place(price: Price | None = None) -> Order:
        sold = price or make_product_with_price(any_db, name=f"VPS {len(numbers)}")
        with any_db.unit_of_work() as session:
            number = services.next_number(session, "order")
            numbers.append(number)
            order = Order(
                number=number,
                account_id=cast.acme.id,
                price=session.get_one(Price, sold.id),
                state=OrderState.PLACED,
                request_token=str(number),
                placed_at=NOW,
                hold_until=NOW,
            )
            session.add(order)
            session.flush()
            services.open_order_invoice(session, order, now=NOW)
            _ = order.invoice.lines, order.price.product
        return order

    numbers: list[int] = []
    return place


@pytest.fixture
def invoice(place: PlaceOrder) -> Invoice:
    """Offer an open invoice over 10.00 USD."""
    return place().invoice
