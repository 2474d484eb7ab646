"""An operator's working day in a real browser: fill the catalogue, take an order's money, put right what failed."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.by import By

from domus.db.engine import Database
from tests.functional.browser.conftest import PHONE, OpenBrowser
from tests.functional.browser.visitor import Visitor
from tests.support import builders
from tests.support.people import People
from tests.support.shop import Shop

pytestmark = pytest.mark.browser


class Operator(Visitor):
    """Somebody at the operator panel, who minds every fault of a page."""

    def follow(self, label: str, *, within: str = ".desk-main") -> None:
        """Follow a link; return when the next page is there."""
        self.press(label, within=within)

    def press(self, label: str, *, within: str = ".desk-main") -> None:
        """Press a button or follow a link; return when the next page is there."""
        super().press(label, within=within)
        self.no_faults()

    def no_faults(self) -> None:
        """Check that the browser had nothing to complain about, and that the page does not scroll sideways."""
        # A form that was refused answers 422, which Chromium notes; everything else is a fault of the page.
        log = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        faults = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
        assert [message for message in faults if "status of 422" not in message] == []
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.driver.execute_script(wide) <= 0, f"{self.address} scrolls sideways"


def test_an_operator_fills_the_catalogue_takes_money_and_puts_right_what_failed(
    db: Database, people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    paid, failed = shop.order(people.alice, hostname="new.example.org"), shop.failed(people.charlie)
    olga = Operator(open_browser(), site)
    olga.log_in(people.olga.email, path="/operator/")
    olga.sees("Dashboard")

    olga.follow("Products", within=".side")
    olga.follow("New product")
    olga.fill(name="Advanced VPS", memory_mib="768", disk_mib="30720", traffic="200")
    olga.press("Save")
    olga.sees("Advanced VPS was made", "it has no price")
    olga.follow("Add a price")
    olga.fill(period_text="0000-01-00", amount="59,-", setup_fee="0")
    olga.press("Save")
    olga.sees("'59,-' is not an amount")
    olga.fill(amount="59")
    olga.press("Save")
    olga.sees("59.00 USD")
    olga.follow("Add a renewal")
    olga.fill(period_text="0000-03-00", amount="149")
    olga.press("Save")
    olga.sees("↳ renewal", "149.00 USD", "3 months")

    olga.follow("IP pools", within=".side")
    olga.follow("New IP pool")
    olga.fill(location_id="Par", network="198.51.100.0/24", gateway="198.51.100.1", dns="198.51.100.1")
    olga.finds(By.CSS_SELECTOR, "datalist option[value='Paris']")
    olga.fill(location_id="Paris")
    olga.press("Save")
    olga.follow("Add addresses")
    olga.fill(first="198.51.100.10", last="198.51.100.19")
    olga.press("Add addresses")
    olga.sees("10 addresses were added", "10 of 10 free")

    olga.follow("Dashboard", within=".side")
    olga.sees("Needs a hand", "The mirror did not answer.", "Waiting for payment")
    olga.follow("Mark as paid")
    olga.sees("12.50 USD is booked as received from Acme")
    olga.fill(reason="bank transfer")
    olga.press("Mark as paid")
    olga.sees("its VPS is being made", "provisioning")
    shop.says_installed(paid)
    shop.says_running(paid)
    olga.follow(shop.vps(paid).name)
    olga.sees("Running", "new.example.org", "Handed over")

    olga.follow("Jobs", within=".side")
    olga.fill(state="failed")
    olga.press("Show")
    olga.follow("provision")
    olga.sees("The mirror did not answer.", "I: unpacking")
    olga.follow("Install again")
    olga.fill(reason="the mirror is back")
    olga.press("Install again")
    olga.sees("is being installed again")
    shop.says_installed(failed)
    shop.says_running(failed)
    olga.follow("Dashboard", within=".side")
    olga.sees("Nothing needs a hand")


def test_the_panel_is_usable_on_a_phone_without_scripts(
    db: Database, people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    builders.make_dom0(db, shop.location, minion_id="a-dom0-with-a-long-name.rack-12.example.net")
    vps = shop.vps(shop.delivered(people.alice, hostname="a-rather-long-host-name.shop.example.org"))
    olga = Operator(open_browser(PHONE, javascript=False), site)
    olga.log_in(people.olga.email, path="/operator/")
    for path in (
        "", "vps/", f"vps/details/?id={vps.id}", "orders/", "jobs/", "dom0s/", "dom0s/details/?id=2", "pools/details/?id=1",
        "products/new/", "audit/", "ledger/", f"orders/do/refund/?id={vps.order_id}",
    ):  # fmt: skip
        olga.open(f"/operator/{path}")
        olga.no_faults()
    olga.open("/operator/")
    olga.opens(".side-menu")
    olga.follow("VPSs", within=".side-menu")
    olga.fill(search="a-rather-long")
    olga.press("Show")
    olga.follow(vps.name)
    olga.follow("Reboot")
    olga.fill(reason="asked by phone")
    olga.press("Reboot")
    olga.sees("is being rebooted")
