"""Commissions: rates that operators set, links of customers, and the run that earns, takes back and pays."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.billing.models import Invoice
from domus.catalog.models import Product
from domus.commissions import queries, referrals, services
from domus.commissions.models import Commission, CommissionRate, CommissionState
from domus.commissions.queries import Totals
from domus.core import settings
from domus.core.errors import DomusError, InvalidInput
from domus.core.money import MAX_MINOR, Money
from domus.core.texts import first_line, one_line, whole_number
from domus.db.engine import Database
from domus.db.rows import get_row
from domus.workflows import editing

log = logging.getLogger(__name__)

ACTOR = Actor.system("commissions")
#: So many are earned in one transaction.
CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long customers can have their money back, and whether what is due goes to the balance by itself."""

    refund_time: timedelta = timedelta(days=30)
    credits: bool = True


def policy_from(env: Mapping[str, str]) -> Policy:
    """Read ``DOMUS_COMMISSION_REFUND_DAYS`` and ``DOMUS_COMMISSION_CREDIT``; raise ConfigurationError for bad values."""
    days = settings.number(env, "DOMUS_COMMISSION_REFUND_DAYS", 30, maximum=3650)
    by_itself = settings.boolean(env, "DOMUS_COMMISSION_CREDIT", default=True)
    return Policy(refund_time=timedelta(days=days), credits=by_itself)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFields:
    """What an operator decides about a commission: a part of the net amount, a fixed amount, or both."""

    product_id: int
    currency: str
    millipercent: int = 0
    fixed_minor: int = 0
    on_renewals: bool = False


@dataclass
class CommissionReport:
    """What a run did."""

    earned: int = 0
    reversed: int = 0
    credited: int = 0
    faults: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the numbers by name."""
        return {"earned": self.earned, "reversed": self.reversed, "credited": self.credited}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What somebody who brings customers sees: counts and sums, and nothing about who came."""

    code: str | None
    brought: int
    totals: Sequence[Totals]
    newest: Sequence[Commission]


def run(db: Database, *, policy: Policy, now: datetime) -> CommissionReport:
    """Earn what was paid, take back what was given back, and credit what is due; each once, also of two runs at once."""
    report = CommissionReport()
    _earn(db, policy, report, now=now)
    with db.reading() as session:
        to_reverse = [row.id for row in session.execute(queries.to_reverse())]
    for commission_id in to_reverse:
        report.reversed += _one(db, commission_id, report, now=now, pays=False)
    if policy.credits:
        with db.reading() as session:
            due = session.scalars(queries.to_settle(now)).all()
        for commission_id in due:
            report.credited += _one(db, commission_id, report, now=now, pays=True)
    return report


def save_rate(
    db: Database, *, rate_id: int | None, fields: RateFields, actor: Actor, now: datetime
) -> CommissionRate:
    """Add a rate, or change one: what was earned stays, and what was paid before the rate was added earns nothing."""

    def check(session: Session) -> RateFields:
        get_row(session, Product, fields.product_id, what="product", field="product_id")
        Money.zero(fields.currency)
        whole_number(fields.millipercent, field="millipercent", minimum=0, maximum=100_000)
        whole_number(fields.fixed_minor, field="fixed_minor", minimum=0, maximum=MAX_MINOR)
        if not fields.millipercent and not fields.fixed_minor:
            raise InvalidInput(
                "A commission is a percentage, an amount, or both; enter one.", field="millipercent"
            )
        same = sa.select(CommissionRate.id).where(
            CommissionRate.product_id == fields.product_id, CommissionRate.currency == fields.currency
        )
        if session.scalar(same.where(CommissionRate.id != (rate_id or 0))) is not None:
            raise InvalidInput(
                "This product has a commission in that currency; edit that one.", field="currency"
            )
        return fields

    return editing.save(
        db, CommissionRate, rate_id, check, what="commission rate", created={"since": now},
        load=lambda rate: rate.product, actor=actor, now=now,
    )  # fmt: skip


def delete_rate(db: Database, *, rate_id: int, actor: Actor, now: datetime) -> None:
    """Let a product earn nothing from now on; what was earned stays."""
    editing.delete(
        db, CommissionRate, rate_id, what="commission rate", instead="set it to another value", actor=actor, now=now
    )  # fmt: skip


def overview(db: Database, *, account_id: int, actor: Actor, now: datetime) -> Overview:
    """Return what an account sees of the customers that it brought."""
    actor.require_account(account_id, what="account")
    with db.reading() as session:
        return Overview(
            code=referrals.code_of(session, account_id),
            brought=queries.brought(session, account_id),
            totals=queries.totals_of(session, account_id, now=now),
            newest=queries.newest_of(session, account_id),
        )


def make_link(db: Database, *, account_id: int, actor: Actor, now: datetime) -> str:
    """Return the code of an account's link; the first time it is made."""
    actor.require_account(account_id, what="account")
    with db.unit_of_work() as session:
        return referrals.make_code(session, account_id, now=now)


def is_known_code(db: Database, code: str) -> bool:
    """Tell whether a link with this code is somebody's."""
    with db.reading() as session:
        return referrals.referrer_of(session, code) is not None


def pay_out(db: Database, *, commission_id: int, reference: str, actor: Actor, now: datetime) -> Commission:
    """Note that an operator has paid a commission in another way than to the balance."""
    actor.require_operator()
    reference = one_line(reference, field="reference", maximum=128)
    return _by_hand(db, commission_id, reference, actor=actor, now=now)


def credit(db: Database, *, commission_id: int, actor: Actor, now: datetime) -> Commission:
    """Put a commission that is due into the balance, where runs do not do that by themselves; operators only."""
    actor.require_operator()
    return _by_hand(db, commission_id, None, actor=actor, now=now)


def _earn(db: Database, policy: Policy, report: CommissionReport, *, now: datetime) -> None:
    after = 0
    while True:
        with db.reading() as session:
            found = session.execute(queries.to_earn().where(Invoice.id > after).limit(CHUNK)).all()
        if not found:
            return
        after = found[-1].id
        with db.unit_of_work() as session:
            report.earned += services.earn(
                session, found, refund_time=policy.refund_time, actor=ACTOR, now=now
            )


def _one(db: Database, commission_id: int, report: CommissionReport, *, now: datetime, pays: bool) -> int:
    """Take back or credit one commission in a transaction of its own; one that fails stops no other."""
    try:
        with db.unit_of_work() as session:
            commission = services.lock(session, commission_id)
            did = services.reverse(session, commission, actor=ACTOR, now=now)
            if not pays:
                return int(did)
            if commission.state is not CommissionState.PENDING:
                return 0
            services.credit(session, commission, actor=ACTOR, now=now)
            _record(session, commission, "commission.credited", ACTOR, now=now)
    except (DomusError, sa.exc.SQLAlchemyError) as error:
        if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
            raise
        log.warning("commission %s was left: %s", commission_id, first_line(error))
        report.faults.append(f"Commission {commission_id}: {first_line(error)}")
        return 0
    return 1


def _by_hand(
    db: Database, commission_id: int, reference: str | None, *, actor: Actor, now: datetime
) -> Commission:
    with db.unit_of_work() as session:
        commission = services.lock(session, commission_id)
        services.reverse(session, commission, actor=actor, now=now)
        if reference is None:
            services.credit(session, commission, actor=actor, now=now)
        else:
            services.pay_out(session, commission, reference=reference, actor=actor, now=now)
        _record(session, commission, f"commission.{commission.state.value}", actor, now=now)
    return commission


def _record(session: Session, commission: Commission, action: str, actor: Actor, *, now: datetime) -> None:
    audit.record(
        session, actor=actor, action=action, object_type="commission", object_id=commission.id,
        account_id=commission.account_id,
        details={"amount": str(commission.left), "reference": commission.reference}, now=now,
    )  # fmt: skip
