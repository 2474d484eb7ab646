"""The way of a customer in a real browser: with a script, on a phone, and without JavaScript."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy as sa
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from domus.billing.models import Order
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.workflows import console
from tests.functional.browser.conftest import PHONE, OpenBrowser
from tests.support.panel import SSH_KEY
from tests.support.people import PASSWORD, People
from tests.support.shop import Shop

pytestmark = pytest.mark.browser


def _fill(browser: WebDriver, **fields: str) -> None:
    for name, value in fields.items():
        browser.find_element(By.NAME, name).send_keys(value)


def _press(browser: WebDriver, label: str) -> None:
    """Press the button or follow the link in the page's content that has this label."""
    xpath = f"//main//*[self::button or self::a][starts-with(normalize-space(), '{label}')]"
    browser.find_element(By.XPATH, xpath).click()


def _wait_for(browser: WebDriver, text: str) -> None:
    said = ""

    def is_there(driver: WebDriver) -> bool:
        nonlocal said
        said = driver.find_element(By.TAG_NAME, "main").text
        return text in said

    try:
        # A part of the page may be replaced while it is being read.
        WebDriverWait(browser, 30, ignored_exceptions=[StaleElementReferenceException]).until(is_there)
    except TimeoutException:
        pytest.fail(f"{text!r} did not show up at {browser.current_url}; there is: {said}")


def _log_in(browser: WebDriver, site: str, email: str) -> None:
    browser.get(f"{site}/login")
    _fill(browser, email=email, password=PASSWORD)
    _press(browser, "Log in")
    # The next page may not be asked for before the answer is here, or the one overtakes the other.
    WebDriverWait(browser, 30).until(lambda driver: "/login" not in driver.current_url)


def _choose(browser: WebDriver, name: str) -> None:
    browser.find_element(By.CSS_SELECTOR, f"input[name={name}]").click()


def _order_of(db: Database, browser: WebDriver) -> Order:
    order_id = uuid.UUID(browser.current_url.rpartition("/")[2])
    with db.reading() as session:
        return session.get_one(Order, order_id)


def _order(browser: WebDriver, site: str) -> None:
    browser.get(f"{site}/orders/new")
    for name in ("price_id", "location_id", "template_id"):
        _choose(browser, name)
    _fill(browser, hostname="www.example.org", ssh_keys=SSH_KEY)
    _press(browser, "Place order")


def test_from_signing_up_to_powering_off(
    db: Database, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    browser.get(site)
    browser.find_element(By.LINK_TEXT, "Sign up").click()
    _fill(browser, name="Dora", email="dora@example.org", password="a long enough one")
    _press(browser, "Sign up")
    _wait_for(browser, "No VPS yet")
    _press(browser, "Order a VPS")
    _choose(browser, "price_id")
    _wait_for(browser, "12.50 USD")
    _wait_for(browser, "Available")
    _order(browser, site)
    _wait_for(browser, "Waiting for payment")
    _press(browser, "Pay with the test gateway")
    _wait_for(browser, "Waiting for the server")

    order = _order_of(db, browser)
    marker = "window.stayedOnThePage"
    browser.execute_script(f"{marker} = true")
    shop.says_job(order, step="unpack", percent=40)
    _wait_for(browser, "40 %")
    browser.find_element(By.TAG_NAME, "summary").click()
    shop.says_job(order, step="customise", percent=80, log_tail=["I: configuring"])
    _wait_for(browser, "80 %")
    assert browser.find_element(By.CSS_SELECTOR, "details.log").get_attribute("open"), "the log stays open"
    voice = browser.find_element(By.CSS_SELECTOR, "[aria-live=polite]")
    assert "80" in (voice.get_attribute("textContent") or "")
    shop.says_installed(order)
    shop.says_running(order)
    _wait_for(browser, "ssh root@192.0.2.")
    assert browser.execute_script(f"return {marker}"), "the page was reloaded, not updated"

    _press(browser, "To the VPS")
    _wait_for(browser, "Running")
    _press(browser, "Power off")
    _wait_for(browser, "whatever is not on disk yet is lost")
    _press(browser, "Leave it as it is")
    _press(browser, "Power off")
    _press(browser, "Power off")
    _wait_for(browser, "Powering off")
    shop.says_running(order, power="stopped")
    _wait_for(browser, "Stopped")
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]  # Selenium left it untyped


def test_the_console_follows_while_somebody_looks(
    db: Database, people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    browser = open_browser()
    _log_in(browser, site, people.alice.email)
    browser.get(f"{site}/vps/{vps.id}/console")
    _wait_for(browser, "waiting for the server")
    console.store(
        db, minion_id=shop.dom0.minion_id, vps_id=vps.id, lines=["www login:"], problem="", now=utc_now()
    )
    _wait_for(browser, "www login:")


def test_a_log_out_elsewhere_shows_on_the_open_page(
    people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    order = shop.paid(people.alice)
    browser = open_browser()
    _log_in(browser, site, people.alice.email)
    browser.get(f"{site}/orders/{order.id}")
    browser.delete_cookie("domus_session")
    _wait_for(browser, "Log in")


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_no_page_is_wider_than_a_phone(
    people: People, shop: Shop, site: str, open_browser: OpenBrowser, *, javascript: bool
) -> None:
    long_name = "a-rather-long-host-name-that-somebody-chose.internal.example-company.org"
    delivered = shop.delivered(people.alice, hostname=long_name)
    paid, failed, placed = shop.paid(people.alice), shop.failed(people.alice), shop.order(people.alice)
    shop.says_job(paid, percent=30)
    vps = shop.vps(delivered).id
    browser = open_browser(PHONE, javascript=javascript)
    paths = ["/", "/login", "/sign-up", "/nothing-here"]
    _assert_narrow(browser, site, paths)
    _log_in(browser, site, people.alice.email)
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
    _assert_narrow(browser, site, paths)


def _assert_narrow(browser: WebDriver, site: str, paths: list[str]) -> None:
    for path in paths:
        browser.get(f"{site}{path}")
        # By the protocol and not by a script of the page: this works where JavaScript is off, too.
        size = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        assert size["width"] <= PHONE[0], f"{path} is {size['width']} pixels wide"
        targets = browser.find_elements(
            By.CSS_SELECTOR, "main .button, main input:not([type=hidden], [type=radio])"
        )
        for target in targets:
            assert target.size["height"] >= 44, (
                f"{path}: {target.text or target.get_attribute('name')} is too low"
            )


def test_everything_works_without_javascript(
    db: Database, people: People, shop: Shop, site: str, open_browser: OpenBrowser
) -> None:
    browser = open_browser(javascript=False)
    _log_in(browser, site, people.alice.email)
    _order(browser, site)
    _press(browser, "Pay with the test gateway")
    _wait_for(browser, "Waiting for the server")
    order = _order_of(db, browser)
    shop.says_job(order, percent=40)
    _wait_for(browser, "40 %")
    shop.says_installed(order)
    shop.says_running(order)
    _wait_for(browser, "Your VPS is ready")
    _press(browser, "To the VPS")
    _press(browser, "Shut down")
    _press(browser, "Shut down")
    _wait_for(browser, "Shutting down")
    _press(browser, "Console")
    _press(browser, "Fetch now")
    _wait_for(browser, "waiting for the server")
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 1


def test_the_keyboard_alone_is_enough_to_log_in(people: People, site: str, open_browser: OpenBrowser) -> None:
    browser = open_browser()
    browser.get(f"{site}/")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.rect["x"] >= 0, "the skip link is visible while it has the focus"
    browser.get(f"{site}/login")
    email = browser.switch_to.active_element
    assert email.get_attribute("name") == "email"
    email.send_keys(people.alice.email, Keys.TAB)
    browser.switch_to.active_element.send_keys(PASSWORD, Keys.ENTER)
    _wait_for(browser, "No VPS yet")
