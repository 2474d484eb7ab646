"""How people pay an invoice: exactly, too little, too much, twice, late, with a wrong reference, or not at all."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from domus.billing import ledger
from domus.billing.models import Invoice, InvoiceState
from domus.core.money import Money
from domus.gateways.interface import Instructions, Redirect
from domus.simulation.cards import new_card
from domus.simulation.gateways import Card
from domus.simulation.world import Customer, Habit, World
from domus.workflows.payments import paying as payments


def pay(world: World, customer: Customer, invoice_id: int, *, tries: int = 0) -> None:
    """Pay an invoice the way this customer does, if it still asks for anything."""
    chances = world.stream("pay", customer.number, invoice_id, tries)
    prepaid = _balance_beside(world, customer, invoice_id)
    if prepaid is None:
        return
    world.note_move(customer.account_id, customer.currency)
    # Whoever sees that there is something in the balance tries whether it is enough.
    if prepaid > 0 and payments.pay_from_balance(
        world.db, invoice_id=invoice_id, actor=customer.actor, now=world.now
    ):
        world.counts["paid_from_balance_by_hand"] += 1
        return
    habit = customer.habit
    if habit is Habit.CARD:
        _by_card(world, customer, invoice_id, chances)
    elif habit is Habit.WALLET:
        _by_wallet(world, customer, invoice_id, chances)
    else:
        _by_transfer(world, customer, invoice_id, chances, much_more=habit is Habit.PREPAID)


def _balance_beside(world: World, customer: Customer, invoice_id: int) -> int | None:
    """Return what a customer has prepaid; None when the invoice does not wait for money any more."""
    with world.db.reading() as session:
        state = session.scalar(sa.select(Invoice.state).where(Invoice.id == invoice_id))
        if state is not InvoiceState.OPEN:
            return None
        return ledger.balance_of(session, customer.account_id, customer.currency).minor


def urls(attempt_id: uuid.UUID) -> tuple[str, str]:
    """Return where customers come back to."""
    return f"https://panel.example/{attempt_id}/done", f"https://panel.example/{attempt_id}/given-up"


def _by_card(world: World, customer: Customer, invoice_id: int, chances: random.Random) -> None:
    answer = _begin(world, customer, invoice_id, "cards", keep=True)
    if not isinstance(answer, Redirect):
        return
    if chances.random() < 0.04:
        # Leaves the page, and comes back another day.
        world.later(chances, 0.2, 3, partial(pay, world, customer, invoice_id, tries=1))
        return
    card = card_of(world, customer, chances)
    world.agenda.after(
        timedelta(minutes=chances.uniform(1, 9)),
        partial(_finish_page, world, customer, answer.reference, card, chances.random() < 0.5),
    )


def card_of(world: World, customer: Customer, chances: random.Random) -> Card:
    """Return the card that a customer takes: the one that is known, or a new one that may be a bad one."""
    known = customer.card
    if known is not None and known.method.method in world.cards.saved and chances.random() < 0.7:
        return known
    number = 1 if known is None else int(known.method.method.rpartition("-")[2]) + 1
    temper = chances.random()
    refusal = 0.0 if temper < 0.7 else 0.3 if temper < 0.9 else 0.95
    dies = world.now.date() + timedelta(days=chances.randint(40, 500)) if chances.random() < 0.3 else None
    customer.card = new_card(customer.account_id, number, refusal_rate=refusal, dies_on=dies)
    return customer.card


def _finish_page(world: World, customer: Customer, session: str, card: Card, comes_back: bool) -> None:
    world.cards.pay_at_page(session, card)
    if comes_back:
        _come_back(world, customer, world.cards.sessions[session].attempt_id)


def _by_wallet(world: World, customer: Customer, invoice_id: int, chances: random.Random) -> None:
    answer = _begin(world, customer, invoice_id, "wallet")
    if not isinstance(answer, Redirect):
        return
    attempt_id = world.wallet.sessions[answer.reference].attempt_id
    if chances.random() < 0.05:
        world.later(chances, 0.2, 3, partial(pay, world, customer, invoice_id, tries=1))
        return

    def agree() -> None:
        world.wallet.agree(answer.reference)
        if chances.random() < 0.5:
            _come_back(world, customer, attempt_id)

    world.agenda.after(timedelta(minutes=chances.uniform(1, 9)), agree)


def _by_transfer(
    world: World, customer: Customer, invoice_id: int, chances: random.Random, *, much_more: bool
) -> None:
    answer = _begin(world, customer, invoice_id, "bank")
    if not isinstance(answer, Instructions):
        return
    said = dict(answer.lines)
    number, _, currency = said["Amount"].rpartition(" ")
    due, text = Money.parse(number, currency), said["Reference"]
    kind = chances.random()
    amount = due
    if much_more:
        amount = Money(due.minor * chances.randint(2, 14) + 7, currency)
    elif kind < 0.07:
        amount = Money(max(1, due.minor * chances.randint(40, 95) // 100), currency)
    elif kind < 0.14:
        amount = Money(due.minor + chances.randint(1, 500), currency)
    elif kind < 0.20:
        text = f"order of customer {customer.number}, sorry, no reference"
    elif kind < 0.24:
        text = text[:-1] + str((int(text[-1]) + 1) % 10)
    copies = 2 if 0.24 <= kind < 0.27 else 1
    for _ in range(copies):
        world.bank.send(
            amount, account_id=customer.account_id, invoice_id=invoice_id, text=text,
            arrives=world.now.date() + timedelta(days=chances.randint(0, 3)),
        )  # fmt: skip
    world.counts["transfers"] += copies
    if amount.minor < due.minor and chances.random() < 0.8:
        world.later(chances, 5, 12, partial(pay, world, customer, invoice_id, tries=2))


def _begin(world: World, customer: Customer, invoice_id: int, gateway: str, *, keep: bool = False) -> object:
    return payments.begin(
        world.db, world.gateways, invoice_id=invoice_id, gateway=gateway, actor=customer.actor, now=world.now,
        urls=urls, keep_method=keep,
    )  # fmt: skip


def _come_back(world: World, customer: Customer, attempt_id: uuid.UUID) -> None:
    """Return from the gateway's page before its event has come."""
    payments.come_back(world.db, world.gateways, attempt_id=attempt_id, actor=customer.actor, now=world.now)
    world.fleet.wake_soon()
