"""The run that keeps contracts going: what is due on or after its day is done, once, however often and late it runs.

Contracts are taken in chunks, each in one transaction. A chunk that fails is halved until the one contract that fails is
alone; it is named and left for the next run, and stops nobody else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import Invoice, Subscription
from domus.core.errors import Conflict, DomusError
from domus.core.texts import first_line
from domus.db.engine import Database
from domus.gateways.registry import Gateways
from domus.renewals import queries, services
from domus.renewals.dunning import reminders_due
from domus.renewals.models import Renewal, StepKind
from domus.renewals.opening import Fault, Sales
from domus.renewals.prices import Group, PriceList, price_list
from domus.renewals.settling import open_renewals, settle_from_balances
from domus.workflows.contracts import cancelling
from domus.workflows.renewals import charging, dunning

log = logging.getLogger(__name__)

#: So many contracts are done in one transaction.
CHUNK = 1000
#: So many chunks are under way at a time where more than one may be.
SIDE_BY_SIDE = 2
#: So many faults are named; of more only the number is kept, so that a run needs no more memory for them.
MAX_FAULTS = 100

#: What one contract may do to a run: be refused, or refused by the database. Anything else is a fault of ours.
_FAULTS = (DomusError, sa.exc.SQLAlchemyError, ArithmeticError, LookupError, ValueError)


@dataclass(frozen=True, slots=True)
class Done:
    """What one transaction did, by the names of `RunReport`, and what was wrong with the contracts that it left."""

    counts: Mapping[str, int]
    faults: Sequence[Fault] = ()


#: Does rows of a question.
Act = Callable[[Session, Sequence[Any]], Done]


@dataclass
class RunReport:
    """What a run did, or (as a preview) would do: how many contracts each thing was done for."""

    invoiced: int = 0
    paid: int = 0
    """From balances and by saved cards."""
    refused: int = 0
    """Cards that were refused; they are charged again another day."""
    reminded: int = 0
    warned: int = 0
    suspended: int = 0
    ended: int = 0
    closed: int = 0
    """Renewals that were withdrawn because their VPS is gone."""
    failed: int = 0
    faults: list[Fault] = field(default_factory=list)
    """The first of those that failed; contract 0 stands for a price."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def did_nothing(self) -> bool:
        """Tell whether nothing was due."""
        return not any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Return the numbers by name, in the order in which things are done."""
        names = (
            "invoiced",
            "paid",
            "refused",
            "reminded",
            "warned",
            "suspended",
            "ended",
            "closed",
            "failed",
        )
        return {name: getattr(self, name) for name in names}

    def add(self, done: Done) -> None:
        """Count what a transaction did, after it was committed."""
        with self._lock:
            for name, count in done.counts.items():
                setattr(self, name, getattr(self, name) + count)
        for fault in done.faults:
            self.fail(fault)

    def fail(self, fault: Fault) -> None:
        """Count one that failed, and name it unless many did."""
        with self._lock:
            self.failed += 1
            if len(self.faults) < MAX_FAULTS:
                self.faults.append(fault)
        log.warning("contract %s was left: %s", fault.subscription_id, fault.text)


def run(db: Database, *, gateways: Gateways | None = None, now: datetime) -> RunReport:
    """Do all that is due. Two at once share the work; a second one after it finds nothing.

    Without gateways no card is charged; what balances cover is paid all the same.
    """
    report = RunReport()
    with db.reading() as session:
        prices, sales = price_list(session), Sales(session, on=now.date())
    _name_price_faults(db, prices, report)
    for group in prices.groups:
        _invoice(db, group, prices, sales, report, now=now)
    if sales.has_coupons:
        _settle_free(db, report, now=now)
    _pay(db, gateways, prices, report, now=now)
    for group in prices.groups:
        _remind(db, group, report, now=now)
        _suspend(db, group, report, now=now)
        _end(db, group, report, now=now)
    report.ended += cancelling.end_due(db, now=now)
    _close(db, report, now=now)
    return report


def _invoice(
    db: Database, group: Group, prices: PriceList, sales: Sales, report: RunReport, *, now: datetime
) -> None:
    act = partial(_open, prices=prices, sales=sales, now=now)
    _in_chunks(db, queries.to_invoice(group, now.date()), Subscription.id, act, report)


def _open(session: Session, rows: Sequence[Any], *, prices: PriceList, sales: Sales, now: datetime) -> Done:
    opened, paid, faults = open_renewals(session, rows, prices, sales, actor=charging.ACTOR, now=now)
    return Done({"invoiced": opened, "paid": paid}, faults)


def _settle_free(db: Database, report: RunReport, *, now: datetime) -> None:
    """Settle those that coupons leave nothing to pay of; each counts as paid."""
    for row in _each(db, queries.to_settle_free(now), Invoice.id):
        with _Attempt(report, row.subscription_id) as attempt:
            attempt.done = charging.settle_free(db, invoice_id=row.id, now=now)
        report.paid += attempt.done


def _pay(
    db: Database, gateways: Gateways | None, prices: PriceList, report: RunReport, *, now: datetime
) -> None:
    act = partial(_settle, now=now)
    from_balance = partial(queries.to_pay_from_balance, prices, now)
    _in_chunks(db, from_balance(suspended=False), Invoice.id, act, report)
    for row in _each(db, from_balance(suspended=True), Invoice.id):
        with _Attempt(report, row.subscription_id) as attempt:
            attempt.done = charging.pay_from_balance(db, invoice_id=row.id, now=now)
        report.paid += attempt.done
    if gateways is not None:
        _charge(db, gateways, prices, report, now=now)


def _settle(session: Session, rows: Sequence[Any], *, now: datetime) -> Done:
    return Done({"paid": settle_from_balances(session, rows, actor=charging.ACTOR, now=now)})


def _charge(db: Database, gateways: Gateways, prices: PriceList, report: RunReport, *, now: datetime) -> None:
    question = queries.to_charge(prices, now.date(), days_before=charging.CHARGE_DAYS_BEFORE)
    refused: set[int] = set()
    for row in _each(db, question, Invoice.id):
        if not charging.is_time(tries=row.tries, last_try_at=row.last_try_at, now=now):
            continue
        # A card that was refused a moment ago is refused for the next invoice too, and each refusal counts against us.
        if row.account_id in refused:
            continue
        with _Attempt(report, row.subscription_id) as attempt:
            try:
                attempt.done = charging.charge(
                    db, gateways, account_id=row.account_id, invoice_id=row.id, now=now
                )
            except Conflict as refusal:
                log.info("invoice %s could not be charged: %s", row.id, refusal)
                report.refused += 1
                if isinstance(refusal, charging.CardRefused):
                    refused.add(row.account_id)
        report.paid += attempt.done


def _remind(db: Database, group: Group, report: RunReport, *, now: datetime) -> None:
    for window in reminders_due(group.terms, now.date()):
        act = partial(_record, kind=window.kind, day=window.day, now=now)
        _in_chunks(db, queries.to_remind(group, window, now.date()), Subscription.id, act, report)


def _record(session: Session, rows: Sequence[Any], *, kind: StepKind, day: int, now: datetime) -> Done:
    name = "warned" if kind is StepKind.LAST_WARNING else "reminded"
    return Done({name: services.record_steps(session, rows, kind, day, now=now)})


def _suspend(db: Database, group: Group, report: RunReport, *, now: datetime) -> None:
    for row in _each(db, queries.to_suspend(group, now)):
        with _Attempt(report, row.id) as attempt:
            attempt.done = dunning.suspend(db, vps_id=row.vps_id, terms=group.terms, now=now)
        report.suspended += attempt.done


def _end(db: Database, group: Group, report: RunReport, *, now: datetime) -> None:
    for row in _each(db, queries.to_end(group, now)):
        with _Attempt(report, row.id) as attempt:
            attempt.done = dunning.end(db, vps_id=row.vps_id, terms=group.terms, now=now)
        report.ended += attempt.done


def _close(db: Database, report: RunReport, *, now: datetime) -> None:
    act = partial(_withdraw, now=now)
    _in_chunks(db, queries.to_close(now), Renewal.invoice_id, act, report)


def _withdraw(session: Session, rows: Sequence[Any], *, now: datetime) -> Done:
    for row in rows:
        services.withdraw(session, session.get_one(Renewal, row.id), now=now)
    return Done({"closed": len(rows)})


@dataclass
class _Attempt:
    """Whether one contract was done; in a ``with``, what goes wrong with it stops nobody else."""

    report: RunReport
    subscription_id: int
    done: bool = False

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, _FAULTS) or _is_offline(error):
            return False
        self.report.fail(Fault(self.subscription_id, _text(error)))
        return True


def _each(db: Database, question: Any, key: Any = Subscription.id) -> Iterator[Any]:
    """Yield the rows of a question, chunk by chunk, outside of any transaction; *key* is what its ``id`` is."""
    after = 0
    while True:
        with db.reading() as session:
            rows = session.execute(queries.chunk(question, key, after=after, limit=CHUNK)).all()
        if not rows:
            return
        yield from rows
        after = rows[-1].id


def _in_chunks(db: Database, question: Any, key: Any, act: Act, report: RunReport) -> None:
    """Let *act* do the contracts of a question in transactions of a chunk each.

    On PostgreSQL two work side by side, on even and on odd keys: while one waits for the server the other prepares its rows.
    """
    if not db.is_postgresql:
        return _one_after_another(db, question, key, act, report)
    shares = [question.where(key % SIDE_BY_SIDE == share) for share in range(SIDE_BY_SIDE)]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for part in [pool.submit(_one_after_another, db, share, key, act, report) for share in shares]:
            part.result()
    return None


def _one_after_another(db: Database, question: Any, key: Any, act: Act, report: RunReport) -> None:
    after = 0
    while ids := _those(db, question, key, act, report, after=after):
        after = ids[-1]


def _those(
    db: Database,
    question: Any,
    key: Any,
    act: Act,
    report: RunReport,
    *,
    after: int = 0,
    only: Sequence[int] | None = None,
) -> Sequence[int]:
    """Do the next contracts, or certain ones, in one transaction, or each half of them in one of its own when that fails.

    Returns which they were.
    """
    ids: Sequence[int] = ()
    done = Done({})
    try:
        with db.unit_of_work() as session:
            # Whoever does one of them at this moment keeps it.
            mine = queries.chunk(question, key, after=after, only=only, limit=CHUNK)
            rows = session.execute(
                mine.with_for_update(of=Subscription, skip_locked=True, key_share=True)
            ).all()
            ids = [row.id for row in rows]
            if rows:
                done = act(session, rows)
    except _FAULTS as error:
        if _is_offline(error) or not ids:
            raise
        # One that is alone is asked once more, in a transaction of its own: another run may just have done it.
        if len(ids) == 1 and only is not None:
            report.fail(Fault(ids[0], _text(error)))
            return ids
    else:
        report.add(done)
        return ids
    half = len(ids) // 2
    for part in (ids[:half], ids[half:]):
        _those(db, question, key, act, report, only=part)
    return ids


def _is_offline(error: BaseException) -> bool:
    """Tell whether the database is gone, in which case trying the next contract is of no use."""
    return isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated


def _text(error: BaseException) -> str:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
    return first_line(cause if isinstance(cause, Exception) else Exception(str(cause)))


def _name_price_faults(db: Database, prices: PriceList, report: RunReport) -> None:
    """Name the prices that cannot be read, should contracts depend on them."""
    if not prices.faults:
        return
    used = sa.select(Subscription.price_id).where(
        Subscription.ended_on.is_(None), Subscription.price_id.in_(prices.faults)
    )
    with db.reading() as session:
        for price_id in session.scalars(used.distinct().order_by(Subscription.price_id)):
            report.fail(Fault(0, prices.faults[price_id]))
