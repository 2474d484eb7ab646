"""Fixtures for tests of the panels over Flask's test client."""

from collections.abc import Callable

import pytest
from flask import Flask

from domus.accounts.models import User
from domus.db.engine import Database
from domus_web import create_app
from tests.support import panel
from tests.support.panel import Visitor
from tests.support.people import People
from tests.support.shop import Shop, open_shop


@pytest.fixture
def app(db: Database) -> Flask:
    """Offer the panels over ``db``."""
    return create_app(panel.settings(), db)


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one of everything."""
    return open_shop(db)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Offer somebody who is not logged in."""
    return Visitor(app)


@pytest.fixture
def enter(app: Flask) -> Callable[[User], Visitor]:
    """Return a function that logs a user in with a fresh browser."""
    return lambda user: Visitor(app).log_in(user)


@pytest.fixture
def alice(people: People, enter: Callable[[User], Visitor]) -> Visitor:
    """Offer Alice, who owns things."""
    return enter(people.alice)


@pytest.fixture
def charlie(people: People, enter: Callable[[User], Visitor]) -> Visitor:
    """Offer Charlie, a customer who owns nothing here."""
    return enter(people.charlie)


@pytest.fixture
def olga(people: People, enter: Callable[[User], Visitor]) -> Visitor:
    """Offer Olga, an operator."""
    return enter(people.olga)
