"""Commission runs at the same instant: each commission is earned, credited and taken back once, on both databases."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from domus.accounts.models import Account
from domus.billing import ledger
from domus.commissions import referrals
from domus.commissions.models import Commission
from domus.workflows import billing, commissions, orders
from domus.workflows.commissions import Policy, RateFields
from tests.integration.test_races import at_once, race_db
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop

__all__ = ["race_db"]

RUNS = 6
ORDERS = 5
LATER = NOW + timedelta(days=31)


def shop_with_commissions(db) -> Shop:
    shop = make_shop(db, addresses=ORDERS + 2, memory_capacity_mib=1 << 20, disk_capacity_mib=1 << 24)
    fields = RateFields(product_id=shop.price.product_id, currency="USD", millipercent=10_000)
    commissions.save_rate(db, rate_id=None, fields=fields, actor=shop.people.as_olga, now=NOW)
    with db.unit_of_work() as session:
        code = referrals.make_code(session, shop.people.charlie.account_id, now=NOW)
        referrals.note(session, code, session.get_one(Account, shop.people.acme.id), now=NOW)
    return shop


def balance(shop: Shop) -> int:
    with shop.db.reading() as session:
        return ledger.balance_of(session, shop.people.charlie.account_id, "USD").minor


def test_many_runs_at_once_do_each_step_once(race_db):
    shop = shop_with_commissions(race_db)
    paid = [shop.pay(shop.order(hostname=f"host{number}.example.org")) for number in range(ORDERS)]
    policy = Policy(refund_time=timedelta(days=30))

    def together(now) -> list[commissions.CommissionReport]:
        reports = at_once(RUNS, lambda _number: commissions.run(race_db, policy=policy, now=now))
        assert all(isinstance(one, commissions.CommissionReport) and not one.faults for one in reports), (
            reports
        )
        assert billing.check_ledger(race_db) == []
        return reports

    assert sum(report.earned for report in together(NOW)) == ORDERS
    assert sum(report.credited for report in together(LATER)) == ORDERS
    assert balance(shop) == ORDERS * 100
    for order in paid:
        orders.refund(race_db, order_id=order.id, actor=shop.people.as_olga, reason="test", now=LATER)
    assert sum(report.reversed for report in together(LATER)) == ORDERS
    assert balance(shop) == 0
    with race_db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Commission)) == ORDERS
