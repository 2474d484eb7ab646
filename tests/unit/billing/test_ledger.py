"""Every booking sums to zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.accounts.actor import Actor
from domus.billing import ledger
from domus.core.money import Money
from domus.db.engine import Database
from tests.support.builders import NOW

ACTOR = Actor.system("test")


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def test_a_balanced_booking_is_written_without_its_empty_entries(db: Database) -> None:
    entries = [("receivable:1", usd(1190)), ("revenue", usd(-1000)), ("tax", usd(-190)), ("rounding", usd(0))]
    with db.unit_of_work() as session:
        ledger.book(session, "invoice", "invoice:1", entries, actor=ACTOR, now=NOW)
    with db.reading() as session:
        assert ledger.balances(session) == {
            "receivable:1": [usd(1190)],
            "revenue": [usd(-1000)],
            "tax": [usd(-190)],
        }


@pytest.mark.parametrize(
    "entries",
    [
        [("cash", usd(1000)), ("revenue", usd(-999))],
        [("cash", usd(1000)), ("revenue", Money(-1000, "EUR"))],
        [("cash", usd(0)), ("revenue", usd(0))],
        [],
    ],
)
def test_a_booking_that_does_not_balance_is_refused(db: Database, entries: list[tuple[str, Money]]) -> None:
    with pytest.raises(ValueError, match="does not balance"), db.unit_of_work() as session:
        ledger.book(session, "invoice", "invoice:1", entries, actor=ACTOR, now=NOW)
    with db.reading() as session:
        assert ledger.balances(session) == {}


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=6))
def test_amounts_are_accepted_exactly_when_they_sum_to_zero(amounts: list[int]) -> None:
    class Recorder:
        """Stands in for a session that writes nothing."""

        def add(self, row: object) -> None: ...
        def flush(self) -> None: ...

    entries = [(f"account:{number}", usd(minor)) for number, minor in enumerate(amounts)]
    balances = sum(amounts) == 0 and any(amounts)
    try:
        ledger.book(Recorder(), "test", "test:1", entries, actor=ACTOR, now=NOW)  # type: ignore[arg-type]
    except ValueError:
        assert not balances
    else:
        assert balances
