"""Pages by key and searches by beginning, on both databases."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account
from domus.db.engine import Database
from domus.inventory.models import Location
from domus.vps.models import Vps
from domus_web.operator.keyset import Cursor, Ordering, page_of
from domus_web.operator.searching import begins_with, parse_key, parse_number
from tests.support.builders import NOW
from tests.support.people import make_people
from tests.support.shop import open_shop


def _walk(db: Database, model: Any, ordering: Ordering, size: int) -> tuple[list[Any], list[Any]]:
    """Return all keys as met forth page by page, and as met on the way back."""
    forth: list[Any] = []
    back: list[Any] = []
    with db.reading() as session:
        page = page_of(session, sa.select(model), ordering, cursor=None, size=size)
        while True:
            forth += [getattr(row, ordering.key.key) for row in page.rows]
            if page.after is None:
                break
            page = page_of(session, sa.select(model), ordering, cursor=Cursor(page.after), size=size)
        while True:
            back = [getattr(row, ordering.key.key) for row in page.rows] + back
            if page.before is None:
                return forth, back
            page = page_of(
                session, sa.select(model), ordering, cursor=Cursor(page.before, backwards=True), size=size
            )


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 3, 4, 12, 50])
def test_every_row_is_met_once_forth_and_back(any_db: Database, size: int, descending: bool) -> None:
    with any_db.unit_of_work() as session:
        session.add_all(
            Location(name=f"{number % 5}-{number}", country=str(number % 3)) for number in range(12)
        )
    ordering = Ordering(Location.name, Location.id, descending)
    forth, back = _walk(any_db, Location, ordering, size)
    assert forth == back
    assert len(set(forth)) == 12


def test_rows_of_the_same_moment_are_told_apart_by_their_uuid(any_db: Database) -> None:
    people = make_people(any_db)
    shop = open_shop(any_db)
    for number in range(7):
        shop.order(people.alice, hostname=f"web{number}.example.org")
    with any_db.unit_of_work() as session:
        session.execute(sa.update(Vps).values(created_at=NOW))
        session.execute(
            sa.update(Vps).where(Vps.hostname == "web3.example.org").values(created_at=NOW + timedelta(1))
        )
    forth, back = _walk(any_db, Vps, Ordering(Vps.created_at, Vps.id, descending=True), 2)
    assert len(set(forth)) == 7
    assert forth == back


def test_a_cursor_whose_row_is_gone_begins_at_the_start(any_db: Database) -> None:
    with any_db.unit_of_work() as session:
        session.add(Location(name="only"))
    with any_db.reading() as session:
        ordering = Ordering(Location.name, Location.id)
        page = page_of(session, sa.select(Location), ordering, cursor=Cursor(999), size=5)
    assert [row.name for row in page.rows] == ["only"]
    assert (page.before, page.after) == (None, None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", {"a", "a%b", "ab", "aé"}),
        ("a%", {"a%b"}),
        ("a_", set()),
        ("ab", {"ab"}),
        ("A", {"A"}),
        ("", {"a", "a%b", "ab", "aé", "A", "b"}),
    ],
)
def test_a_beginning_is_taken_literally(any_db: Database, text: str, found: set[str]) -> None:
    names = ("a", "a%b", "ab", "aé", "A", "b")
    with any_db.unit_of_work() as session:
        session.add_all(
            Account(name=name, email=f"{i}@example.org", created_at=NOW) for i, name in enumerate(names)
        )
    with any_db.reading() as session:
        met = session.scalars(sa.select(Account.name).where(begins_with(session, Account.name, text)))
        assert set(met) == found


def test_keys_from_an_address_are_read_or_refused() -> None:
    key = uuid.uuid4()
    assert parse_key(Vps.id, str(key)) == key
    assert parse_key(Location.id, "12") == 12
    for text in ("", "x", "-1", "1.5", "²", "9" * 30, str(2**63), "\x00"):
        assert parse_key(Location.id, text) is None
        assert parse_key(Vps.id, text) is None
    assert parse_number("#12") == 12
