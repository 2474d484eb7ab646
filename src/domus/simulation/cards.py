"""Two simulated gateways: one for cards, which can be saved and charged, and one that customers agree at."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar

from domus.core.errors import InvalidInput
from domus.gateways.interface import (
    Bill,
    Captures,
    Charges,
    Declined,
    Fact,
    GatewayUnavailable,
    Method,
    MethodSaved,
    Paid,
    Pending,
    Redirect,
)
from domus.simulation.gateways import Card, SimulatedGateway, Taking


@dataclass
class Cards(SimulatedGateway, Charges):
    """Takes cards: on its page, and again while the customer is away."""

    name: ClassVar[str] = "cards"
    title: ClassVar[str] = "Pay by card"
    hint: ClassVar[str] = "Simulated."
    refused: dict[uuid.UUID, Declined] = field(default_factory=dict)
    undecided: dict[uuid.UUID, Bill] = field(default_factory=dict)
    charges: Counter[int] = field(default_factory=Counter)
    """How often each invoice was charged."""
    saving: dict[str, Card] = field(default_factory=dict)

    def begin_saving(self, bill: Bill) -> Redirect:
        """Open a page that saves a card."""
        return self.begin(bill)

    def pay_at_page(self, session: str, card: Card | None) -> Taking:
        """Let the customer pay; with a card, keep it when the shop asked for that."""
        bill = self.sessions[session]
        taking = self.take(bill)
        if card is not None and bill.keep_method:
            self.saved[card.method.method] = self.saving[taking.reference] = card
        return taking

    def save_at_page(self, session: str, card: Card) -> None:
        """Let the customer save a card without paying."""
        self.saved[card.method.method] = self.saving[session] = card
        self.tell(self.name, "saved", session)

    def charge(self, method: Method, bill: Bill) -> Paid | Pending | Declined:
        """Charge a saved card, once for each attempt."""
        if bill.attempt_id in self.paid_for:
            return self._paid(self.takings[self.paid_for[bill.attempt_id]])
        number = self.charges[bill.invoice_id]
        self.charges[bill.invoice_id] += 1
        self._be_there()
        chances = self.stream("charge", bill.invoice_id, number)
        card = self.saved.get(method.method)
        if card is None:
            raise InvalidInput("There is no such card.")
        if card.dies_on is not None and self.clock().date() >= card.dies_on:
            return Declined(attempt_id=bill.attempt_id, reason="The card has expired.", method_is_dead=True)
        if chances.random() < card.refusal_rate:
            needs = chances.random() < 0.1
            declined = Declined(attempt_id=bill.attempt_id, reason="Not enough money.", needs_customer=needs)
            self.refused[bill.attempt_id] = declined
            return declined
        return self._charged(bill, chances.random())

    def find(
        self, method: Method, attempt_id: uuid.UUID, *, since: datetime
    ) -> Paid | Pending | Declined | None:
        """Say what became of a charge."""
        self._be_there()
        if attempt_id in self.paid_for:
            return self._paid(self.takings[self.paid_for[attempt_id]])
        if attempt_id in self.undecided:
            return Pending(attempt_id=attempt_id)
        return self.refused.get(attempt_id)

    def forget(self, method: Method) -> None:
        """Forget a card."""
        self.saved.pop(method.method, None)

    def decide(self, attempt_id: uuid.UUID, *, paid: bool) -> None:
        """Decide a charge that took its time."""
        bill = self.undecided.pop(attempt_id)
        if paid:
            self.take(bill, unasked=True)
        else:
            self.refused[attempt_id] = Declined(attempt_id=attempt_id, reason="The bank said no.")

    def _charged(self, bill: Bill, chance: float) -> Paid | Pending:
        if chance < 0.005:
            raise GatewayUnavailable("The connection broke before the card was charged.")
        if chance < 0.02:
            self.undecided[bill.attempt_id] = bill
            return Pending(attempt_id=bill.attempt_id)
        taking = self.take(bill, unasked=True)
        if chance < 0.04:
            raise GatewayUnavailable("The answer was lost.")
        return self._paid(taking)

    def _of_session(self, session: str) -> list[Fact]:
        if session in self.saving:
            bill = self.sessions[session]
            return [MethodSaved(attempt_id=bill.attempt_id, method=self.saving[session].method)]
        return super()._of_session(session)

    def _method_of(self, taking: Taking) -> Method | None:
        card = self.saving.get(taking.reference)
        return None if card is None else card.method


@dataclass
class Wallet(SimulatedGateway, Captures):
    """Sends customers away to agree, and takes the money when the shop asks for it."""

    name: ClassVar[str] = "wallet"
    title: ClassVar[str] = "Pay by wallet"
    hint: ClassVar[str] = "Simulated."
    fee: ClassVar[int] = 35

    def capture(self, reference: str) -> Sequence[Fact]:
        """Take what the customer has agreed to."""
        self._be_there()
        if reference in self.agreed:
            self.take(self.sessions[reference])
        return self._of_session(reference)


def new_card(account_id: int, number: int, *, refusal_rate: float, dies_on: date | None) -> Card:
    """Return the card of an account."""
    method = Method(
        customer=f"customer-{account_id}", method=f"card-{account_id}-{number}", label=f"Visa ending in {number:04d}"
    )  # fmt: skip
    return Card(method=method, account_id=account_id, refusal_rate=refusal_rate, dies_on=dies_on)
