"""The check of the books finds contracts that do not agree with what was paid for them, and numbers that went astray."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from domus.workflows import billing
from tests.support.contracts import due, pay
from tests.support.order_shop import make_shop

Spoil = Callable[[str], list[str]]


@pytest.fixture
def spoil(db) -> Spoil:
    """Offer a function that breaks the books of a contract that was renewed twice, and returns what is found."""
    shop = make_shop(db)
    vps = shop.active()
    for _ in range(2):
        pay(shop, vps, now=due(shop, vps, -10))

    def spoil(statement: str) -> list[str]:
        assert billing.check_ledger(db) == []
        with db.unit_of_work() as session:
            triggers = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for trigger in session.scalars(triggers).all():
                session.execute(sa.text(f"DROP TRIGGER {trigger}"))
            session.execute(sa.text(statement))
        return billing.check_ledger(db)

    return spoil


def test_a_contract_that_was_given_days_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE subscription SET paid_until = '2027-06-01'")
    assert found == ["Contract 1 counts as paid until 2027-06-01; its last payment was until 2027-02-20."]


def test_a_period_that_was_paid_twice_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE renewal SET starts_on = '2027-01-01' WHERE ends_on = '2027-02-20'")
    assert found == ["Contract 1 was paid twice from 2027-01-01 to 2027-01-20."]


def test_a_period_that_was_given_away_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE renewal SET starts_on = '2027-01-25' WHERE ends_on = '2027-02-20'")
    assert found == ["Contract 1 was paid not at all from 2027-01-20 to 2027-01-25."]


def test_a_paid_invoice_that_renewed_nothing_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE renewal SET settled_at = NULL WHERE invoice_id = 3")
    assert "Invoice 3 is paid, and the renewal that it is for looks open." in found


def test_a_number_that_was_never_given_out_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE invoice SET number = '2027-00009' WHERE id = 3")
    assert found == [
        "1 invoice numbers of 2027 are missing, beginning with 2027-00001.",
        "The invoice number 2027-00009 was never given out.",
    ]


def test_a_number_of_no_series_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE invoice SET number = 'XX-00003' WHERE id = 3")
    assert "The invoice number XX-00003 belongs to no series." in found


def test_a_payment_whose_reference_was_changed_is_found(spoil: Spoil) -> None:
    [found] = spoil("UPDATE payment SET reference = 'another' WHERE id = 3")
    assert found == "Payment 3 (test another) was booked with another gateway or reference."


def test_a_payment_without_a_reference_is_found(spoil: Spoil) -> None:
    assert "Payment 3 has no reference." in spoil("UPDATE payment SET reference = ' ' WHERE id = 3")


def test_a_booking_of_nothing_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE ledger_transaction SET reference = 'payment:99' WHERE reference = 'payment:3'")
    assert "The booking payment:99 is of something that is not there." in found
    assert "payment:3 is not booked." in found


def test_a_currency_that_does_not_sum_to_zero_is_found(spoil: Spoil) -> None:
    found = spoil("UPDATE ledger_entry SET amount_minor = amount_minor + 5 WHERE id = 1")
    assert "All entries in USD sum to 0.05 USD instead of zero." in found
