"""Is all the money that was taken booked, once, and to whom it belongs? And nothing else?"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.billing.models import CreditNote, Invoice, LedgerEntry, Order, Payment, Subscription
from domus.catalog.models import Price
from domus.contracts.models import ContractChange
from domus.gateways.interface import Outcome, Verdict
from domus.gateways.models import BankLine
from domus.renewals.models import Renewal
from domus.simulation.gateways import SimulatedGateway
from domus.simulation.judging.findings import Findings
from domus.simulation.judging.sums import part, with_tax
from domus.simulation.setting import COUPONS
from domus.simulation.world import World

#: So long money may be on its way into the books: timers may be off for five days, and banks rest at weekends.
BY_GATEWAY = timedelta(days=9)
BY_BANK = timedelta(days=13)

Purse = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Taken:
    """Money that came from a customer, as whoever took it knows it."""

    account_id: int
    currency: str
    minor: int
    at: datetime
    by_bank: bool


def judge_money(world: World, session: Session, findings: Findings, *, final: bool) -> None:
    """Compare what gateways and bank took with the payments, the invoices and the balances."""
    taken = _taken(world)
    booked = _booked(session, findings)
    _compare(world, taken, booked, findings, final=final)
    _charged_twice(world, findings)
    _purses(world, session, taken, findings, final=final)
    _prices(world, session, findings)
    if final:
        _cash(world, session, findings)


def _gateways(world: World) -> tuple[SimulatedGateway, ...]:
    return world.cards, world.wallet


def _taken(world: World) -> dict[tuple[str, str], Taken]:
    found = {
        (gateway.name, one.reference): Taken(one.account_id, one.currency, one.minor, one.at, False)
        for gateway in _gateways(world)
        for one in gateway.takings.values()
    }
    for one in world.bank.transfers.values():
        at = datetime.combine(one.arrives, time(), world.now.tzinfo)
        if at <= world.now:
            found["bank", one.reference] = Taken(one.account_id, one.currency, one.minor, at, True)
    return found


def _booked(session: Session, findings: Findings) -> dict[tuple[str, str], tuple[int, str, int]]:
    """Return payments from outside by who took them; what is there twice is found here."""
    query = sa.select(
        Payment.id, Payment.gateway, Payment.reference, Payment.account_id, Payment.currency, Payment.amount_minor,
        BankLine.bank_reference,
    ).outerjoin(BankLine, BankLine.payment_id == Payment.id).where(Payment.gateway != "balance")  # fmt: skip
    found: dict[tuple[str, str], tuple[int, str, int]] = {}
    for row in session.execute(query):
        key = (row.gateway, row.reference if row.gateway != "bank" else row.bank_reference or f"?{row.id}")
        if key in found:
            findings.add("double_charges", key, f"{key[0]} {key[1]} is booked more than once.")
        found[key] = (row.account_id, row.currency, row.amount_minor)
    return found


def _compare(
    world: World,
    taken: dict[tuple[str, str], Taken],
    booked: dict[tuple[str, str], tuple[int, str, int]],
    findings: Findings,
    *,
    final: bool,
) -> None:
    for key, (account_id, currency, minor) in booked.items():
        one = taken.get(key)
        if one is None:
            findings.add("double_charges", key, f"{key[0]} {key[1]} is booked, and nobody ever paid it.")
        elif (one.account_id, one.currency, one.minor) != (account_id, currency, minor):
            findings.add(
                "double_charges", key, f"{key[0]} {key[1]} is booked with another amount or account."
            )
    for key in taken.keys() - booked.keys():
        one = taken[key]
        if final or world.now - one.at > (BY_BANK if one.by_bank else BY_GATEWAY):
            findings.add(
                "lost_payments", key, f"{key[0]} {key[1]} over {one.minor} {one.currency} is not booked."
            )


def _charged_twice(world: World, findings: Findings) -> None:
    """Find invoices for which a saved card was charged more than once."""
    charged = Counter(one.invoice_id for one in world.cards.takings.values() if one.unasked)
    for invoice_id, times in charged.items():
        if times > 1:
            findings.add(
                "double_charges", f"invoice {invoice_id}", f"Invoice {invoice_id} was charged {times} times."
            )


def _purses(
    world: World, session: Session, taken: dict[tuple[str, str], Taken], findings: Findings, *, final: bool
) -> None:
    """What somebody paid and did not get back is what they bought and what they have left, to the last cent."""
    paid_in: dict[Purse, int] = defaultdict(int)
    moved: dict[Purse, datetime] = {}
    for one in taken.values():
        purse = one.account_id, one.currency
        paid_in[purse] += one.minor
        moved[purse] = max(one.at, moved.get(purse, one.at))
    for purse, minor, at in _taken_back(world):
        paid_in[purse] -= minor
        moved[purse] = max(at, moved.get(purse, at))
    for purse, at in world.purse_moved.items():
        moved[purse] = max(at, moved.get(purse, at))
    held = _held(session)
    for purse in paid_in.keys() | held.keys():
        is_resting = final or purse not in moved or world.now - moved[purse] > BY_BANK
        difference = held.get(purse, 0) - paid_in.get(purse, 0)
        if difference == 0 or not is_resting:
            continue
        kind = "lost_payments" if difference < 0 else "double_charges"
        findings.add(
            kind, purse,
            f"Account {purse[0]} paid {paid_in.get(purse, 0)} {purse[1]} in all; the books have {held.get(purse, 0)}.",
        )  # fmt: skip


def _taken_back(world: World) -> list[tuple[Purse, int, datetime]]:
    back = []
    for gateway in _gateways(world):
        for one in gateway.returns.values():
            purse = one.taking.account_id, one.taking.currency
            # One that is not decided keeps its purse from being looked at, and so does one that was refused lately.
            back.append((purse, one.minor if one.outcome is Outcome.DONE else 0, one.at))
        back += [
            ((quarrel.taking.account_id, quarrel.taking.currency), quarrel.taking.minor, quarrel.at)
            for quarrel in gateway.quarrels.values()
            if quarrel.verdict is Verdict.LOST
        ]
    return back


def _held(session: Session) -> dict[Purse, int]:
    """Return what accounts bought for good, and what they have left, by account and currency."""
    found: dict[Purse, int] = defaultdict(int)
    bought = sa.select(Invoice.account_id, Invoice.currency, sa.func.sum(Invoice.gross_minor))
    for account_id, currency, minor in session.execute(
        bought.where(Invoice.state == "paid").group_by(Invoice.account_id, Invoice.currency)
    ):
        found[account_id, currency] += int(minor)
    credited = sa.select(Invoice.account_id, CreditNote.currency, sa.func.sum(CreditNote.gross_minor))
    for account_id, currency, minor in session.execute(
        credited.join(Invoice, Invoice.id == CreditNote.invoice_id).group_by(
            Invoice.account_id, CreditNote.currency
        )
    ):
        found[account_id, currency] -= int(minor)
    left = sa.select(LedgerEntry.ledger_account, LedgerEntry.currency, sa.func.sum(LedgerEntry.amount_minor))
    for name, currency, minor in session.execute(
        left.where(LedgerEntry.ledger_account.like("balance:%")).group_by(
            LedgerEntry.ledger_account, LedgerEntry.currency
        )
    ):
        found[int(name.partition(":")[2]), currency] -= int(minor)
    return found


def _prices(world: World, session: Session, findings: Findings) -> None:
    """Each paid invoice asks for what the price list says, less the coupon, and for that person's tax."""
    deals = {deal.order_id: deal for deal in world.deals.values()}
    bought = (
        sa.select(
            Order.id,
            Invoice.id,
            Invoice.gross_minor,
            Price.amount_minor,
            Price.setup_fee_minor,
            Price.currency,
        )
        .join(Order, Order.id == Invoice.order_id)
        .join(Price, Price.id == Order.price_id)
    )
    renewed = (
        sa.select(
            Subscription.order_id,
            Invoice.id,
            Invoice.gross_minor,
            Price.amount_minor,
            sa.literal(0),
            Price.currency,
        )
        .join(Renewal, Renewal.invoice_id == Invoice.id)
        .join(Subscription, Subscription.id == Renewal.subscription_id)
        .join(Price, Price.id == Renewal.price_id)
    )
    payments: Counter[uuid.UUID] = Counter()
    for query in (bought, renewed):
        paid = query.where(Invoice.state == "paid").order_by(Invoice.id)
        for order_id, invoice_id, gross, amount, fee, currency in session.execute(paid):
            deal = deals[order_id]
            payments[order_id] += 1
            net = amount + fee - _taken_off(deal.coupon, amount, fee, currency, payments[order_id])
            due = with_tax(net, deal.customer.millipercent)
            if gross != due:
                findings.add(
                    "wrong_prices", invoice_id, f"Invoice {invoice_id} is over {gross} instead of {due}."
                )
    _changes(world, session, findings)


def _taken_off(code: str, amount: int, fee: int, currency: str, payment: int) -> int:
    """Return what a coupon takes off the so-and-so-many payment of a contract."""
    terms = COUPONS.get(code)
    if terms is None or (terms.payments is not None and payment > terms.payments):
        return 0
    base = amount + fee if terms.covers_setup_fee else amount
    return min(
        base,
        part(base, terms.millipercent, 100_000)
        if terms.millipercent
        else dict(terms.amounts).get(currency, 0),
    )


def _changes(world: World, session: Session, findings: Findings) -> None:
    """Each paid change asks for what the new price costs less what the old one was worth, and for tax on that."""
    query = (
        sa.select(
            Invoice.id, Invoice.account_id, Invoice.gross_minor,
            ContractChange.charge_minor - ContractChange.credit_minor,
        )
        .join(ContractChange, ContractChange.invoice_id == Invoice.id)
        .where(Invoice.state == "paid")
    )  # fmt: skip
    for invoice_id, account_id, gross, net in session.execute(query):
        due = with_tax(net, world.customers[account_id].millipercent)
        if gross != due:
            findings.add(
                "wrong_prices", invoice_id, f"Invoice {invoice_id} is over {gross} instead of {due}."
            )


def _cash(world: World, session: Session, findings: Findings) -> None:
    """At the end what the books say lies at each gateway is what does lie there."""
    total = sa.select(
        LedgerEntry.ledger_account, LedgerEntry.currency, sa.func.sum(LedgerEntry.amount_minor)
    ).where(LedgerEntry.ledger_account.like("cash:%"))
    books: dict[tuple[str, str], int] = defaultdict(int)
    for name, currency, minor in session.execute(
        total.group_by(LedgerEntry.ledger_account, LedgerEntry.currency)
    ):
        books[name.partition(":")[2], currency] = int(minor)
    real = _lies_there(world)
    for key in books.keys() | real.keys():
        if books[key] != real[key]:
            findings.add("ledger", key, f"{key[0]} has {real[key]} {key[1]}, and the books say {books[key]}.")


def _lies_there(world: World) -> dict[tuple[str, str], int]:
    """Return what each gateway and the bank have of ours, by currency."""
    real: dict[tuple[str, str], int] = defaultdict(int)
    for gateway in _gateways(world):
        for one in gateway.takings.values():
            real[gateway.name, one.currency] += one.minor - part(one.minor, gateway.fee, 1000)
        for given in gateway.returns.values():
            if given.outcome is not Outcome.FAILED:
                real[gateway.name, given.taking.currency] -= given.minor
        for quarrel in gateway.quarrels.values():
            if quarrel.verdict is not Verdict.WON:
                real[gateway.name, quarrel.taking.currency] -= quarrel.taking.minor
    for transfer in world.bank.transfers.values():
        real["bank", transfer.currency] += transfer.minor
    return real


def judge_ledger(session: Session, findings: Findings) -> None:
    """Every booking, and each currency, sums to nothing."""
    total = sa.func.sum(LedgerEntry.amount_minor)
    query = sa.select(LedgerEntry.transaction_id, LedgerEntry.currency, total)
    for booking, currency, minor in session.execute(
        query.group_by(LedgerEntry.transaction_id, LedgerEntry.currency).having(total != 0)
    ):
        findings.add("ledger", f"booking {booking}", f"Booking {booking} sums to {minor} {currency}.")


class Numbers:
    """Remembers the numbers that it has seen: none may vanish, be used again, or be left out."""

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}

    def judge(self, session: Session, findings: Findings) -> None:
        """Look at all numbers that were given out by now."""
        rows = [
            *session.execute(
                sa.select(Invoice.number, Invoice.gross_minor).where(Invoice.number.is_not(None))
            ),
            *session.execute(sa.select(CreditNote.number, CreditNote.gross_minor)),
        ]
        present: dict[str, int] = {}
        for number, gross in rows:
            if number in present:
                findings.add("invoice_gaps", number, f"The number {number} was given out twice.")
            present[number] = gross
        for number, gross in self._seen.items():
            if present.get(number) != gross:
                findings.add(
                    "invoice_gaps", number, f"The document {number} over {gross} is gone or was changed."
                )
        series: dict[str, set[int]] = defaultdict(set)
        for number in present:
            stem, _, count = number.rpartition("-")
            series[stem].add(int(count))
        for stem, used in series.items():
            for absent in set(range(1, max(used) + 1)) - used:
                name = f"{stem}-{absent:05d}"
                findings.add("invoice_gaps", name, f"The number {name} is missing.")
        for row in session.execute(
            sa.select(Invoice.id).where(Invoice.state == "paid", Invoice.number.is_(None))
        ):
            findings.add("invoice_gaps", f"id {row.id}", f"The paid invoice {row.id} has no number.")
        self._seen |= present
