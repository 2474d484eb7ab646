"""Another size for a VPS: what it costs, when it happens, and what is held, owed and booked meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Invoice, InvoiceState
from domus.contracts.models import ChangeState
from domus.core.errors import Conflict, InvalidInput, NoCapacity, NotAllowed, NotFound
from domus.mail.models import OutgoingMail
from domus.provisioning import outbox
from domus.provisioning.models import OutboxMessage
from domus.vps.models import SuspensionReason, Vps
from domus.workflows import orders, power, work
from domus.workflows.contracts import changing, offering
from domus.workflows.payments import booking
from domus.workflows.renewals import paying, running
from tests.support.builders import NOW, make_price
from tests.support.changing import (
    HOLD,
    agree,
    balance,
    books,
    credit_notes,
    make_offer,
    pay_change,
    reserved,
    usd,
)
from tests.support.contracts import contract, due, pay, renewals_of
from tests.support.invariants import broken
from tests.support.order_shop import Shop, make_shop

#: Fifteen of the thirty days are over.
HALF = NOW + timedelta(days=15)
SMALL, LARGE = (512, 10_752, 1), (1024, 20_992, 2)


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop) -> Vps:
    return shop.active()


def quoted(shop, vps, price, *, now=HALF):
    return offering.quote(shop.db, vps_id=vps.id, price_id=price.id, actor=shop.people.as_alice, now=now)


def test_the_days_left_are_charged_at_the_new_price_less_what_they_cost_at_the_old_one(shop, vps):
    offer = quoted(shop, vps, make_offer(shop, 3000))
    assert (offer.proration.credit, offer.proration.charge) == (usd(500), usd(1500))
    assert (offer.to_pay, offer.gives_back, offer.answer) == (usd(1000), usd(0), usd(1000))
    assert (offer.renewal.amount, offer.until) == (usd(3000), contract(shop, vps).paid_until)
    assert (offer.needs_restart, offer.grows_disk, offer.changes_machine) == (True, True, True)


def test_nothing_changes_before_it_is_paid_and_all_does_when_it_is(shop, vps):
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF, restart=True)
    assert (change.state, change.invoice.state, change.invoice.gross) == (
        ChangeState.OPEN, InvoiceState.OPEN, usd(1000),
    )  # fmt: skip
    assert [contract(shop, vps).price_id, shop.vps(vps.id).memory_mib] == [shop.price.id, 512]
    assert reserved(shop, vps) == LARGE
    done = pay_change(shop, change, now=HALF)
    after = shop.vps(vps.id)
    assert (done.state, done.invoice.state) == (ChangeState.DONE, InvoiceState.PAID)
    assert contract(shop, vps).price_id == change.to_price_id
    assert (after.memory_mib, after.vcpus, after.disks[0].size_mib) == (1024, 2, 20_480)
    assert (after.revision, after.boot_serial) == (done.revision, vps.boot_serial + 1)
    assert (books(shop), broken(shop.db)) == ([], [])


def test_the_new_size_reaches_the_dom0_by_an_event_of_its_own(shop, vps):
    change = pay_change(shop, agree(shop, vps, make_offer(shop, 3000), now=HALF), now=HALF)
    with shop.db.reading() as session:
        last = session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id.desc())).first()
    assert (last.tag, last.payload) == (outbox.SUBSCRIPTION_CHANGED, {"vps_id": str(vps.id)})
    wanted = shop.machine.pillar()["vps"][str(vps.id)]
    assert (wanted["memory_mib"], wanted["vcpus"], wanted["disks"][0]["size_mib"]) == (1024, 2, 20_480)
    assert wanted["disks"][1]["size_mib"] == 512
    shop.machine.run(HALF)
    assert shop.vps(vps.id).applied_revision == change.revision


def test_its_invoice_says_what_is_charged_and_what_comes_back(shop, vps):
    change = agree(shop, vps, make_offer(shop, 3000, name="Large"), now=HALF)
    with shop.db.reading() as session:
        lines = session.get_one(Invoice, change.invoice_id).lines
        assert [(line.net_minor, line.text) for line in lines] == [
            (1500, "www.example.org: change to Large, 2026-12-05 to 2026-12-19"),
            (-500, f"www.example.org: {shop.price.product.name}, unused from 2026-12-05 to 2026-12-19"),
        ]


def test_a_smaller_one_is_carried_out_at_once_and_the_difference_goes_to_the_balance(shop):
    large = make_offer(shop, 3000, disk_mib=10_240)
    vps = shop.active(price_id=large.id)
    change = agree(shop, vps, shop.price, now=HALF)
    assert (change.state, change.invoice_id) == (ChangeState.DONE, None)
    assert (balance(shop), [note.gross_minor for note in credit_notes(shop)]) == (1000, [1000])
    assert shop.vps(vps.id).memory_mib == 512
    # What the guest still has is not sold to others before its dom0 made it smaller.
    assert reserved(shop, vps) == (1024, 10_752, 2)
    shop.machine.run(HALF)
    assert reserved(shop, vps) == SMALL
    assert (books(shop), broken(shop.db)) == ([], [])


def test_up_and_down_on_one_day_gives_the_money_back(shop, vps):
    large = make_offer(shop, 3000, disk_mib=10_240)
    pay_change(shop, agree(shop, vps, large, now=HALF), now=HALF)
    agree(shop, vps, shop.price, now=HALF)
    assert balance(shop) == 1000
    shop.machine.run(HALF)
    assert (reserved(shop, vps), books(shop), broken(shop.db)) == (SMALL, [], [])


def test_what_was_bought_for_less_is_not_worth_more(shop):
    """A first month for a tenth of the price must not turn into money by a change to something small."""
    large = make_offer(shop, 300, disk_mib=10_240)
    make_price(shop.db, large.product, amount_minor=3000, renewal_of_id=large.id)
    vps = shop.active(price_id=large.id)
    change = agree(shop, vps, shop.price, now=NOW)
    assert (change.credit, change.charge, change.invoice.gross) == (usd(300), usd(1000), usd(700))


def test_the_days_left_of_an_introductory_price_cost_what_its_renewal_costs(shop, vps):
    large = make_offer(shop, 300)
    make_price(shop.db, large.product, amount_minor=3000, renewal_of_id=large.id)
    assert quoted(shop, vps, large).proration.charge == usd(1500)


def test_set_up_fees_do_not_come_back_by_the_day(shop):
    large = make_offer(shop, 3000, disk_mib=10_240, price={"setup_fee_minor": 5000})
    vps = shop.active(price_id=large.id)
    assert quoted(shop, vps, shop.price, now=NOW).proration.credit == usd(3000)


def test_several_periods_that_are_paid_ahead_count(shop, vps):
    pay(shop, vps, now=HALF)
    offer = quoted(shop, vps, make_offer(shop, 3000))
    assert (offer.proration.credit, offer.proration.charge) == (usd(1500), usd(4500))


def test_the_next_period_is_asked_for_at_the_new_price(shop, vps):
    now = due(shop, vps, -10)
    running.run(shop.db, now=now)
    large = make_offer(shop, 3000)
    pay_change(shop, agree(shop, vps, large, now=now), now=now)
    assert [one.invoice.state for one in renewals_of(shop, vps)] == [InvoiceState.CANCELLED]
    running.run(shop.db, now=now)
    assert [(one.invoice.state, one.price_id) for one in renewals_of(shop, vps)][1:] == [
        (InvoiceState.OPEN, large.id)
    ]
    assert (books(shop), broken(shop.db)) == ([], [])


@pytest.mark.parametrize(
    ("columns", "price", "sentence"),
    [
        ({"disk_mib": 5120}, {}, "has a disk of 5 GiB, and this VPS has 10 GiB: a disk can grow"),
        ({}, {"currency": "EUR"}, "Its contract is in USD; a price in EUR cannot follow"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(shop, vps, columns, price, sentence):
    offer = make_offer(shop, 3000, price=price, **columns)
    with pytest.raises(InvalidInput, match=sentence):
        agree(shop, vps, offer, now=HALF)


def test_a_price_that_is_not_on_offer_or_stands_already_is_refused(shop, vps):
    private = make_offer(shop, 3000, private=True)
    renewal = make_price(shop.db, private.product, amount_minor=3000, renewal_of_id=private.id)
    for price in (private, renewal):
        with pytest.raises(InvalidInput, match="not on offer"):
            agree(shop, vps, price, now=HALF)
    with pytest.raises(InvalidInput, match="at this price already"):
        agree(shop, vps, shop.price, now=HALF)
    assert agree(shop, vps, private, now=HALF, actor=shop.people.as_olga).state is ChangeState.OPEN


def test_the_list_of_choices_says_what_each_costs_or_why_it_cannot_be(shop, vps):
    large, tiny = make_offer(shop, 3000), make_offer(shop, 100, disk_mib=1024)
    make_offer(shop, 3000, price={"currency": "EUR"})
    choices = offering.options(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF)
    assert {one.price.id: (one.quote and one.quote.answer, bool(one.obstacle)) for one in choices} == {
        large.id: (usd(1000), False),
        tiny.id: (None, True),
    }


def test_who_agreed_to_another_amount_is_asked_again(shop, vps):
    large = make_offer(shop, 3000)
    with pytest.raises(Conflict, match=r"10\.00 USD by now and not 9\.00 USD"):
        agree(shop, vps, large, now=HALF, shown=usd(900))
    assert reserved(shop, vps) == SMALL
    assert agree(shop, vps, large, now=HALF, shown=usd(1000)).state is ChangeState.OPEN


def test_a_full_dom0_refuses_and_nothing_is_held_or_owed(shop, vps):
    huge = make_offer(shop, 9000, memory_mib=8192)
    shop.active(hostname="other.example.org")
    with pytest.raises(NoCapacity, match="no room for it to grow"):
        agree(shop, vps, huge, now=HALF)
    assert (reserved(shop, vps), broken(shop.db)) == (SMALL, [])
    with shop.db.reading() as session:
        assert session.scalars(sa.select(Invoice).where(Invoice.state == InvoiceState.OPEN)).all() == []


def test_only_one_change_waits_at_a_time(shop, vps):
    agree(shop, vps, make_offer(shop, 3000), now=HALF)
    with pytest.raises(Conflict, match="waits to be paid already"):
        agree(shop, vps, make_offer(shop, 4000), now=HALF)


def test_withdrawn_it_holds_and_owes_nothing_and_cannot_be_paid(shop, vps):
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    for _ in range(2):
        gone = changing.withdraw(shop.db, change_id=change.id, actor=shop.people.as_alice, now=HALF)
    assert (gone.state, gone.invoice.state) == (ChangeState.WITHDRAWN, InvoiceState.CANCELLED)
    assert (reserved(shop, vps), broken(shop.db)) == (SMALL, [])
    with pytest.raises(Conflict, match="Nothing is to be paid"):
        pay_change(shop, change, now=HALF)


def test_unpaid_it_expires_and_what_arrives_later_is_kept(shop, vps):
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    work.tick(shop.db, now=HALF + HOLD - timedelta(seconds=1))
    assert reserved(shop, vps) == LARGE
    work.tick(shop.db, now=HALF + HOLD)
    assert reserved(shop, vps) == SMALL
    with shop.db.unit_of_work() as session:
        booking.receive(
            session, account_id=shop.people.acme.id, invoice_id=change.invoice_id, gateway="test",
            reference="late", amount=usd(1000), actor=shop.people.as_olga, now=HALF + HOLD,
        )  # fmt: skip
    assert (balance(shop), shop.vps(vps.id).memory_mib) == (1000, 512)
    assert (books(shop), broken(shop.db)) == ([], [])


def test_money_through_a_gateway_carries_it_out(shop, vps):
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    for _ in range(3):
        with shop.db.unit_of_work() as session:
            booking.receive(
                session, account_id=shop.people.acme.id, invoice_id=change.invoice_id, gateway="test",
                reference="same", amount=usd(1000), actor=shop.people.as_olga, now=HALF,
            )  # fmt: skip
    assert (shop.vps(vps.id).memory_mib, balance(shop)) == (1024, 0)
    assert (books(shop), broken(shop.db)) == ([], [])


@pytest.mark.parametrize("overtaken", ["renewed", "suspended"])
def test_what_overtook_it_takes_it_back_and_its_money_is_kept(shop, vps, overtaken):
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    if overtaken == "renewed":
        pay(shop, vps, now=HALF)
    else:
        power.suspend(
            shop.db, vps_id=vps.id, suspension=SuspensionReason.ABUSE, actor=shop.people.as_olga, now=HALF
        )
    with pytest.raises(Conflict, match=f"{overtaken} meanwhile. Nothing was booked"):
        pay_change(shop, change, now=HALF)
    with shop.db.unit_of_work() as session:
        booking.receive(
            session, account_id=shop.people.acme.id, invoice_id=change.invoice_id, gateway="test",
            reference="x", amount=usd(1000), actor=shop.people.as_olga, now=HALF,
        )  # fmt: skip
    after = offering.get(shop.db, change_id=change.id, actor=shop.people.as_alice)
    assert (after.state, balance(shop), shop.vps(vps.id).memory_mib) == (ChangeState.WITHDRAWN, 1000, 512)
    shop.machine.run(HALF)
    assert (reserved(shop, vps), books(shop), broken(shop.db)) == (SMALL, [], [])


def test_what_overtook_it_is_noticed_without_money_too(shop, vps):
    change = agree(shop, vps, make_offer(shop, 3000), now=HALF)
    pay(shop, vps, now=HALF)
    assert changing.expire(shop.db, now=HALF) == 1
    after = offering.get(shop.db, change_id=change.id, actor=shop.people.as_alice)
    assert (after.state, after.note) == (ChangeState.WITHDRAWN, "the contract was renewed meanwhile")


@pytest.mark.parametrize("why", ["overdue", "suspended"])
def test_what_is_not_paid_or_suspended_cannot_be_changed(shop, vps, why):
    now = due(shop, vps) if why == "overdue" else HALF
    if why == "suspended":
        power.suspend(
            shop.db, vps_id=vps.id, suspension=SuspensionReason.ABUSE, actor=shop.people.as_olga, now=now
        )
    with pytest.raises(Conflict, match="renew it first" if why == "overdue" else r"suspended \(abuse\)"):
        agree(shop, vps, make_offer(shop, 3000), now=now)


def test_another_period_of_the_same_product_leaves_the_machine_alone(shop, vps):
    year = make_price(shop.db, shop.price.product, period_text="0001-00-00", amount_minor=10950)
    change = agree(shop, vps, year, now=HALF)
    assert (change.charge, change.credit) == (usd(500), usd(500)), "a year's rate is for who pays for a year"
    assert (change.state, change.revision, shop.vps(vps.id).revision) == (
        ChangeState.DONE,
        None,
        vps.revision,
    )
    assert paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=HALF).price_id == year.id
    assert (books(shop), broken(shop.db)) == ([], [])


def test_strangers_find_nothing_and_customers_cannot_call_it_paid(shop, vps):
    large = make_offer(shop, 3000)
    with pytest.raises(NotFound):
        agree(shop, vps, large, now=HALF, actor=shop.people.as_charlie)
    with pytest.raises(NotFound):
        offering.options(shop.db, vps_id=vps.id, actor=shop.people.as_charlie, now=HALF)
    change = agree(shop, vps, large, now=HALF)
    for act in (changing.withdraw, changing.pay_with_test_gateway):
        with pytest.raises(NotFound):
            act(shop.db, change_id=change.id, actor=shop.people.as_charlie, now=HALF)
    with pytest.raises(NotAllowed):
        changing.mark_paid(shop.db, change_id=change.id, actor=shop.people.as_alice, now=HALF)
    paid = changing.mark_paid(shop.db, change_id=change.id, actor=shop.people.as_olga, now=HALF)
    assert paid.state is ChangeState.DONE


def test_it_is_mailed_and_on_record(shop, vps):
    change = pay_change(shop, agree(shop, vps, make_offer(shop, 3000), now=HALF), now=HALF)
    with shop.db.reading() as session:
        mails = session.scalars(sa.select(OutgoingMail.cause)).all()
        actions = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.id)).all()
    assert mails.count(f"contract_change:{change.id}") == 1
    assert [name for name in actions if name.startswith("contract.")] == [
        "contract.change_agreed",
        "contract.changed",
    ]


def test_a_refunded_order_takes_back_what_a_change_put_into_the_balance(shop):
    large = make_offer(shop, 3000, disk_mib=10_240)
    vps = shop.active(price_id=large.id)
    agree(shop, vps, shop.price, now=HALF)
    orders.refund(shop.db, order_id=vps.order_id, actor=shop.people.as_olga, reason="sorry", now=HALF)
    assert (balance(shop), [note.gross_minor for note in credit_notes(shop)]) == (0, [1000, 2000])
    assert (books(shop), broken(shop.db)) == ([], [])


def test_what_a_running_guest_lacks_of_its_size_is_known_and_shown(shop, vps):
    pay_change(shop, agree(shop, vps, make_offer(shop, 3000), now=HALF), now=HALF)

    def report(memory_mib: int | None, vcpus: int | None) -> Vps:
        seen = shop.machine.report(HALF)
        seen["vps"][str(vps.id)] |= {"memory_mib": memory_mib, "vcpus": vcpus}
        work.record_report(shop.db, minion_id=shop.machine.minion_id, report=seen, now=HALF)
        return shop.vps(vps.id)

    small = report(512, 1)
    assert (small.observed_memory_mib, small.lacks_memory, small.lacks_vcpus) == (512, True, True)
    large = report(1022, 2)
    assert (large.lacks_memory, large.lacks_vcpus) == (False, False)
    off = report(None, None)
    assert (off.observed_memory_mib, off.lacks_memory, off.lacks_vcpus) == (None, False, False)
