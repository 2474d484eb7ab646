"""Simulated gateways behind the real interface: they keep books of their own, and tell late, twice or never."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import ClassVar

from domus.core.money import Money
from domus.gateways.interface import (
    Bill,
    Delivery,
    DeliveryRefused,
    Disputed,
    Event,
    Fact,
    GatewayUnavailable,
    GivesBack,
    Listens,
    Lists,
    Method,
    Outcome,
    Paid,
    Pending,
    Redirect,
    Refunded,
    Verdict,
)

KEY = b"shared by the simulated gateways and the shop"
#: Older deliveries are not taken, as with Stripe.
TOLERANCE = timedelta(minutes=5)


@dataclass(kw_only=True)
class Taking:
    """Money that a gateway took for us: the judge compares the books with these."""

    reference: str
    account_id: int
    invoice_id: int
    currency: str
    minor: int
    at: datetime
    unasked: bool = False
    """A saved card was charged, and nobody was there."""


@dataclass(kw_only=True)
class Return:
    """Money that a gateway gives back, or is to."""

    reference: str
    taking: Taking
    minor: int
    outcome: Outcome
    refund_id: uuid.UUID | None
    at: datetime


@dataclass(kw_only=True)
class Quarrel:
    """A payment that its payer contests."""

    reference: str
    taking: Taking
    verdict: Verdict
    at: datetime


@dataclass(kw_only=True)
class Card:
    """A saved card, and how often it is refused."""

    method: Method
    account_id: int
    refusal_rate: float = 0.0
    dies_on: date | None = None


#: (gateway, kind, subject): have an event delivered.
Tell = Callable[[str, str, str], None]


@dataclass
class SimulatedGateway(Listens, GivesBack, Lists):
    """What both have: sessions, takings, returns, disputes, and signed events."""

    clock: Callable[[], datetime]
    tell: Tell
    stream: Callable[..., random.Random]
    sessions: dict[str, Bill] = field(default_factory=dict)
    session_of: dict[uuid.UUID, str] = field(default_factory=dict)
    agreed: set[str] = field(default_factory=set)
    takings: dict[str, Taking] = field(default_factory=dict)
    paid_for: dict[uuid.UUID, str] = field(default_factory=dict)
    attempt_of: dict[str, uuid.UUID] = field(default_factory=dict)
    returns: dict[str, Return] = field(default_factory=dict)
    quarrels: dict[str, Quarrel] = field(default_factory=dict)
    saved: dict[str, Card] = field(default_factory=dict)
    is_down: bool = False
    #: Of a thousand.
    fee: ClassVar[int] = 25

    def begin(self, bill: Bill) -> Redirect:
        """Open a page for the customer, once for each attempt."""
        self._be_there()
        session = self.session_of.setdefault(bill.attempt_id, f"{self.name}-s{len(self.sessions) + 1}")
        self.sessions[session] = bill
        return Redirect(session, f"https://{self.name}.example/{session}")

    def verify(self, delivery: Delivery, *, now: datetime) -> Event:
        """Check who signed it, and when."""
        signature = delivery.headers.get("simulated-signature", "")
        if not hmac.compare_digest(signature, sign(delivery.body)):
            raise DeliveryRefused("The signature is wrong.")
        said = json.loads(delivery.body)
        if now - datetime.fromisoformat(said["at"]) > TOLERANCE:
            raise DeliveryRefused("The delivery is old.")
        return Event(event_id=said["id"], kind=said["kind"], subject=said["subject"])

    def look_up(self, subject: str) -> Sequence[Fact]:
        """Say how a session or a payment stands."""
        self._be_there()
        if subject in self.sessions:
            return self._of_session(subject)
        taking = self.takings.get(subject)
        return [] if taking is None else self._of_payment(taking)

    def refund(self, payment_reference: str, amount: Money, *, refund_id: uuid.UUID) -> Refunded:
        """Give money back: most at once, some later, some never."""
        self._be_there()
        known = next((one for one in self.returns.values() if one.refund_id == refund_id), None)
        if known is None:
            taking = self.takings[payment_reference]
            chance = self.stream("refund", self.name, payment_reference).random()
            outcome = Outcome.DONE if chance < 0.8 else Outcome.PENDING if chance < 0.93 else Outcome.FAILED
            if amount.minor > self.left_of(taking):
                outcome = Outcome.FAILED
            known = self._give_back(taking, amount.minor, outcome, refund_id)
        return self._refunded(known)

    def refund_now(self, reference: str, payment_reference: str) -> Refunded:
        """Say how a refund stands."""
        self._be_there()
        return self._refunded(self.returns[reference])

    def paid_since(self, since: datetime) -> Iterable[Paid]:
        """List what was taken."""
        self._be_there()
        return [self._paid(taking) for taking in self.takings.values() if taking.at >= since]

    # What customers and the gateway itself do.

    def agree(self, session: str) -> None:
        """Let the customer agree to pay; the money is taken when the shop says so."""
        self.agreed.add(session)
        self.tell(self.name, "agreed", session)

    def take(self, bill: Bill, *, unasked: bool = False) -> Taking:
        """Take the money of a bill, once, and tell the shop."""
        known = self.paid_for.get(bill.attempt_id)
        if known is not None:
            return self.takings[known]
        taking = Taking(
            reference=f"{self.name}-p{len(self.takings) + 1}", account_id=bill.account_id,
            invoice_id=bill.invoice_id, currency=bill.amount.currency, minor=bill.amount.minor,
            at=self.clock(), unasked=unasked,
        )  # fmt: skip
        self.takings[taking.reference] = taking
        self.paid_for[bill.attempt_id] = taking.reference
        self.attempt_of[taking.reference] = bill.attempt_id
        self.tell(self.name, "paid", taking.reference)
        return taking

    def give_back_itself(self, taking: Taking, minor: int) -> None:
        """Give a part back because somebody pressed the button at the gateway, not at the shop."""
        self._give_back(taking, minor, Outcome.DONE, None)
        self.tell(self.name, "refunded", taking.reference)

    def decide_refund(self, reference: str, outcome: Outcome) -> None:
        """Decide a refund that was pending."""
        self.returns[reference].outcome = outcome
        self.returns[reference].at = self.clock()
        self.tell(self.name, "refunded", self.returns[reference].taking.reference)

    def dispute(self, taking: Taking) -> Quarrel:
        """Hold the money of a payment that its payer contests."""
        quarrel = Quarrel(
            reference=f"{self.name}-d{len(self.quarrels) + 1}", taking=taking, verdict=Verdict.OPEN, at=self.clock()
        )  # fmt: skip
        self.quarrels[quarrel.reference] = quarrel
        self.tell(self.name, "disputed", taking.reference)
        return quarrel

    def decide_dispute(self, quarrel: Quarrel, verdict: Verdict) -> None:
        """Give the money to one side."""
        quarrel.verdict, quarrel.at = verdict, self.clock()
        self.tell(self.name, "disputed", quarrel.taking.reference)

    def left_of(self, taking: Taking) -> int:
        """Return how much of a payment was neither given back nor contested."""
        gone = sum(
            one.minor
            for one in self.returns.values()
            if one.taking is taking and one.outcome is not Outcome.FAILED
        )
        return 0 if any(one.taking is taking for one in self.quarrels.values()) else taking.minor - gone

    def _give_back(self, taking: Taking, minor: int, outcome: Outcome, refund_id: uuid.UUID | None) -> Return:
        one = Return(
            reference=f"{self.name}-r{len(self.returns) + 1}", taking=taking, minor=minor, outcome=outcome,
            refund_id=refund_id, at=self.clock(),
        )  # fmt: skip
        self.returns[one.reference] = one
        return one

    def _of_session(self, session: str) -> list[Fact]:
        bill = self.sessions[session]
        reference = self.paid_for.get(bill.attempt_id)
        if reference is not None:
            return self._of_payment(self.takings[reference])
        return [Pending(attempt_id=bill.attempt_id, to_capture=session if session in self.agreed else "")]

    def _of_payment(self, taking: Taking) -> list[Fact]:
        facts: list[Fact] = [self._paid(taking)]
        facts += [self._refunded(one) for one in self.returns.values() if one.taking is taking]
        facts += [
            Disputed(
                reference=one.reference, payment_reference=taking.reference,
                amount=Money(taking.minor, taking.currency), verdict=one.verdict, reason="fraudulent",
            )
            for one in self.quarrels.values() if one.taking is taking
        ]  # fmt: skip
        return facts

    def _paid(self, taking: Taking) -> Paid:
        amount = Money(taking.minor, taking.currency)
        return Paid(
            reference=taking.reference, amount=amount, attempt_id=self.attempt_of[taking.reference],
            method=self._method_of(taking), fee=amount.times(Fraction(self.fee, 1000)),
        )  # fmt: skip

    def _method_of(self, taking: Taking) -> Method | None:
        return None

    def _refunded(self, one: Return) -> Refunded:
        return Refunded(
            reference=one.reference, payment_reference=one.taking.reference,
            amount=Money(one.minor, one.taking.currency), outcome=one.outcome, refund_id=one.refund_id,
            problem="the account was closed" if one.outcome is Outcome.FAILED else "",
        )  # fmt: skip

    def _be_there(self) -> None:
        if self.is_down:
            raise GatewayUnavailable(f"The gateway {self.name} does not answer.")


def delivery(event_id: str, kind: str, subject: str, *, at: datetime, key: bytes = KEY) -> Delivery:
    """Return an event as it is delivered, signed."""
    body = json.dumps({"id": event_id, "kind": kind, "subject": subject, "at": at.isoformat()}).encode()
    return Delivery({"simulated-signature": sign(body, key)}, body)


def sign(body: bytes, key: bytes = KEY) -> str:
    """Return the signature of a body."""
    return hmac.new(key, body, hashlib.sha256).hexdigest()
