"""A payment is booked once, for the right amount, and can be given back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from domus.billing import checks, ledger, services
from domus.billing.models import Invoice, InvoiceState, Order, Payment, PaymentState, Subscription
from domus.core.errors import Conflict, InvalidInput
from domus.core.money import Money
from domus.db.engine import Database
from tests.support.builders import NOW, make_price, make_product
from tests.support.people import People

TEN = Money(1000, "USD")


def pay(
    db: Database,
    invoice: Invoice,
    people: People,
    *,
    reference: str = "ref-1",
    amount: Money = TEN,
    now: datetime = NOW,
) -> Payment:
    with db.unit_of_work() as session:
        return services.settle(
            session,
            invoice,
            gateway="test",
            reference=reference,
            amount=amount,
            actor=people.as_alice,
            now=now,
        )


def state_of(db: Database, invoice: Invoice) -> tuple[InvoiceState, str | None]:
    with db.reading() as session:
        row = session.get_one(Invoice, invoice.id)
        return row.state, row.number


def problems(db: Database) -> list[str]:
    with db.reading() as session:
        return checks.all_problems(session)


def balances(db: Database) -> dict[str, list[Money]]:
    with db.reading() as session:
        return ledger.balances(session)


def test_an_invoice_asks_for_the_period_and_the_set_up_fee(
    any_db: Database, place: Callable[..., Order]
) -> None:
    product = make_product(any_db, name="Advanced VPS")
    order = place(make_price(any_db, product, amount_minor=5900, setup_fee_minor=1000))
    assert [(line.text, line.net_minor) for line in order.invoice.lines] == [
        ("Advanced VPS, 1 month", 5900),
        ("Advanced VPS, set-up fee", 1000),
    ]
    assert order.invoice.gross == Money(6900, "USD")
    assert order.invoice.number is None


def test_a_payment_numbers_the_invoice_and_books_sale_and_money(
    any_db: Database, invoice: Invoice, cast: People
) -> None:
    payment = pay(any_db, invoice, cast)
    assert payment.amount == TEN
    assert state_of(any_db, invoice) == (InvoiceState.PAID, "2026-00001")
    owed = ledger.receivable(cast.acme.id)
    assert balances(any_db) == {"cash:test": [TEN], owed: [Money(0, "USD")], "revenue": [-TEN]}
    assert problems(any_db) == []


def test_the_same_payment_told_again_changes_nothing(
    any_db: Database, invoice: Invoice, cast: People
) -> None:
    first = pay(any_db, invoice, cast)
    assert pay(any_db, invoice, cast).id == first.id
    assert balances(any_db)["cash:test"] == [TEN]


@pytest.mark.parametrize("amount", [Money(999, "USD"), Money(1001, "USD"), Money(1000, "EUR")])
def test_another_amount_or_currency_settles_nothing(
    any_db: Database, invoice: Invoice, cast: People, amount: Money
) -> None:
    with pytest.raises(Conflict, match=r"over 10.00 USD; a payment of .* does not settle it"):
        pay(any_db, invoice, cast, amount=amount)
    assert state_of(any_db, invoice) == (InvoiceState.OPEN, None)
    assert balances(any_db) == {}


def test_an_invoice_is_not_paid_twice(any_db: Database, invoice: Invoice, cast: People) -> None:
    pay(any_db, invoice, cast)
    with pytest.raises(Conflict, match="paid already"):
        pay(any_db, invoice, cast, reference="ref-2")


def test_a_reference_pays_one_invoice_only(
    any_db: Database, place: Callable[..., Order], cast: People
) -> None:
    pay(any_db, place().invoice, cast)
    with pytest.raises(Conflict, match="booked already, for something else"):
        pay(any_db, place().invoice, cast)


def test_a_reference_told_again_with_another_amount_is_refused(
    any_db: Database, invoice: Invoice, cast: People
) -> None:
    pay(any_db, invoice, cast)
    with pytest.raises(Conflict, match="for something else"):
        pay(any_db, invoice, cast, amount=Money(999, "USD"))


def test_a_payment_needs_a_reference(any_db: Database, invoice: Invoice, cast: People) -> None:
    with pytest.raises(InvalidInput):
        pay(any_db, invoice, cast, reference=" ")


def test_a_cancelled_invoice_takes_no_money(any_db: Database, invoice: Invoice, cast: People) -> None:
    with any_db.unit_of_work() as session:
        services.cancel_invoice(session, invoice)
    with pytest.raises(Conflict, match="was cancelled"):
        pay(any_db, invoice, cast)
    assert state_of(any_db, invoice) == (InvoiceState.CANCELLED, None)


def test_a_paid_invoice_cannot_be_cancelled(any_db: Database, invoice: Invoice, cast: People) -> None:
    pay(any_db, invoice, cast)
    with pytest.raises(Conflict, match="refunded, not cancelled"), any_db.unit_of_work() as session:
        services.cancel_invoice(session, invoice)


def test_a_refund_reverses_both_bookings_and_leaves_the_invoice_numbered(
    any_db: Database, invoice: Invoice, cast: People
) -> None:
    pay(any_db, invoice, cast)
    for _ in range(2):
        with any_db.unit_of_work() as session:
            payment = services.refund(session, invoice, actor=cast.as_olga, reason="no room", now=NOW)
        assert payment.state is PaymentState.REFUNDED
    assert all(amount == Money(0, "USD") for amounts in balances(any_db).values() for amount in amounts)
    assert state_of(any_db, invoice) == (InvoiceState.PAID, "2026-00001")
    assert problems(any_db) == []


def test_what_is_not_paid_cannot_be_refunded(any_db: Database, invoice: Invoice, cast: People) -> None:
    with pytest.raises(Conflict, match="not paid"), any_db.unit_of_work() as session:
        services.refund(session, invoice, actor=cast.as_olga, reason="", now=NOW)


def test_each_year_counts_its_invoices_from_one(
    any_db: Database, place: Callable[..., Order], cast: People
) -> None:
    last_night = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    pay(any_db, place().invoice, cast, reference="a", now=last_night)
    new_year = place().invoice
    pay(any_db, new_year, cast, reference="b", now=datetime(2027, 1, 1, tzinfo=UTC))
    assert state_of(any_db, new_year)[1] == "2027-00001"


def test_a_contract_begins_today_and_ends_with_its_refund(
    any_db: Database, place: Callable[..., Order], cast: People
) -> None:
    order = place()
    pay(any_db, order.invoice, cast)
    with any_db.unit_of_work() as session:
        contract = services.start_subscription(session, order, now=datetime(2026, 1, 31, 23, 0, tzinfo=UTC))
    assert (contract.started_on, contract.anchor_day, contract.paid_until) == (
        date(2026, 1, 31),
        31,
        date(2026, 2, 28),
    )
    with any_db.unit_of_work() as session:
        services.refund(session, order.invoice, actor=cast.as_olga, reason="", now=NOW)
    with any_db.reading() as session:
        assert session.scalars(sa.select(Subscription)).one().ended_on == NOW.date()


def test_ten_gateways_telling_the_same_payment_at_once_book_it_once(
    any_db: Database, invoice: Invoice, cast: People
) -> None:
    with ThreadPoolExecutor(10) as pool:
        payments = list(pool.map(lambda _: pay(any_db, invoice, cast), range(10)))
    assert len({payment.id for payment in payments}) == 1
    assert balances(any_db)["cash:test"] == [TEN]
    assert problems(any_db) == []


def test_ten_payments_of_one_invoice_at_once_book_one(
    any_db: Database, invoice: Invoice, cast: People
) -> None:
    def attempt(number: int) -> bool:
        try:
            pay(any_db, invoice, cast, reference=f"ref-{number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempt, range(10))) == 1
    assert balances(any_db)["cash:test"] == [TEN]


def test_invoices_paid_at_once_are_numbered_without_gaps(
    any_db: Database, place: Callable[..., Order], cast: People
) -> None:
    """A third of the payments fail after the number was drawn; their numbers go to others."""
    invoices = [place().invoice for _ in range(30)]

    def attempt(number: int) -> None:
        with any_db.unit_of_work() as session:
            services.settle(
                session,
                invoices[number],
                gateway="test",
                reference=str(number),
                amount=TEN,
                actor=cast.as_alice,
                now=NOW,
            )
            if number % 3 == 0:
                raise KeyError(number)

    with ThreadPoolExecutor(10) as pool:
        outcomes = [future.exception() for future in [pool.submit(attempt, number) for number in range(30)]]
    assert sum(isinstance(outcome, KeyError) for outcome in outcomes) == 10
    numbers = sorted(number for invoice in invoices if (number := state_of(any_db, invoice)[1]))
    assert numbers == [f"2026-{number:05d}" for number in range(1, 21)]
    assert problems(any_db) == []
