"""Does what is paid run, and nothing else? Is what is gone really gone?"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from domus.billing.models import Invoice, LedgerEntry, Order, Subscription
from domus.catalog.models import Price, Product
from domus.inventory.models import IpAddress
from domus.renewals.models import Renewal
from domus.simulation.judging.findings import Findings
from domus.simulation.judging.sums import period_ends
from domus.simulation.setting import OWN_TERMS
from domus.simulation.world import Deal, World
from domus.vps.models import Reservation, Suspension, SuspensionReason, Vps, VpsState

#: The engine looks each hour, at what time alone makes due every six, and calls a dom0 again that was away.
SLACK = timedelta(hours=8)
#: A dom0 looks again at what is to be removed at least once a day.
TO_WIPE = timedelta(days=3)

#: Days from the one on which a contract runs out: last warning, suspension, end; and those from the end to the wiping.
USUAL = (12, 15, 22, 7)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract as the judge understands it."""

    id: int
    deal: Deal
    until: date
    """Until when it is paid, by the judge's own reckoning."""
    extended_at: datetime
    """When it was paid last, or handed over."""
    terms: tuple[int, int, int, int]
    state: VpsState
    state_since: datetime
    has_ended: bool


def judge_contracts(world: World, session: Session, findings: Findings) -> None:
    """Reckon until when each contract is paid, and look whether its VPS is as it should be."""
    unpaid = set(
        session.scalars(sa.select(Suspension.vps_id).where(Suspension.reason == SuspensionReason.UNPAID))
    )
    for contract in _contracts(world, session, findings):
        _judge_contract(world, contract, findings, is_suspended=contract.deal.vps_id in unpaid)
    _judge_idle_money(world, session, findings)


def _contracts(world: World, session: Session, findings: Findings) -> list[Contract]:
    renewals: dict[int, list[Any]] = defaultdict(list)
    query = (
        sa.select(
            Renewal.subscription_id, Renewal.starts_on, Renewal.ends_on, Renewal.settled_at, Price.period_text
        )
        .join(Price, Price.id == Renewal.price_id)
        .where(Renewal.settled_at.is_not(None))
        .order_by(Renewal.starts_on)
    )
    for row in session.execute(query):
        renewals[row.subscription_id].append(row)
    # What a contract was begun at says when its first period ended; what it is at now, on which days things happen.
    present = aliased(Price)
    contracts = (
        sa.select(
            Subscription.id, Subscription.started_on, Subscription.paid_until, Subscription.ended_on, Price.period_text,
            Product.name, Vps.state, Vps.state_since, Invoice.id.label("invoice_id"),
        )
        .join(Order, Order.id == Subscription.order_id)
        .join(Invoice, Invoice.order_id == Order.id)
        .join(Price, Price.id == Order.price_id)
        .join(present, present.id == Subscription.price_id)
        .join(Product, Product.id == present.product_id)
        .join(Vps, Vps.order_id == Order.id)
        .order_by(Subscription.id)
    )  # fmt: skip
    return [_contract(world, row, renewals[row.id], findings) for row in session.execute(contracts)]


def _contract(world: World, row: Any, renewals: list[Any], findings: Findings) -> Contract:
    anchor, key = row.started_on.day, f"contract {row.id}"
    until = period_ends(row.started_on, row.period_text, anchor)
    extended_at = datetime.combine(row.started_on, time(), UTC)
    for renewal in renewals:
        if renewal.starts_on < until:
            findings.add(
                "double_charges", key, f"Contract {row.id} was paid twice from {renewal.starts_on} on."
            )
        elif renewal.starts_on > until:
            findings.add(
                "running_unpaid_beyond_grace", key, f"Contract {row.id} was given days from {until} on."
            )
        until = period_ends(renewal.starts_on, renewal.period_text, anchor)
        extended_at = max(extended_at, renewal.settled_at)
    if row.paid_until < until:
        findings.add(
            "lost_payments",
            key,
            f"Contract {row.id} is paid until {until}, and counts only until {row.paid_until}.",
        )
    elif row.paid_until > until:
        findings.add(
            "running_unpaid_beyond_grace", key,
            f"Contract {row.id} counts until {row.paid_until}, and is paid until {until}.",
        )  # fmt: skip
    own = OWN_TERMS.get(row.name)
    terms = USUAL if own is None else (own.last_warning_days, own.suspend_days, own.end_days, own.grace_days)
    return Contract(
        id=row.id, deal=world.deals[row.invoice_id], until=until, extended_at=extended_at, terms=terms,
        state=row.state, state_since=row.state_since, has_ended=row.ended_on is not None,
    )  # fmt: skip


def _judge_contract(world: World, contract: Contract, findings: Findings, *, is_suspended: bool) -> None:
    deal, now, key = contract.deal, world.now, f"vps {contract.deal.vps_id}"
    guest = world.fleet.guest_of(deal.vps_id)
    is_running = guest is not None and guest.power == "running"
    is_paid = contract.until > now.date() and not contract.has_ended
    off_by, gone_by = _deadlines(world, contract)
    if is_running and off_by is not None and now > _reachable(world, deal, off_by):
        findings.add(
            "running_unpaid_beyond_grace", key,
            f"VPS {deal.vps_id} runs, is paid until {contract.until}, and had to be off by {off_by}.",
        )  # fmt: skip
    if (
        gone_by is not None
        and contract.state is not VpsState.REMOVED
        and now > _reachable(world, deal, gone_by)
    ):
        findings.add(
            "leaked_addresses", key, f"VPS {deal.vps_id} had to be gone by {gone_by:%Y-%m-%d}, and is not."
        )
    if is_paid and is_suspended:
        findings.add(
            "suspended_though_paid", key, f"VPS {deal.vps_id} is suspended, and paid until {contract.until}."
        )
    if not is_paid or is_running or deal.wants_off or deal.is_locked:
        return
    if contract.state is VpsState.PROVISION_FAILED:
        return
    up_since = max(contract.extended_at, contract.state_since, deal.changed_at or contract.extended_at)
    if now > _reachable(world, deal, up_since + SLACK):
        findings.add(
            "suspended_though_paid", key,
            f"VPS {deal.vps_id} ({contract.state.value}) does not run, and is paid until {contract.until}.",
        )  # fmt: skip


def _deadlines(world: World, contract: Contract) -> tuple[datetime | None, datetime | None]:
    """Return by when the VPS has to be off, and by when it has to be gone; None for what is not due."""
    warn, suspend, end, grace = contract.terms
    if contract.has_ended:
        off = contract.state_since + SLACK
        # What was refunded or ended is kept for a week at most, or as long as its terms say.
        return off, contract.state_since + max(timedelta(days=7), timedelta(days=grace)) + TO_WIPE
    runs = _runs_that_count(world, contract)
    warned = _first_run(runs, contract.until + timedelta(days=warn))
    if warned is None:
        return None, None
    stopped = _first_run(
        runs, contract.until + timedelta(days=suspend), not_before=warned + timedelta(days=1)
    )
    if stopped is None:
        return None, None
    ended = _first_run(
        runs, contract.until + timedelta(days=end), not_before=stopped + timedelta(days=end - suspend)
    )
    gone = None if ended is None else ended + timedelta(days=grace) + TO_WIPE
    return stopped + SLACK, gone


def _runs_that_count(world: World, contract: Contract) -> list[datetime]:
    """Return the renewal runs since the contract was paid last, without those that were told to leave it in peace."""
    runs = world.runs[bisect_right(world.runs, contract.extended_at) :]
    holds = contract.deal.holds
    if not holds:
        return runs
    return [run for run in runs if not any(since <= run and run.date() < until for since, until in holds)]


def _first_run(runs: list[datetime], day: date, *, not_before: datetime | None = None) -> datetime | None:
    moment = datetime.combine(day, time(), UTC)
    place = bisect_left(runs, max(moment, not_before or moment))
    return runs[place] if place < len(runs) else None


def _reachable(world: World, deal: Deal, moment: datetime) -> datetime:
    """Return a deadline, put off by as long as the dom0 was away around it."""
    for machine in world.fleet.machines.values():
        if str(deal.vps_id) in machine.guests:
            for left, back in machine.absences:
                if left - SLACK <= moment <= back + SLACK:
                    moment = back + SLACK
    return moment


def _judge_idle_money(world: World, session: Session, findings: Findings) -> None:
    """Money in a balance that covers an overdue renewal has to pay it in the next run."""
    if len(world.runs) < 2:
        return
    before = world.runs[-2]
    left = sa.select(
        LedgerEntry.ledger_account, LedgerEntry.currency, -sa.func.sum(LedgerEntry.amount_minor)
    ).where(LedgerEntry.ledger_account.like("balance:%"))
    purses = {
        (int(name.partition(":")[2]), currency): int(minor)
        for name, currency, minor in session.execute(
            left.group_by(LedgerEntry.ledger_account, LedgerEntry.currency)
        )
    }
    query = (
        sa.select(Invoice.id, Invoice.account_id, Invoice.currency, Invoice.gross_minor)
        .join(Renewal, Renewal.invoice_id == Invoice.id)
        .join(Subscription, Subscription.id == Renewal.subscription_id)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .where(
            Invoice.state == "open", Subscription.ended_on.is_(None), Vps.state == VpsState.ACTIVE,
            Renewal.starts_on < before.date(), Invoice.issued_at < before,
        )
    )  # fmt: skip
    for invoice_id, account_id, currency, gross in session.execute(query):
        moved = world.purse_moved.get((account_id, currency))
        if invoice_id in world.own_choice or (moved is not None and moved > before):
            continue
        if purses.get((account_id, currency), 0) >= gross:
            findings.add(
                "lost_payments", f"idle {invoice_id}",
                f"Invoice {invoice_id} is overdue, and account {account_id} has the money for it.",
            )  # fmt: skip


def judge_addresses(world: World, session: Session, findings: Findings) -> None:
    """An address belongs to a VPS that is there, or to an order that may still be paid, and to nobody else."""
    now = world.now
    vps = {
        row.id: row
        for row in session.execute(
            sa.select(Vps.id, Vps.state, Order.hold_until, Order.state.label("order_state")).join(
                Order, Order.id == Vps.order_id
            )
        )
    }
    holders: dict[uuid.UUID, int] = defaultdict(int)
    query = sa.select(IpAddress.address, IpAddress.state, IpAddress.vps_id, IpAddress.free_again_at)
    for address, state, vps_id, free_again_at in session.execute(query.where(IpAddress.state != "free")):
        if vps_id is None:
            if free_again_at is not None and free_again_at < now - SLACK:
                findings.add("leaked_addresses", address, f"{address} rests since long ago.")
            continue
        holders[vps_id] += 1
        if not _may_hold(world, vps.get(vps_id), vps_id):
            findings.add(
                "leaked_addresses", address, f"{address} is {state.value} to VPS {vps_id}, which is gone."
            )
    for vps_id in session.scalars(sa.select(Reservation.vps_id)):
        if not _may_hold(world, vps.get(vps_id), vps_id):
            findings.add("leaked_addresses", f"place {vps_id}", f"VPS {vps_id} is gone and keeps its place.")
    for vps_id, row in vps.items():
        if row.state not in (VpsState.REMOVED, VpsState.CANCELLED) and holders[vps_id] != 1:
            findings.add(
                "leaked_addresses", f"none {vps_id}", f"VPS {vps_id} has {holders[vps_id]} addresses."
            )


def _may_hold(world: World, row: Any, vps_id: uuid.UUID) -> bool:
    if row is None or row.state in (VpsState.REMOVED, VpsState.CANCELLED):
        return False
    if row.state is VpsState.RESERVED:
        return bool(row.hold_until > world.now - SLACK)
    guest = world.fleet.guest_of(vps_id)
    # What its dom0 has wiped may be on its way into the database.
    return (
        guest is None or guest.removed_token is None or guest.since is None or guest.since > world.now - SLACK
    )
