"""Contracts for tests of renewals: a shop whose VPSs run, and the days that pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from domus.billing.models import Invoice, Subscription
from domus.renewals.models import DunningStep, Renewal
from domus.vps.models import Vps
from domus.workflows.renewals import paying, running
from domus.workflows.renewals.running import RunReport
from tests.support.order_shop import Shop


def noon(day: date) -> datetime:
    """Return noon of a day."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def contract(shop: Shop, vps: Vps) -> Subscription:
    """Return the contract of a VPS as it is now."""
    with shop.db.reading() as session:
        return session.scalars(sa.select(Subscription).where(Subscription.order_id == vps.order_id)).one()


def due(shop: Shop, vps: Vps, days: int = 0) -> datetime:
    """Return noon of the day so many days after the one on which a contract runs out (before, when negative)."""
    return noon(contract(shop, vps).paid_until + timedelta(days=days))


def run(shop: Shop, now: datetime) -> RunReport:
    """Run, and let the dom0 do what it has to."""
    report = running.run(shop.db, now=now)
    shop.machine.run(now)
    return report


def run_daily(shop: Shop, vps: Vps, first: int, last: int) -> datetime:
    """Run on each of the days, counted from the one on which the contract runs out; return the last moment."""
    start = due(shop, vps)
    for day in range(first, last + 1):
        run(shop, start + timedelta(days=day))
    return start + timedelta(days=last)


def renewals_of(shop: Shop, vps: Vps) -> Sequence[Renewal]:
    """Return the renewals of a VPS with their invoices, the oldest first."""
    with shop.db.reading() as session:
        query = sa.select(Renewal).join(Subscription).where(Subscription.order_id == vps.order_id)
        rows = session.scalars(query.order_by(Renewal.invoice_id)).all()
        for row in rows:
            _ = row.invoice.lines
        return rows


def steps_of(shop: Shop, vps: Vps) -> list[str]:
    """Return the steps that were taken about a VPS's contract, such as ``before 10``, the oldest first."""
    with shop.db.reading() as session:
        query = sa.select(DunningStep).join(Subscription).where(Subscription.order_id == vps.order_id)
        rows = session.scalars(query.order_by(DunningStep.id)).all()
    return [f"{row.kind.value} {row.day}" if row.day else row.kind.value for row in rows]


def pay(shop: Shop, vps: Vps, *, now: datetime) -> Renewal:
    """Pay the open renewal of a VPS, which is asked for when there is none."""
    open_ones = [row for row in renewals_of(shop, vps) if not row.settled_at and not row.withdrawn_at]
    renewal = (
        open_ones[0] if open_ones else paying.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=now)
    )
    return paying.pay_with_test_gateway(
        shop.db, invoice_id=renewal.invoice_id, actor=shop.people.as_alice, now=now
    )


def invoice_count(shop: Shop) -> int:
    """Return how many invoices there are."""
    with shop.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Invoice)) or 0
