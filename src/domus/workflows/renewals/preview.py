"""What would a run do now? The same questions as a run asks, and none of its answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.models import Subscription
from domus.db.engine import Database
from domus.renewals import queries
from domus.renewals.dunning import reminders_due
from domus.renewals.models import StepKind
from domus.renewals.prices import price_list
from domus.vps.models import Vps

#: So many contracts of each thing are named; of all others only the number is told.
NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One contract that something would be done for."""

    vps_id: uuid.UUID
    name: str
    hostname: str
    account: str
    paid_until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One thing that a run would do: for how many contracts, and the first of them."""

    name: str
    """As `RunReport` counts it: ``invoiced``, ``reminded`` and so on."""
    count: int
    first: tuple[Named, ...]


def preview(db: Database, *, now: datetime) -> list[Plan]:
    """Return what a run at this moment would do, in its order."""
    counts: dict[str, int] = {}
    named: dict[str, list[Named]] = {}
    with db.reading() as session:
        for name, question in _questions(session, now):
            count = session.scalar(sa.select(sa.func.count()).select_from(question.subquery())) or 0
            counts[name] = counts.get(name, 0) + count
            rows = named.setdefault(name, [])
            if count and len(rows) < NAMED:
                rows += _first(session, question, NAMED - len(rows))
    return [Plan(name=name, count=counts[name], first=tuple(named[name])) for name in counts]


def _questions(session: Session, now: datetime) -> Iterator[tuple[str, Any]]:
    today = now.date()
    prices = price_list(session)
    groups = prices.groups
    for group in groups:
        yield "invoiced", queries.to_invoice(group, today)
    for suspended in (False, True):
        yield "paid", queries.to_pay_from_balance(prices, now, suspended=suspended)
    for group in groups:
        for window in reminders_due(group.terms, today):
            name = "warned" if window.kind is StepKind.LAST_WARNING else "reminded"
            yield name, queries.to_remind(group, window, today)
    for group in groups:
        yield "suspended", queries.to_suspend(group, now)
    for group in groups:
        yield "ended", queries.to_end(group, now)
    yield "ended", queries.to_end_as_cancelled(now.date())
    yield "closed", queries.to_close(now)


def _first(session: Session, question: Any, limit: int) -> list[Named]:
    of_account = question.join(Account, Account.id == Subscription.account_id)
    columns = (Vps.id, Vps.name, Vps.hostname, Account.name, Subscription.paid_until)
    rows = session.execute(
        of_account.with_only_columns(*columns).order_by(Subscription.paid_until, Subscription.id).limit(limit)
    )
    return [
        Named(vps_id=key, name=name, hostname=hostname, account=account, paid_until=until)
        for key, name, hostname, account, until in rows
    ]
