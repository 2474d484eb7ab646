"""Commissions: earned once, held until the refund time is over, credited, and taken back in proportion."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account
from domus.billing import crediting, ledger
from domus.billing.models import Invoice, Payment
from domus.commissions import referrals
from domus.commissions.models import Commission, CommissionRate, CommissionState, Referral
from domus.core.errors import Conflict, InvalidInput
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.models import Dispute, DisputeState, GatewayRefund, RefundState
from domus.workflows import accounts, billing, commissions, orders
from domus.workflows.commissions import CommissionReport, Policy, RateFields
from tests.support.builders import NOW
from tests.support.changing import agree, make_offer, pay_change
from tests.support.contracts import due, pay
from tests.support.contracts import run as run_renewals
from tests.support.order_shop import Shop, make_shop

POLICY = Policy(refund_time=timedelta(days=30))
LATER = NOW + timedelta(days=31)


@pytest.fixture
def shop(any_db: Database) -> Shop:
    """Offer a shop where Charlie has brought Acme, and 10 % and 1 dollar are paid for that."""
    shop = make_shop(any_db)
    with any_db.unit_of_work() as session:
        code = referrals.make_code(session, charlie(shop), now=NOW)
        assert referrals.note(session, code, session.get_one(Account, shop.people.acme.id), now=NOW)
    set_rate(shop)
    return shop


def charlie(shop: Shop) -> int:
    account_id = shop.people.charlie.account_id
    assert account_id is not None
    return account_id


def set_rate(shop: Shop, *, rate_id: int | None = None, **fields) -> int:
    columns = {"currency": "USD", "millipercent": 10_000, "fixed_minor": 100} | fields
    rate = commissions.save_rate(
        shop.db, rate_id=rate_id, fields=RateFields(product_id=shop.price.product_id, **columns),
        actor=shop.people.as_olga, now=NOW,
    )  # fmt: skip
    return rate.id


def run(shop: Shop, now: datetime = NOW, policy: Policy = POLICY) -> CommissionReport:
    report = commissions.run(shop.db, policy=policy, now=now)
    assert report.faults == []
    assert billing.check_ledger(shop.db) == []
    return report


def only(shop: Shop) -> Commission:
    with shop.db.reading() as session:
        return session.scalars(sa.select(Commission)).one()


def balance(shop: Shop) -> int:
    with shop.db.reading() as session:
        return ledger.balance_of(session, charlie(shop), "USD").minor


def payment_of(shop: Shop, invoice: Invoice) -> Payment:
    with shop.db.reading() as session:
        return session.scalars(sa.select(Payment).where(Payment.invoice_id == invoice.id)).one()


def test_a_paid_invoice_earns_a_part_of_its_net_amount_and_a_fixed_amount_once(shop):
    shop.pay(shop.order())
    shop.order(hostname="unpaid.example.org")
    assert run(shop).counts() == {"earned": 1, "reversed": 0, "credited": 0}
    assert run(shop).counts() == {"earned": 0, "reversed": 0, "credited": 0}
    commission = only(shop)
    assert (commission.amount, commission.account_id) == (Money(200, "USD"), charlie(shop))
    assert commission.payable_at == NOW + timedelta(days=30)
    assert balance(shop) == 0


def test_it_is_credited_when_the_refund_time_is_over_and_not_before(shop):
    shop.pay(shop.order())
    run(shop)
    assert run(shop, NOW + timedelta(days=29)).credited == 0
    assert run(shop, LATER).credited == 1
    assert run(shop, LATER).credited == 0
    assert (only(shop).state, balance(shop)) == (CommissionState.CREDITED, 200)


def test_who_earned_it_sees_how_far_it_is(shop):
    shop.pay(shop.order())
    run(shop)
    sums = []
    for now, policy in ((NOW, POLICY), (LATER, Policy(credits=False)), (LATER, POLICY)):
        run(shop, now, policy)
        seen = commissions.overview(shop.db, account_id=charlie(shop), actor=shop.people.as_charlie, now=now)
        [totals] = seen.totals
        sums.append(tuple(m.minor for m in (totals.pending, totals.payable, totals.paid, totals.reversed)))
    assert sums == [(200, 0, 0, 0), (0, 200, 0, 0), (0, 0, 200, 0)]


def test_after_an_outage_all_is_done_in_one_run(shop):
    shop.pay(shop.order())
    assert run(shop, LATER).counts() == {"earned": 1, "reversed": 0, "credited": 1}
    assert balance(shop) == 200


def test_a_refund_before_that_takes_it_back(shop):
    order = shop.pay(shop.order())
    run(shop)
    orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="asked for", now=NOW)
    assert run(shop).reversed == 1
    assert run(shop, LATER).counts() == {"earned": 0, "reversed": 0, "credited": 0}
    assert (only(shop).state, balance(shop)) == (CommissionState.REVERSED, 0)


def test_a_refund_afterwards_is_taken_from_the_balance(shop):
    order = shop.pay(shop.order())
    run(shop, LATER)
    orders.refund(shop.db, order_id=order.id, actor=shop.people.as_olga, reason="late", now=LATER)
    assert run(shop, LATER).reversed == 1
    assert run(shop, LATER).reversed == 0
    assert (only(shop).state, only(shop).left.minor, balance(shop)) == (CommissionState.CREDITED, 0, 0)


def test_a_refund_in_part_takes_back_that_part_and_the_rest_is_credited(shop):
    order = shop.pay(shop.order())
    run(shop)
    _credit_note(shop, order.invoice, 333)
    assert run(shop).reversed == 1
    assert only(shop).left == Money(200 - 67, "USD")
    assert run(shop, LATER).credited == 1
    assert balance(shop) == 133
    _credit_note(shop, order.invoice, 667)
    assert run(shop, LATER).reversed == 1
    assert balance(shop) == 0


def test_a_refund_made_at_the_gateway_counts(shop):
    order = shop.pay(shop.order())
    run(shop)
    with shop.db.unit_of_work() as session:
        session.add(
            GatewayRefund(
                payment_id=payment_of(shop, order.invoice).id, currency="USD", amount_minor=500, state=RefundState.DONE,
                reference="re_1", from_outside=True, created_at=NOW, next_attempt_at=NOW, done_at=NOW,
            )
        )  # fmt: skip
    commissions.run(shop.db, policy=POLICY, now=NOW)
    assert only(shop).left == Money(100, "USD")


@pytest.mark.parametrize(
    ("verdict", "left", "credited"), [(DisputeState.LOST, 0, 0), (DisputeState.WON, 200, 200)]
)
def test_a_dispute_holds_it_until_it_is_decided(shop, verdict, left, credited):
    order = shop.pay(shop.order())
    run(shop)
    with shop.db.unit_of_work() as session:
        dispute = Dispute(
            payment_id=payment_of(shop, order.invoice).id, account_id=shop.people.acme.id, gateway="test",
            reference="dp_1", state=DisputeState.OPEN, currency="USD", amount_minor=1000, opened_at=NOW,
        )  # fmt: skip
        session.add(dispute)
        session.flush()
        dispute_id = dispute.id
    assert commissions.run(shop.db, policy=POLICY, now=LATER).counts()["credited"] == 0
    with shop.db.unit_of_work() as session:
        session.get_one(Dispute, dispute_id).state = verdict
    commissions.run(shop.db, policy=POLICY, now=LATER)
    assert (only(shop).left.minor, balance(shop)) == (left, credited)


def test_renewals_earn_where_the_rate_says_so(shop):
    vps = shop.active()
    rate_id = set_rate(shop, rate_id=_rate_id(shop))
    run(shop)
    _renew(shop, vps)
    assert run(shop).earned == 0
    set_rate(shop, rate_id=rate_id, on_renewals=True)
    assert run(shop).earned == 1
    with shop.db.reading() as session:
        assert session.scalar(sa.select(sa.func.sum(Commission.amount_minor))) == 400


def test_changes_of_a_contract_earn_as_renewals_do(shop):
    vps = shop.active()
    larger = make_offer(shop, 4000)
    for on_renewals in (False, True):
        commissions.save_rate(
            shop.db, rate_id=_rate_id(shop, larger.product_id), actor=shop.people.as_olga, now=NOW,
            fields=RateFields(
                product_id=larger.product_id, currency="USD", millipercent=10_000, on_renewals=on_renewals
            ),
        )  # fmt: skip
        run(shop)
        if not on_renewals:
            pay_change(shop, agree(shop, vps, larger))
    with shop.db.reading() as session:
        earned = session.scalars(sa.select(Commission.amount_minor).order_by(Commission.id)).all()
    assert earned == [200, 300]


def test_what_was_paid_before_there_was_a_rate_or_a_referral_earns_nothing(any_db):
    shop = make_shop(any_db)
    shop.pay(shop.order(now=NOW - timedelta(days=1)), now=NOW - timedelta(days=1))
    with any_db.unit_of_work() as session:
        code = referrals.make_code(session, charlie(shop), now=NOW)
        referrals.note(session, code, session.get_one(Account, shop.people.acme.id), now=NOW)
    set_rate(shop)
    assert run(shop).earned == 0


def test_other_currencies_and_other_products_earn_nothing(shop):
    set_rate(shop, rate_id=_rate_id(shop), currency="EUR")
    shop.pay(shop.order())
    assert run(shop).earned == 0


def test_a_commission_is_never_more_than_the_invoice(shop):
    set_rate(shop, rate_id=_rate_id(shop), millipercent=90_000, fixed_minor=5_000)
    shop.pay(shop.order())
    run(shop)
    assert only(shop).amount == Money(1000, "USD")


def test_ones_own_company_earns_nothing(shop):
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Account).values(vat_number="DE136695976"))
    shop.pay(shop.order())
    assert run(shop).earned == 0


def test_an_operator_pays_it_out_with_a_reference_where_runs_do_not_credit(shop):
    shop.pay(shop.order())
    by_hand = Policy(refund_time=timedelta(days=30), credits=False)
    assert run(shop, LATER, by_hand).counts() == {"earned": 1, "reversed": 0, "credited": 0}
    commission_id = only(shop).id
    olga = shop.people.as_olga
    with pytest.raises(Conflict, match="not due before"):
        commissions.pay_out(shop.db, commission_id=commission_id, reference="SEPA 1", actor=olga, now=NOW)
    commissions.pay_out(shop.db, commission_id=commission_id, reference="SEPA 1", actor=olga, now=LATER)
    with pytest.raises(Conflict, match="paid out already"):
        commissions.credit(shop.db, commission_id=commission_id, actor=olga, now=LATER)
    assert (only(shop).state, only(shop).reference) == (CommissionState.PAID_OUT, "SEPA 1")
    assert balance(shop) == 0
    assert run(shop, LATER).counts() == {"earned": 0, "reversed": 0, "credited": 0}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"millipercent": 0, "fixed_minor": 0}, "enter one"),
        ({"millipercent": 100_001}, "100000"),
        ({"fixed_minor": -1}, "0 to"),
        ({"currency": "XXX"}, "not known"),
        ({}, "edit that one"),
    ],
)
def test_bad_rates_are_refused(shop, fields, said):
    with pytest.raises(InvalidInput, match=said):
        set_rate(shop, **fields)


def test_who_signs_up_by_a_link_is_noted_once(any_db):
    shop = make_shop(any_db)
    code = commissions.make_link(any_db, account_id=charlie(shop), actor=shop.people.as_charlie, now=NOW)
    assert (
        commissions.make_link(any_db, account_id=charlie(shop), actor=shop.people.as_charlie, now=NOW) == code
    )
    for email, referral in (
        ("dora@example.org", code),
        ("charlie+2@example.net", code),
        ("eve@example.org", "nobody-has-this"),
        ("fay@example.org", "\x00' OR 1=1 --"),
    ):
        _sign_up(shop, email, referral)
    with any_db.reading() as session:
        found = session.scalars(
            sa.select(Account.email).join(Referral, Referral.account_id == Account.id)
        ).all()
    assert found == ["dora@example.org"]
    seen = commissions.overview(any_db, account_id=charlie(shop), actor=shop.people.as_charlie, now=NOW)
    assert (seen.brought, seen.code) == (1, code)


def test_nobody_else_sees_what_somebody_earned(shop):
    with pytest.raises(Exception, match="no such account"):
        commissions.overview(shop.db, account_id=charlie(shop), actor=shop.people.as_alice, now=NOW)


def test_an_entry_that_is_missing_or_wrong_is_found_in_the_books(shop):
    shop.pay(shop.order())
    run(shop)
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Commission).values(amount_minor=Commission.amount_minor + 1))
    assert billing.check_ledger(shop.db) == [
        "Commission 1 over 2.01 USD is booked with 2.00 USD.",
        "Commissions come to 2.01 USD, and the ledger has 2.00 USD.",
        f"commission:{charlie(shop)} has 2.00 USD in the ledger, and 2.01 USD of commissions are pending.",
    ]


def _rate_id(shop: Shop, product_id: int | None = None) -> int | None:
    product_id = product_id or shop.price.product_id
    with shop.db.reading() as session:
        return session.scalar(sa.select(CommissionRate.id).where(CommissionRate.product_id == product_id))


def _renew(shop: Shop, vps) -> None:
    now = due(shop, vps, -5)
    run_renewals(shop, now)
    pay(shop, vps, now=now)


def _credit_note(shop: Shop, invoice: Invoice, minor: int) -> None:
    with shop.db.unit_of_work() as session:
        row = session.get_one(Invoice, invoice.id)
        crediting.credit_to_balance(
            session, row, Money(minor, "USD"), reason="test", actor=shop.people.as_olga, now=NOW
        )


def _sign_up(shop: Shop, email: str, referral: str) -> None:
    accounts.sign_up(
        shop.db, name="Dora", email=email, password="a long enough password", referral=referral,
        remote_address="192.0.2.1", now=NOW,
    )  # fmt: skip
