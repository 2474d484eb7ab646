"""Refunds in parts: never more than the invoice, to the balance or back, and what becomes of the days."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.billing import ledger
from domus.billing.models import LedgerEntry, Payment
from domus.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from domus.db.engine import Database
from domus.gateways.models import GatewayRefund, RefundState
from domus.vps.models import Vps
from domus.workflows import orders
from domus.workflows.contracts import refunding
from domus.workflows.payments import booking, events
from domus.workflows.renewals import paying, running
from tests.support.builders import NOW
from tests.support.changing import agree, balance, books, credit_notes, make_offer, pay_change, usd
from tests.support.contracts import contract, pay, renewals_of
from tests.support.invariants import broken
from tests.support.order_shop import Shop
from tests.support.till import Till, make_till

HALF = NOW + timedelta(days=15)


@pytest.fixture
def till(db: Database) -> Till:
    return make_till(db)


@pytest.fixture
def shop(till: Till) -> Shop:
    return till.shop


@pytest.fixture
def vps(shop: Shop) -> Vps:
    return shop.active()


def refund(till, invoice_id, amount, *, send=False, now=HALF, actor=None, reason="slow disk"):
    return refunding.refund(
        till.db, till.gateways, invoice_id=invoice_id, amount=amount, send=send, reason=reason,
        actor=actor or till.shop.people.as_olga, now=now,
    )  # fmt: skip


def invoice_of(shop, vps):
    return orders.get(shop.db, order_id=vps.order_id, actor=shop.people.as_olga).invoice


def look(till, invoice_id, *, now=HALF):
    return refunding.look(
        till.db, till.gateways, invoice_id=invoice_id, actor=till.shop.people.as_olga, now=now
    )


def settled_by_fake(till, invoice_id, minor, *, now=HALF):
    with till.db.unit_of_work() as session:
        booking.receive(
            session, account_id=till.account_id, invoice_id=invoice_id, gateway="fake", reference="pay-1",
            amount=usd(minor), actor=till.shop.people.as_olga, now=now,
        )  # fmt: skip


def test_several_parts_are_credited_until_nothing_is_left(till, shop, vps):
    key = invoice_of(shop, vps).id
    for amount in ("2.50", "4"):
        refund(till, key, amount)
    assert look(till, key).left == usd(350)
    with pytest.raises(Conflict, match=r"3\.50 USD can be credited; 3\.51 USD cannot"):
        refund(till, key, "3.51")
    refund(till, key, "3.50")
    assert ([note.gross_minor for note in credit_notes(shop)], balance(shop)) == ([250, 400, 350], 1000)
    assert contract(shop, vps).ended_on is None
    assert (books(shop), broken(shop.db)) == ([], [])


def test_sent_back_it_leaves_the_balance_and_the_gateway_is_asked(till, shop, vps):
    renewal = paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    settled_by_fake(till, renewal.invoice_id, 1000)
    assert look(till, renewal.invoice_id).is_sent
    refund(till, renewal.invoice_id, "4.00", send=True)
    with shop.db.reading() as session:
        row = session.scalars(sa.select(GatewayRefund)).one()
        assert (row.amount_minor, row.state, row.from_outside) == (400, RefundState.ASKED, False)
    assert balance(shop) == 0
    events.work(till.db, till.gateways, now=HALF)
    with shop.db.reading() as session:
        assert session.scalars(sa.select(GatewayRefund.state)).one() is RefundState.DONE
    assert balance(shop) == 0


def test_what_came_from_the_balance_goes_back_there_only(till, shop, vps):
    renewal = paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    with shop.db.unit_of_work() as session:
        booking.receive(
            session, account_id=till.account_id, invoice_id=None, gateway="operator", reference="gift",
            amount=usd(1000), actor=shop.people.as_olga, now=HALF,
        )  # fmt: skip
        booking.pay_invoice_from_balance(session, renewal.invoice_id, actor=shop.people.as_alice, now=HALF)
    with pytest.raises(Conflict, match="paid from the balance"):
        refund(till, renewal.invoice_id, "1", send=True)
    assert credit_notes(shop) == []
    refund(till, renewal.invoice_id, "1")
    assert (balance(shop), books(shop)) == (100, [])


def test_the_whole_of_a_renewal_that_has_not_begun_takes_its_days_back(till, shop, vps):
    before = contract(shop, vps).paid_until
    renewal = pay(shop, vps, now=HALF)
    assert look(till, renewal.invoice_id).paid_until == (renewal.ends_on, before)
    refund(till, renewal.invoice_id, "6")
    assert contract(shop, vps).paid_until == renewal.ends_on
    refund(till, renewal.invoice_id, "4")
    assert contract(shop, vps).paid_until == before
    assert (books(shop), broken(shop.db)) == ([], [])
    # The period is free to be asked for, and the old payment, told again, does not bring it back.
    with pytest.raises(Conflict):
        paying.mark_paid(shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_olga, now=HALF)
    paying.pay_with_test_gateway(shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_alice, now=HALF)
    assert contract(shop, vps).paid_until == before
    running.run(shop.db, now=HALF + timedelta(days=6))
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert [one.starts_on for one in renewals_of(shop, vps)] == [before, before]
    assert (balance(shop), books(shop), broken(shop.db)) == (0, [], [])


def test_days_that_have_begun_stay(till, shop, vps):
    renewal = pay(shop, vps, now=HALF)
    later = HALF + timedelta(days=20)
    assert look(till, renewal.invoice_id, now=later).paid_until is None
    refund(till, renewal.invoice_id, "10", now=later)
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert (books(shop), broken(shop.db)) == ([], [])


def test_a_change_can_be_refunded_too_and_days_it_was_paid_for_stay(till, shop, vps):
    renewal = pay(shop, vps, now=HALF)
    change = pay_change(shop, agree(shop, vps, make_offer(shop, 3000), now=HALF), now=HALF)
    refund(till, change.invoice_id, "1")
    assert look(till, renewal.invoice_id).paid_until is None
    refund(till, renewal.invoice_id, "10")
    assert contract(shop, vps).paid_until == renewal.ends_on
    assert (balance(shop), books(shop), broken(shop.db)) == (1100, [], [])


def test_what_was_refunded_is_not_worth_anything_at_a_change(till, shop, vps):
    refund(till, invoice_of(shop, vps).id, "5")
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    assert change.credit == usd(250)


def test_the_whole_order_can_be_refunded_after_parts_of_it(till, shop, vps):
    refund(till, invoice_of(shop, vps).id, "4")
    refund(till, invoice_of(shop, vps).id, "2", send=True)
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, reason="sorry", now=HALF)
    assert [note.gross_minor for note in credit_notes(shop)] == [400, 200, 400]
    assert (books(shop), broken(shop.db)) == ([], [])
    with pytest.raises(Conflict, match="can be credited"):
        refund(till, invoice_of(shop, vps).id, "1")


def test_what_was_handed_back_of_an_order_is_not_handed_back_again_with_the_whole(till, shop):
    order = shop.order()
    orders.mark_paid(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="cash", now=NOW)
    refund(till, order.invoice.id, "4", send=True)
    orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="sorry", now=HALF)
    with shop.db.reading() as session:
        cash = sa.select(sa.func.sum(LedgerEntry.amount_minor))
        left = session.scalar(cash.where(LedgerEntry.ledger_account == ledger.cash("operator")))
        handed_back = session.scalars(
            sa.select(GatewayRefund.amount_minor).order_by(GatewayRefund.amount_minor)
        ).all()
    assert (left, handed_back, balance(shop)) == (0, [400, 600], 0)
    assert (books(shop), broken(shop.db)) == ([], [])


def test_nonsense_and_strangers_are_refused(till, shop, vps):
    key = invoice_of(shop, vps).id
    for amount in ("0", "-1", "1.001", "x", "99999999999999"):
        with pytest.raises((InvalidInput, Conflict)):
            refund(till, key, amount)
    with pytest.raises(InvalidInput):
        refund(till, key, "1", reason=" ")
    with pytest.raises(NotAllowed):
        refund(till, key, "1", actor=shop.people.as_alice)
    with pytest.raises(NotFound):
        refund(till, 999, "1")
    with pytest.raises(Conflict, match="not paid"):
        refund(till, shop.order().invoice.id, "1")
    with shop.db.reading() as session:
        assert session.scalars(sa.select(Payment.state)).all() == ["confirmed"]
    assert (credit_notes(shop), balance(shop)) == ([], 0)
