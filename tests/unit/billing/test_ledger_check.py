"""The check of the books finds each thing that does not agree."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from domus.billing import services
from domus.billing.models import Order
from domus.core.money import Money
from domus.db.engine import Database
from domus.workflows import billing
from tests.support.builders import NOW
from tests.support.people import People


@pytest.fixture
def any_db(db: Database) -> Database:
    """Use SQLite alone: the faults are put there past its triggers."""
    return db


@pytest.fixture
def spoil(any_db: Database, place: Callable[..., Order], cast: People) -> Callable[[str], list[str]]:
    """Offer a function that breaks the books of one paid order by a statement and returns what is found."""
    order = place()
    with any_db.unit_of_work() as session:
        services.settle(
            session,
            order.invoice,
            gateway="test",
            reference="r",
            amount=Money(1000, "USD"),
            actor=cast.as_alice,
            now=NOW,
        )

    def spoil(statement: str) -> list[str]:
        assert billing.check_ledger(any_db) == []
        with any_db.unit_of_work() as session:
            for trigger in session.scalars(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                session.execute(sa.text(f"DROP TRIGGER {trigger}"))
            session.execute(sa.text(statement))
        return billing.check_ledger(any_db)

    return spoil


def test_an_entry_that_was_changed_is_found(spoil: Callable[[str], list[str]]) -> None:
    found = spoil("UPDATE ledger_entry SET amount_minor = 999 WHERE ledger_account = 'cash:test'")
    assert found == [
        "The booking payment:1 sums to -0.01 USD instead of zero.",
        "All entries in USD sum to -0.01 USD instead of zero.",
        "payment:1 is booked with 999 minor units instead of 1000.",
    ]


def test_a_booking_without_entries_is_found(spoil: Callable[[str], list[str]]) -> None:
    found = spoil("DELETE FROM ledger_entry WHERE transaction_id = 1")
    assert "The booking invoice:1 has no entries." in found
    assert "invoice:1 is not booked." in found


def test_an_open_receivable_is_found(spoil: Callable[[str], list[str]]) -> None:
    found = spoil("DELETE FROM ledger_entry WHERE transaction_id = 1")
    assert any("stays open with -10.00 USD" in problem for problem in found)


def test_an_invoice_that_is_not_the_sum_of_its_lines_is_found(spoil: Callable[[str], list[str]]) -> None:
    assert spoil("UPDATE invoice_line SET net_minor = 1") == [
        "Invoice 2026-00001 (id 1) is not the sum of its lines."
    ]


def test_a_refund_without_its_bookings_is_found(spoil: Callable[[str], list[str]]) -> None:
    assert spoil("UPDATE payment SET state = 'refunded'") == [
        "credit:1 is not booked.",
        "refund:1 is not booked.",
    ]


def test_a_missing_invoice_number_is_found(spoil: Callable[[str], list[str]]) -> None:
    found = spoil("UPDATE number_series SET next_number = 4 WHERE name = 'invoice:2026'")
    assert found == ["2 invoice numbers of 2026 are missing, beginning with 2026-00002, 2026-00003."]
