"""Another owner: rights flip at once, old bills stay, and nobody pays for what is not theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Invoice, InvoiceState
from domus.contracts.models import ChangeState
from domus.core.errors import Conflict, DomusError, InvalidInput, NotAllowed, NotFound
from domus.inventory.models import AddressHistory
from domus.vps.models import Vps, VpsState
from domus.workflows import billing, console, orders, power
from domus.workflows.contracts import cancelling, handing_over, offering
from domus.workflows.renewals import paying
from tests.support.builders import NOW
from tests.support.changing import agree, balance, books, make_offer, reserved
from tests.support.contracts import contract, due, renewals_of, run
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

HALF = NOW + timedelta(days=15)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def hand_over(shop, vps, *, email="charlie@example.net", actor=None, now=HALF, reason="sold"):
    who = actor or shop.people.as_olga
    return handing_over.hand_over(shop.db, vps_id=vps.id, email=email, reason=reason, actor=who, now=now)


def test_rights_flip_at_once(shop, vps):
    assert hand_over(shop, vps).id == shop.people.charlie.account_id
    for act in (power.reboot, power.shutdown, console.ask, cancelling.look):
        with pytest.raises(NotFound):
            act(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    with pytest.raises(NotFound):
        paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    with pytest.raises(NotFound):
        billing.subscription(shop.db, order_id=vps.order_id, actor=shop.people.as_alice)
    for act in (orders.cancel, orders.refund):
        with pytest.raises(DomusError):
            act(shop.db, order_id=vps.order_id, actor=shop.people.as_alice, now=HALF)
    assert shop.vps(vps.id).state is VpsState.ACTIVE
    assert power.reboot(shop.db, vps_id=vps.id, actor=shop.people.as_charlie, now=HALF).is_open
    assert shop.vps(vps.id).ssh_keys == vps.ssh_keys
    assert (books(shop), broken(shop.db)) == ([], [])


def test_old_bills_stay_and_new_ones_are_the_new_owners(shop, vps):
    hand_over(shop, vps)
    run(shop, due(shop, vps, -10))
    with shop.db.reading() as session:
        found = session.execute(sa.select(Invoice.account_id, Invoice.state).order_by(Invoice.id)).all()
    assert [tuple(row) for row in found] == [
        (shop.people.acme.id, InvoiceState.PAID),
        (shop.people.charlie.account_id, InvoiceState.OPEN),
    ]
    old = orders.get(shop.db, order_id=vps.order_id, actor=shop.people.as_alice).invoice
    assert billing.invoice(shop.db, invoice_id=old.id, actor=shop.people.as_alice).id == old.id
    with pytest.raises(NotFound):
        billing.invoice(shop.db, invoice_id=old.id, actor=shop.people.as_charlie)


def test_what_waits_to_be_paid_is_withdrawn(shop, vps):
    now = due(shop, vps, -10)
    run(shop, now)
    change = agree(shop, vps, make_offer(shop, 3000), now=now)
    hand_over(shop, vps, now=now)
    after = offering.get(shop.db, change_id=change.id, actor=shop.people.as_olga)
    with pytest.raises(NotFound):
        offering.get(shop.db, change_id=change.id, actor=shop.people.as_charlie)
    assert [one.invoice.state for one in renewals_of(shop, vps)] == [InvoiceState.CANCELLED]
    assert (after.state, reserved(shop, vps)) == (ChangeState.WITHDRAWN, (512, 10_752, 1))
    assert (books(shop), broken(shop.db)) == ([], [])


def test_the_former_owners_invoices_give_the_new_one_no_money(shop, vps):
    hand_over(shop, vps)
    seen = cancelling.look(shop.db, vps_id=vps.id, actor=shop.people.as_charlie, now=HALF)
    assert not seen.worth
    cancelling.cancel_now(
        shop.db, vps_id=vps.id, credit=True, reason="x", actor=shop.people.as_charlie, now=HALF
    )
    assert (balance(shop), books(shop)) == (0, [])


def test_who_had_an_address_when_is_known_for_ever(shop, vps):
    hand_over(shop, vps)
    with shop.db.reading() as session:
        rows = session.scalars(sa.select(AddressHistory).order_by(AddressHistory.id)).all()
    assert [(row.account_id, row.until_at) for row in rows] == [
        (shop.people.acme.id, HALF),
        (shop.people.charlie.account_id, None),
    ]
    assert {row.address for row in rows} == {rows[0].address}


def test_both_have_it_on_record(shop, vps):
    hand_over(shop, vps)
    with shop.db.reading() as session:
        which = AuditEvent.action == "contract.handed_over"
        found = session.execute(sa.select(AuditEvent.account_id, AuditEvent.reason).where(which)).all()
    assert {tuple(row) for row in found} == {
        (shop.people.acme.id, "sold"),
        (shop.people.charlie.account_id, "sold"),
    }


def test_it_is_an_operators_to_do_to_an_account_that_there_is(shop, vps):
    with pytest.raises(NotAllowed):
        hand_over(shop, vps, actor=shop.people.as_alice)
    with pytest.raises(InvalidInput, match="No account has"):
        hand_over(shop, vps, email="nobody@example.org")
    with pytest.raises(InvalidInput):
        hand_over(shop, vps, reason=" ")
    with pytest.raises(Conflict, match="already"):
        hand_over(shop, vps, email=" ALICE@example.org ")
    cancelling.cancel_now(
        shop.db, vps_id=vps.id, credit=False, reason="x", actor=shop.people.as_alice, now=HALF
    )
    with pytest.raises(Conflict, match="whose contract goes on"):
        hand_over(shop, vps)
    assert contract(shop, vps).account_id == shop.people.acme.id
