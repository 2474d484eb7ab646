"""The books against what a gateway lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domus.gateways.interface import Lists, Paid
from domus.gateways.registry import Gateways
from domus.workflows.payments import comparing
from tests.support.builders import NOW
from tests.support.fake_gateway import FakeGateway
from tests.support.till import Till, usd

SINCE = NOW - timedelta(days=3)
LATER = NOW + timedelta(hours=1)


@dataclass
class Listing(FakeGateway, Lists):
    """The fake, with a list of what it took."""

    taken: list[Paid] = field(default_factory=list)

    def paid_since(self, since: datetime) -> Iterable[Paid]:
        self._be_there()
        return self.taken


def with_list(till: Till) -> Listing:
    listing = Listing()
    till.fake, till.gateways = listing, Gateways(listing)
    return listing


def compare(till: Till) -> list[str]:
    return comparing.compare(till.db, till.gateways, since=SINCE, now=LATER)


def test_a_payment_of_which_no_event_came_is_found_and_booked(till: Till) -> None:
    listing = with_list(till)
    order = till.order()
    till.begin(order.invoice)
    listing.taken.append(listing.pays(usd("10.00")))
    assert compare(till) == ["fake: pay-1 was not in the books; 10.00 USD settled invoice 2026-00001."]
    assert till.state(order) == ("paid", "paid")
    assert compare(till) == []
    till.assert_books_agree()


def test_a_payment_that_only_the_books_know_is_named(till: Till) -> None:
    with_list(till)
    till.pays(till.order().invoice)
    assert compare(till) == ["fake: pay-1 is in the books, and the gateway does not list it."]


def test_a_gateway_that_is_silent_is_named(till: Till) -> None:
    with_list(till).down = True
    assert compare(till) == ["fake could not be asked: Nobody answers."]
