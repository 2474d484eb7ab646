"""Everything that a simulated year has, in one place, and the words in which behaviours speak of it."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial

from domus.accounts.actor import Actor
from domus.core.errors import DomusError
from domus.db.engine import Database
from domus.gateways.bank_transfer import BankTransfer
from domus.gateways.interface import DeliveryRefused
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways
from domus.simulation.bank import IBAN, Bank
from domus.simulation.cards import Cards, Wallet
from domus.simulation.clock import Agenda
from domus.simulation.gateways import TOLERANCE, Card, delivery
from domus.simulation.machines import Fleet, Machine
from domus.simulation.plan import Plan
from domus.simulation.setting import Setting
from domus.workflows.payments import events as payments_events


class Habit(StrEnum):
    """How somebody pays."""

    CARD = "card"
    """By a card that is kept and charged."""
    WALLET = "wallet"
    BANK = "bank"
    PREPAID = "prepaid"
    """By a transfer of much more than is due, now and then."""


@dataclass
class Customer:
    """Somebody with an account."""

    number: int
    account_id: int
    actor: Actor
    habit: Habit
    currency: str
    millipercent: int
    """What they pay on top."""
    card: Card | None = None


@dataclass
class Deal:
    """An order that somebody placed, as they remember it."""

    order_id: uuid.UUID
    vps_id: uuid.UUID
    invoice_id: int
    customer: Customer
    coupon: str = ""
    """Its code, when one was taken."""
    wants_off: bool = False
    """The owner has switched it off."""
    is_locked: bool = False
    """The operator has suspended it for something else than money."""
    failures: int = 0
    """How often its installation failed."""
    changed_at: datetime | None = None
    """When one of these two changed last."""
    holds: list[tuple[datetime, date]] = field(default_factory=list)
    """Since and until when the operator leaves it in peace."""


@dataclass
class World:
    """One simulated shop."""

    plan: Plan
    db: Database
    setting: Setting
    agenda: Agenda
    gateways: Gateways = field(init=False)
    cards: Cards = field(init=False)
    wallet: Wallet = field(init=False)
    bank: Bank = field(default_factory=Bank)
    fleet: Fleet = field(init=False)
    customers: dict[int, Customer] = field(default_factory=dict)
    """By account id."""
    deals: dict[int, Deal] = field(default_factory=dict)
    """By the id of the order's invoice."""
    runs: list[datetime] = field(default_factory=list)
    """When renewals were run."""
    own_choice: set[int] = field(default_factory=set)
    """Invoices that customers opened themselves."""
    faults: list[str] = field(default_factory=list)
    """What renewal runs had to leave."""
    repeated_work: list[str] = field(default_factory=list)
    """What a run did that had been done a moment before."""
    purse_moved: dict[tuple[int, str], datetime] = field(default_factory=dict)
    """When money moved last, by account and currency."""
    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """What was refused, by the class of the refusal."""

    def __post_init__(self) -> None:
        self.cards = Cards(lambda: self.now, self._announce, self.plan.stream)
        self.wallet = Wallet(lambda: self.now, self._announce, self.plan.stream)
        account = BankTransfer(
            iban=IBAN, holder="Simulated Hosting GmbH", currencies=("EUR", "USD", "JPY", "KWD")
        )
        self.gateways = Gateways(self.cards, self.wallet, account, Prepaid())
        machines = {minion: Machine(minion) for minion in self.setting.minions}
        self.fleet = Fleet(self.db, self.agenda, self.plan.stream, machines)

    @property
    def now(self) -> datetime:
        """Return the present moment."""
        return self.agenda.now

    @property
    def is_over(self) -> bool:
        """Tell whether people have gone home."""
        return self.now >= self.plan.end

    def stream(self, *names: object) -> random.Random:
        """Return the chances of one thing."""
        return self.plan.stream(*names)

    def later(self, chances: random.Random, first: float, last: float, act: Callable[[], object]) -> None:
        """Have somebody do something between so many days from now, by day, unless the year is over by then."""
        moment = self.now + timedelta(days=chances.uniform(first, last))
        self.at_daytime(chances, moment, act)

    def at_daytime(self, chances: random.Random, moment: datetime, act: Callable[[], object]) -> None:
        """Have somebody do something on the day of a moment, in the hours in which people are up."""
        if not 7 <= moment.hour < 22:
            moment = moment.replace(hour=chances.randint(7, 21))
        self.agenda.at(moment, partial(self.attempt, act))

    def attempt(self, act: Callable[[], object]) -> None:
        """Let somebody do something now; what the shop refuses is counted, and what it changes is carried out."""
        if self.is_over:
            return
        try:
            act()
        except DomusError as error:
            self.refusals[type(error).__name__] += 1
        self.fleet.wake_soon()

    def note_move(self, account_id: int, currency: str) -> None:
        """Note that money moves, or is about to."""
        self.purse_moved[account_id, currency] = self.now

    # Deliveries.

    def _announce(self, gateway: str, kind: str, subject: str) -> None:
        """Have a gateway tell of something: mostly soon and once, sometimes late or twice, now and then never."""
        self.counts["events_told"] += 1
        number = self.counts["events_told"]
        chances = self.stream("event", gateway, kind, subject, number)
        if chances.random() < 0.01:
            self.counts["events_never_delivered"] += 1
            return
        copies = 1 if chances.random() < 0.9 else chances.randint(2, 4)
        for _ in range(copies):
            # Whoever is late overtakes nobody; whoever is early may come before what it follows from.
            seconds = chances.uniform(1, 20) if chances.random() < 0.9 else chances.uniform(60, 40_000)
            self.agenda.after(
                timedelta(seconds=seconds),
                partial(self._deliver, gateway, f"{gateway}-e{number}", kind, subject),
            )
        if chances.random() < 0.01:
            self.agenda.after(timedelta(seconds=5), partial(self._forge, gateway, number, subject))

    def _deliver(self, gateway: str, event_id: str, kind: str, subject: str) -> None:
        """Do what the panel does with a delivery: store it, answer, and process it unless it dies in between."""
        self.counts["events_delivered"] += 1
        letter = delivery(event_id, kind, subject, at=self.now)
        stored = payments_events.accept(
            self.db, self.gateways, gateway, letter, sender="192.0.2.1", now=self.now
        )
        if stored is None:
            self.counts["events_known"] += 1
            return
        if self.stream("panel", event_id).random() >= 0.02:
            payments_events.process(self.db, self.gateways, stored, now=self.now)
            self._note_moves(gateway, subject)
            self.fleet.wake_soon()

    def _note_moves(self, gateway: str, subject: str) -> None:
        house = self.cards if gateway == self.cards.name else self.wallet
        taking = house.takings.get(subject)
        if taking is not None:
            self.note_move(taking.account_id, taking.currency)

    def _forge(self, gateway: str, number: int, subject: str) -> None:
        """Deliver what nobody may believe: signed with another key, or a copy of long ago."""
        wrong = delivery(f"forged-{number}", "paid", subject, at=self.now, key=b"somebody else's")
        old = delivery(f"old-{number}", "paid", subject, at=self.now - 2 * TOLERANCE)
        for letter in (wrong, old):
            try:
                payments_events.accept(
                    self.db, self.gateways, gateway, letter, sender="203.0.113.9", now=self.now
                )
            except DeliveryRefused:
                self.counts["forgeries_refused"] += 1
            else:
                self.counts["forgeries_taken"] += 1
