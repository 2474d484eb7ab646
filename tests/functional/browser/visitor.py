"""Somebody in front of a browser: reads the page, fills in fields, presses buttons, follows links."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.people import PASSWORD

Seen = TypeVar("Seen")

#: Far beyond what a page takes on a busy machine: who waits that long has found a fault.
LIMIT_SECONDS = 90


class Visitor:
    """A person at one browser window.

    A page may be replaced, whole or in part, while it is being looked at; chromedriver then complains in half a dozen
    ways about what it held. So nothing is read only once: a look that failed is a look at a page that is on its way.
    """

    def __init__(self, driver: WebDriver, site: str) -> None:
        self.driver = driver
        self.site = site

    @property
    def address(self) -> str:
        """Return where the browser is."""
        return self.driver.current_url

    def open(self, path: str) -> None:
        """Open a page of the site."""
        self.driver.get(self.site + path)

    def log_in(self, email: str, *, path: str = "/login") -> None:
        """Log in; return when the next page is there."""
        self.open(path)
        self.fill(email=email, password=PASSWORD)
        self.press("Log in", within="main")

    def fill(self, **fields: str) -> None:
        """Type into fields of the page's content, or choose in them."""
        for name, value in fields.items():
            field = self.finds(By.CSS_SELECTOR, f"main [name='{name}']")
            if field.tag_name == "select":
                field.find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()
            else:
                field.clear()
                field.send_keys(value)

    def choose(self, name: str) -> None:
        """Choose the first of several."""
        self.finds(By.CSS_SELECTOR, f"input[name={name}]").click()

    def press(self, label: str, *, within: str = "main") -> None:
        """Press the button or follow the link with a label; return when the next page is there."""
        path = f"descendant::*[self::button or self::a][normalize-space()='{label}']"
        self._turn_the_page(lambda: self.finds(By.CSS_SELECTOR, within).find_element(By.XPATH, path))

    def opens(self, details: str) -> None:
        """Open what is folded up."""
        self._soon(
            lambda: self.driver.find_element(By.CSS_SELECTOR, f"{details} summary").click() or True,
            f"{details} cannot be opened",
        )

    def is_told(self, text: str) -> None:
        """Listen to what a screen reader says, until it says something."""

        def listen() -> bool:
            voice = self.driver.find_element(By.CSS_SELECTOR, "[aria-live=polite]")
            return text in (voice.get_attribute("textContent") or "")

        self._soon(listen, f"{text!r} was not said aloud")

    def finds(self, by: str, value: str) -> WebElement:
        """Return an element, as soon as it is there."""
        return self._soon(lambda: self.driver.find_element(by, value), f"{value!r} is not there")

    def waits_for(self, text: str) -> None:
        """Look at the page until it says something."""
        self._soon(lambda: text in self._reads(), f"{text!r} did not show up")

    def sees(self, *texts: str) -> None:
        """Check that the page says all of it now."""
        said = self._soon(self._reads, "the page stayed empty")
        for text in texts:
            assert text in said, f"{text!r} is not on {self.address}:\n{said}"

    def _turn_the_page(self, find: Callable[[], WebElement]) -> None:
        before = self.finds(By.TAG_NAME, "html")

        def has_turned() -> bool:
            return self.driver.find_element(By.TAG_NAME, "html") != before

        def click() -> bool:
            # A click that chromedriver complained about may have been one all the same.
            if not has_turned():
                find().click()
            return True

        self._soon(click, "there was nothing to click")
        self._soon(has_turned, "no other page came")

    def _reads(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "main").text

    def _soon(self, look: Callable[[], Seen], otherwise: str) -> Seen:
        wait = WebDriverWait(self.driver, LIMIT_SECONDS, ignored_exceptions=[WebDriverException])
        try:
            return wait.until(lambda driver: look())
        except TimeoutException:
            pytest.fail(f"{otherwise} at {self.address}; there is: {self._reads()}")
