"""A real panel on a free port, and a real headless Chromium in front of it."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from werkzeug.serving import make_server

from domus.db.engine import Database
from domus_web import create_app
from tests.support import panel
from tests.support.shop import Shop, open_shop

# A failed test shows every word that was exchanged with the browser, otherwise, and nothing else of use.
for talkative in ("selenium", "urllib3"):
    logging.getLogger(talkative).setLevel(logging.WARNING)

#: A phone, narrow but still made.
PHONE = (360, 740)
DESKTOP = (1280, 900)

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

OpenBrowser = Callable[..., webdriver.Chrome]


@contextmanager
def running(app: Flask) -> Iterator[str]:
    """Serve an application on a free port until the block ends; yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _browser(profile: Path, size: tuple[int, int], *, javascript: bool) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    for argument in (*_OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if not javascript:
        content = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", content)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.set_page_load_timeout(60)
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one of everything."""
    return open_shop(db)


@pytest.fixture
def site(db: Database) -> Iterator[str]:
    """Serve the panels over ``db``; the value is their address."""
    with running(create_app(panel.settings(), db)) as address:
        yield address


@pytest.fixture
def open_browser(tmp_path: Path) -> Iterator[OpenBrowser]:
    """Return a function that starts a Chromium with a fresh profile; every one is ended with the test."""
    with ExitStack() as stack:

        def start(size: tuple[int, int] = DESKTOP, *, javascript: bool = True) -> webdriver.Chrome:
            profile = tmp_path / f"profile-{size[0]}-{javascript}"
            return stack.enter_context(_browser(profile, size, javascript=javascript))

        yield start
