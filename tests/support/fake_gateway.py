"""A gateway in memory that does all that one can do; what it says is put into it by the test."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domus.billing.models import Invoice
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways import attempts
from domus.gateways.interface import (
    Bill,
    Charges,
    Declined,
    Delivery,
    DeliveryRefused,
    Event,
    Fact,
    GatewayUnavailable,
    GivesBack,
    Listens,
    Method,
    Outcome,
    Paid,
    Pending,
    Redirect,
    Refunded,
)
from domus.gateways.models import AttemptKind, PaymentAttempt, SavedMethod
from tests.support.builders import NOW

KEY = b"shared with the tests"
CARD = Method(customer="cus-1", method="card-1", label="Visa ending in 4242")


@dataclass
class FakeGateway(Listens, Charges, GivesBack):
    """Takes what it is asked, remembers it by its key, and answers from ``facts``."""

    name = "fake"
    title = "Pay with the fake"
    hint = "For tests."
    origins = ("https://fake.example",)

    facts: dict[str, list[Fact]] = field(default_factory=dict)
    bills: dict[uuid.UUID, Bill] = field(default_factory=dict)
    charged: dict[uuid.UUID, Paid] = field(default_factory=dict)
    refunds: dict[uuid.UUID, Money] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    silent: bool = False
    """Does what it is asked, and the answer is lost."""
    down: bool = False
    declines: str = ""
    refuses_refunds: str = ""
    refunds_wait: bool = False

    def begin(self, bill: Bill) -> Redirect:
        self._be_there()
        self.bills[bill.attempt_id] = bill
        return Redirect(f"session-{bill.attempt_id}", f"https://fake.example/{bill.attempt_id}")

    def begin_saving(self, bill: Bill) -> Redirect:
        return self.begin(bill)

    def pays(self, amount: Money, *, reference: str = "pay-1", keep: bool = False) -> Paid:
        """Let the customer pay the newest bill; return the fact, which is also what the gateway then says."""
        bill = list(self.bills.values())[-1]
        paid = Paid(
            reference=reference, amount=amount, attempt_id=bill.attempt_id, method=CARD if keep else None
        )
        self.facts[reference] = self.facts[f"session-{bill.attempt_id}"] = [paid]
        return paid

    def verify(self, delivery: Delivery, *, now: datetime) -> Event:
        expected = hmac.new(KEY, delivery.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(delivery.headers.get("fake-signature", ""), expected):
            raise DeliveryRefused("The signature is wrong.")
        said = json.loads(delivery.body)
        return Event(event_id=said["id"], kind=said["kind"], subject=said["subject"])

    def look_up(self, subject: str) -> Sequence[Fact]:
        self._be_there()
        return self.facts.get(subject, [])

    def charge(self, method: Method, bill: Bill) -> Paid | Pending | Declined:
        self._be_there()
        if self.declines:
            return Declined(attempt_id=bill.attempt_id, reason=self.declines)
        paid = self.charged.setdefault(
            bill.attempt_id,
            Paid(reference=f"charge-{bill.attempt_id}", amount=bill.amount, attempt_id=bill.attempt_id),
        )
        if self.silent:
            raise GatewayUnavailable("The answer was lost.")
        return paid

    def find(self, method: Method, attempt_id: uuid.UUID, *, since: datetime) -> Paid | None:
        self._be_there()
        return self.charged.get(attempt_id)

    def forget(self, method: Method) -> None:
        self.forgotten.append(method.method)

    def refund(self, payment_reference: str, amount: Money, *, refund_id: uuid.UUID) -> Refunded:
        self._be_there()
        outcome = Outcome.FAILED if self.refuses_refunds else Outcome.DONE
        if outcome is Outcome.DONE:
            self.refunds[refund_id] = amount
            outcome = Outcome.PENDING if self.refunds_wait else Outcome.DONE
        if self.silent:
            raise GatewayUnavailable("The answer was lost.")
        return Refunded(
            reference=f"refund-{refund_id}",
            payment_reference=payment_reference,
            amount=amount,
            outcome=outcome,
            refund_id=refund_id,
            problem=self.refuses_refunds,
        )

    def refund_now(self, reference: str, payment_reference: str) -> Refunded:
        self._be_there()
        refund_id = uuid.UUID(reference.removeprefix("refund-"))
        return Refunded(
            reference=reference,
            payment_reference=payment_reference,
            amount=self.refunds[refund_id],
            outcome=Outcome.PENDING if self.refunds_wait else Outcome.DONE,
            refund_id=refund_id,
        )

    def _be_there(self) -> None:
        if self.down:
            raise GatewayUnavailable("Nobody answers.")


def delivery(subject: str, *, event_id: str = "event-1", kind: str = "payment", key: bytes = KEY) -> Delivery:
    """Return what the fake delivers."""
    body = json.dumps({"id": event_id, "kind": kind, "subject": subject}).encode()
    return Delivery({"fake-signature": hmac.new(key, body, hashlib.sha256).hexdigest()}, body)


def make_attempt(db: Database, invoice: Invoice) -> PaymentAttempt:
    """Write an attempt to pay an invoice through the fake, which is open."""
    with db.unit_of_work() as session:
        return attempts.open_attempt(
            session, account_id=invoice.account_id, invoice_id=invoice.id, gateway="fake",
            kind=AttemptKind.PAY, amount=invoice.gross, now=NOW,
        )  # fmt: skip


def make_saved_method(db: Database, account_id: int, **columns: Any) -> SavedMethod:
    """Write a card that the fake can charge."""
    row = SavedMethod(
        **{
            "account_id": account_id, "gateway": "fake", "customer": CARD.customer, "method": CARD.method,
            "label": CARD.label, "created_at": NOW,
        } | columns
    )  # fmt: skip
    with db.unit_of_work() as session:
        session.add(row)
    return row
