"""A shop with a till, on SQLite, or on both databases where the database decides."""

import pytest

from domus.db.engine import Database
from tests.support.till import Till, make_till


@pytest.fixture
def till(db: Database) -> Till:
    return make_till(db)


@pytest.fixture
def any_till(any_db: Database) -> Till:
    return make_till(any_db)
