"""What a simulated year came to: for people as a table, for scripts as one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from domus.billing.models import CreditNote, Invoice, InvoiceState, Payment, Subscription
from domus.renewals.models import DunningStep, StepKind
from domus.simulation.judging.judge import Judge
from domus.simulation.world import World
from domus.vps.models import Vps, VpsState

#: Beside those of `Findings`; each of them has to be nothing.
MUST_BE_NOTHING = (
    "double_charges", "lost_payments", "running_unpaid_beyond_grace", "suspended_though_paid", "invoice_gaps",
    "leaked_addresses", "wrong_prices", "repeated_work", "forgeries_taken",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Numbers by name, in the order in which they are told, and a sentence for everything that is wrong."""

    numbers: dict[str, Any]
    sentences: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.sentences


def make_report(judge: Judge) -> Report:
    """Return what became of the judge's world. The same plan gives the same numbers."""
    world, findings = judge.world, judge.findings
    plan = world.plan
    numbers: dict[str, Any] = {
        "accounts": plan.accounts, "days": plan.days, "seed": plan.seed, "start": plan.start.isoformat(),
    }  # fmt: skip
    numbers |= _happened(world) | _in_database(world)
    numbers["looks_of_the_judge"] = judge.looks
    sentences = [*findings.sentences(), *(f"left by a renewal run: {fault}" for fault in world.faults)]
    numbers["ledger_balanced"] = not findings.count("ledger")
    numbers |= {name: findings.count(name) for name in MUST_BE_NOTHING}
    numbers["renewals_left_undone"] = len(world.faults)
    return Report(numbers=numbers, sentences=tuple(sentences))


def _happened(world: World) -> dict[str, int]:
    """Return what people, gateways, bank and machines did."""
    unasked = sum(one.unasked for one in world.cards.takings.values())
    told = (
        "sign_ups", "orders", "orders_cancelled_by_hand", "renewals_opened_early", "cards_removed",
        "cards_saved_without_paying", "events_told", "events_delivered", "events_known", "events_never_delivered",
        "forgeries_refused", "compared_and_missing", "transfers_unmatched", "statements_read", "disputes", "refunds",
        "refunds_at_gateways", "coupons_used", "coupons_refused",
        "changes_agreed", "holds", "cron_outages", "cron_nights_missed", "dom0_outages",
    )  # fmt: skip
    return {
        "paid_by_card": len(world.cards.takings) - unasked,
        "paid_by_saved_card": unasked,
        "paid_by_wallet": len(world.wallet.takings),
        "paid_by_transfer": len(world.bank.transfers),
        "cards_refused": world.counts["run_refused"],
        **{name: world.counts[name] for name in told},
        "renewal_runs": len(world.runs),
        "state_runs": world.fleet.runs,
        "state_runs_lost": world.fleet.lost_runs,
        "installations_failed": world.fleet.installs_failed,
        "refusals": sum(world.refusals.values()),
    }


def _in_database(world: World) -> dict[str, int]:
    """Return what the database has in the end."""
    step = sa.select(sa.func.count()).select_from(DunningStep)
    questions = {
        "contracts": sa.select(sa.func.count()).select_from(Subscription),
        "invoices_paid": sa.select(sa.func.count()).where(Invoice.state == InvoiceState.PAID),
        "invoices_cancelled": sa.select(sa.func.count()).where(Invoice.state == InvoiceState.CANCELLED),
        "credit_notes": sa.select(sa.func.count()).select_from(CreditNote),
        "payments_from_balance": sa.select(sa.func.count()).where(Payment.gateway == "balance"),
        "suspended": step.where(DunningStep.kind == StepKind.SUSPENDED),
        "ended": step.where(DunningStep.kind == StepKind.ENDED),
        "vps_active": sa.select(sa.func.count()).where(Vps.state == VpsState.ACTIVE),
        "vps_removed": sa.select(sa.func.count()).where(Vps.state == VpsState.REMOVED),
    }
    with world.db.reading() as session:
        return {name: int(session.scalar(question) or 0) for name, question in questions.items()}
