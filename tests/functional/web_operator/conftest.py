"""Fixtures for tests of the operator panel over Flask's test client."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import sqlalchemy as sa
from flask import Flask

from domus.db.engine import Database
from domus_web import create_app
from tests.support import panel
from tests.support.panel import Visitor
from tests.support.people import People
from tests.support.shop import Shop, open_shop

Statements = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def app(db: Database) -> Flask:
    """Offer the panels over ``db``."""
    return create_app(panel.settings(), db)


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one of everything."""
    return open_shop(db)


@pytest.fixture
def olga(app: Flask, people: People) -> Visitor:
    """Offer Olga, an operator, at her browser."""
    return Visitor(app).log_in(people.olga)


@pytest.fixture
def alice(app: Flask, people: People) -> Visitor:
    """Offer Alice, a customer, at her browser."""
    return Visitor(app).log_in(people.alice)


@pytest.fixture
def statements(db: Database) -> Statements:
    """Return a context that collects every statement sent to the database, but for BEGIN."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            if not statement.startswith("BEGIN"):
                seen.append(statement)

        sa.event.listen(db.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(db.engine, "before_cursor_execute", note)

    return collect
