"""Paying at a gateway in a real browser: out to another site by a form, and back again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.interface import Bill, Redirect
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways
from domus_web import create_app
from tests.functional.browser.conftest import OpenBrowser, running
from tests.functional.browser.visitor import Visitor
from tests.support import panel
from tests.support.fake_gateway import FakeGateway
from tests.support.http_server import Answer, Request, serving
from tests.support.people import People
from tests.support.shop import Shop

pytestmark = pytest.mark.browser


@dataclass
class Vendor(FakeGateway):
    """The fake with a page of its own, on another origin."""

    base: str = ""

    def begin(self, bill: Bill) -> Redirect:
        self.bills[bill.attempt_id] = bill
        return Redirect(f"session-{bill.attempt_id}", f"{self.base}/checkout/{bill.attempt_id}")

    def answer(self, request: Request) -> Answer:
        """Show the page to pay on, or take the money and send the customer back."""
        kind, _, attempt = request.path.strip("/").partition("/")
        bill = self.bills.get(uuid.UUID(attempt)) if kind in ("checkout", "pay") else None
        if bill is None:
            return Answer(404, b"", content_type="text/plain")
        if kind == "pay":
            self.pays(bill.amount)
            return Answer(303, b"", headers=(("Location", bill.return_url),))
        page = f"<main>The vendor <a href='/pay/{attempt}'>Pay now</a> <a href='{bill.cancel_url}'>Back</a></main>"
        return Answer(200, page.encode(), content_type="text/html")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Serve the vendor's pages."""
    vendor = Vendor()
    with serving(vendor.answer) as url:
        vendor.base = url
        vendor.origins = (url,)
        yield vendor


@pytest.fixture
def site(db: Database, vendor: Vendor) -> Iterator[str]:
    """Serve the panels, with the vendor as a way to pay."""
    app = create_app(panel.settings(test_gateway=False), db, Gateways(vendor, Prepaid()))
    with running(app) as address:
        yield address


def test_a_customer_pays_on_another_site_and_comes_back(
    db: Database, people: People, shop: Shop, site: str, vendor: Vendor, open_browser: OpenBrowser
) -> None:
    order = shop.order(people.alice)
    alice = Visitor(open_browser(), site)
    alice.log_in(people.alice.email)
    alice.open(f"/orders/{order.id}")
    alice.press("Choose how to pay")
    alice.sees("To pay", "12.50")
    alice.press("Pay with the fake")
    alice.waits_for("The vendor")
    assert alice.address.startswith(vendor.base), "the page to pay on lets its form lead there"
    alice.press("Back")
    alice.waits_for("Nothing was charged.")
    alice.press("Choose how to pay")
    alice.press("Pay with the fake")
    alice.waits_for("The vendor")
    alice.press("Pay now")
    alice.waits_for("have arrived")
    assert [bill.amount for bill in vendor.bills.values()] == [Money(1250, "USD")] * 2
    alice.press("Show the order")
    alice.waits_for("Waiting for the server")
    assert shop.vps(order).state.value == "provisioning"
