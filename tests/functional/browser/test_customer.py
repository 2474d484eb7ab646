"""The way of a customer in a real browser: with a script, on a phone, and without JavaScript."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from domus.billing.models import Order
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.workflows import console
from tests.functional.browser.conftest import PHONE, OpenBrowser
from tests.functional.browser.visitor import Visitor
from tests.support.panel import SSH_KEY
from tests.support.people import PASSWORD, People
from tests.support.shop import Shop

pytestmark = pytest.mark.browser


def _order_of(db: Database, visitor: Visitor) -> Order:
    order_id = uuid.UUID(visitor.address.rpartition("/")[2])
    with db.reading() as session:
        return session.get_one(Order, order_id)


def _order(visitor: Visitor) -> None:
    visitor.open("/orders/new")
    for name in ("price_id", "location_id", "template_id"):
        visitor.choose(name)
    visitor.fill(hostname="www.example.org", ssh_keys=SSH_KEY)
    visitor.press("Place order")


def test_from_signing_up_to_powering_off(
    db: Database, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    dora = Visitor(open_browser(), site)
    dora.open("/")
    dora.press("Sign up", within="body")
    dora.fill(name="Dora", email="dora@example.org", password="a long enough one")
    dora.press("Sign up")
    dora.waits_for("No VPS yet")
    dora.press("Order a VPS")
    dora.choose("price_id")
    dora.waits_for("12.50 USD")
    dora.waits_for("Available")
    _order(dora)
    dora.waits_for("Waiting for payment")
    dora.press("Pay with the test gateway")
    dora.waits_for("Waiting for the server")

    order = _order_of(db, dora)
    marker = "window.stayedOnThePage"
    dora.driver.execute_script(f"{marker} = true")
    shop.says_job(order, step="unpack", percent=40)
    dora.waits_for("40 %")
    dora.opens("details.log")
    shop.says_job(order, step="customise", percent=80, log_tail=["I: configuring"])
    dora.waits_for("80 %")
    dora.waits_for("I: configuring")  # the log stays open
    dora.is_told("80")
    shop.says_installed(order)
    shop.says_running(order)
    dora.waits_for("ssh root@192.0.2.")
    assert dora.driver.execute_script(f"return {marker}"), "the page was reloaded, not updated"

    dora.press("To the VPS")
    dora.waits_for("Running")
    dora.press("Power off")
    dora.waits_for("whatever is not on disk yet is lost")
    dora.press("Leave it as it is")
    dora.press("Power off")
    dora.press("Power off")
    dora.waits_for("Powering off")
    shop.says_running(order, power="stopped")
    dora.waits_for("Stopped")
    assert dora.driver.get_log("browser") == []  # type: ignore[no-untyped-call]  # Selenium left it untyped


def test_the_console_follows_while_somebody_looks(
    db: Database, people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    alice = Visitor(open_browser(), site)
    alice.log_in(people.alice.email)
    alice.open(f"/vps/{vps.id}/console")
    alice.waits_for("waiting for the server")
    console.store(
        db, minion_id=shop.dom0.minion_id, vps_id=vps.id, lines=["www login:"], problem="", now=utc_now()
    )
    alice.waits_for("www login:")


def test_a_log_out_elsewhere_shows_on_the_open_page(
    people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    order = shop.paid(people.alice)
    alice = Visitor(open_browser(), site)
    alice.log_in(people.alice.email)
    alice.open(f"/orders/{order.id}")
    alice.driver.delete_cookie("domus_session")
    alice.waits_for("Log in")


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_no_page_is_wider_than_a_phone(
    people: People, shop: Shop, site: str, open_browser: OpenBrowser, *, javascript: bool
) -> None:
    long_name = "a-rather-long-host-name-that-somebody-chose.internal.example-company.org"
    delivered = shop.delivered(people.alice, hostname=long_name)
    paid, failed, placed = shop.paid(people.alice), shop.failed(people.alice), shop.order(people.alice)
    shop.says_job(paid, percent=30)
    vps = shop.vps(delivered).id
    alice = Visitor(open_browser(PHONE, javascript=javascript), site)
    paths = ["/", "/login", "/sign-up", "/nothing-here"]
    _assert_narrow(alice, paths)
    alice.log_in(people.alice.email)
    paths = [
        "/",
        "/vps",
        "/orders",
        "/orders/new",
        f"/orders/new?price={shop.price.id}",
        "/invoices",
        "/account",
    ]
    paths += [f"/orders/{order.id}" for order in (delivered, paid, failed, placed)]
    paths += [
        f"/orders/{placed.id}/cancel",
        f"/orders/{failed.id}/refund",
        f"/invoices/{delivered.invoice.id}",
    ]
    paths += [f"/vps/{vps}", f"/vps/{vps}/power-off", f"/vps/{vps}/console", "/account/password"]
    _assert_narrow(alice, paths)


def _assert_narrow(visitor: Visitor, paths: list[str]) -> None:
    for path in paths:
        visitor.open(path)
        # By the protocol and not by a script of the page: this works where JavaScript is off, too.
        size = visitor.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        assert size["width"] <= PHONE[0], f"{path} is {size['width']} pixels wide"
        targets = visitor.driver.find_elements(
            By.CSS_SELECTOR, "main .button, main input:not([type=hidden], [type=radio])"
        )
        for target in targets:
            assert target.size["height"] >= 44, (
                f"{path}: {target.text or target.get_attribute('name')} is too low"
            )


def test_everything_works_without_javascript(
    db: Database, people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    alice = Visitor(open_browser(javascript=False), site)
    alice.log_in(people.alice.email)
    _order(alice)
    alice.press("Pay with the test gateway")
    alice.waits_for("Waiting for the server")
    order = _order_of(db, alice)
    shop.says_job(order, percent=40)
    alice.waits_for("40 %")
    shop.says_installed(order)
    shop.says_running(order)
    alice.waits_for("Your VPS is ready")
    alice.press("To the VPS")
    alice.press("Shut down")
    alice.press("Shut down")
    alice.waits_for("Shutting down")
    alice.press("Console")
    alice.press("Fetch now")
    alice.waits_for("waiting for the server")
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 1


def test_the_keyboard_alone_is_enough_to_log_in(people: People, site: str, open_browser: OpenBrowser) -> None:
    alice = Visitor(open_browser(), site)
    alice.open("/")
    alice.driver.switch_to.active_element.send_keys(Keys.TAB)
    skip = alice.driver.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.rect["x"] >= 0, "the skip link is visible while it has the focus"
    alice.open("/login")
    email = alice.driver.switch_to.active_element
    assert email.get_attribute("name") == "email"
    email.send_keys(people.alice.email, Keys.TAB)
    alice.driver.switch_to.active_element.send_keys(PASSWORD, Keys.ENTER)
    alice.waits_for("No VPS yet")
