"""A shop with a till: invoices to pay through a fake gateway, and what the books say afterwards."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domus.billing import ledger
from domus.billing.models import Invoice, Order, Payment
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways.models import GatewayEvent, PaymentAttempt
from domus.gateways.prepaid import Prepaid
from domus.gateways.registry import Gateways
from domus.workflows import billing, orders
from domus.workflows.payments import events as payments_events
from domus.workflows.payments import paying
from tests.support.builders import NOW
from tests.support.fake_gateway import FakeGateway, delivery
from tests.support.order_shop import Shop, make_shop


def urls(attempt_id: uuid.UUID) -> tuple[str, str]:
    return f"https://panel.example/{attempt_id}/done", f"https://panel.example/{attempt_id}/given-up"


@dataclass
class Till:
    """Alice's orders, the gateways, and the books."""

    shop: Shop
    fake: FakeGateway = field(default_factory=FakeGateway)
    gateways: Gateways = field(init=False)

    def __post_init__(self) -> None:
        self.gateways = Gateways(self.fake, Prepaid())

    @property
    def db(self) -> Database:
        return self.shop.db

    @property
    def account_id(self) -> int:
        return self.shop.people.acme.id

    def order(self) -> Order:
        """Place an order over 10.00 USD."""
        return self.shop.order()

    def begin(self, invoice: Invoice, *, gateway: str = "fake", now: datetime = NOW, **options: Any) -> Any:
        """Begin to pay."""
        return paying.begin(
            self.db,
            self.gateways,
            invoice_id=invoice.id,
            gateway=gateway,
            actor=self.shop.people.as_alice,
            now=now,
            urls=urls,
            **options,
        )

    def arrives(self, subject: str, *, event_id: str = "event-1", now: datetime = NOW) -> str:
        """Let an event arrive and be processed; return what came of it."""
        stored = payments_events.accept(
            self.db, self.gateways, "fake", delivery(subject, event_id=event_id), sender="192.0.2.1", now=now
        )
        if stored is None:
            return "known"
        return payments_events.process(self.db, self.gateways, stored, now=now)

    def pays(self, invoice: Invoice, amount: str = "10.00", *, reference: str = "pay-1") -> str:
        """Let Alice pay an invoice at the gateway; return what came of the event."""
        self.begin(invoice)
        self.fake.pays(usd(amount), reference=reference)
        return self.arrives(reference, event_id=f"event-{reference}")

    def prepay(self, amount: str, *, reference: str = "prepaid") -> None:
        """Let money arrive for an order that was cancelled meanwhile."""
        order = self.order()
        self.begin(order.invoice)
        orders.cancel(self.db, order_id=order.id, actor=self.shop.people.as_alice, now=NOW)
        self.fake.pays(usd(amount), reference=reference)
        self.arrives(reference, event_id=f"event-{reference}")

    def state(self, order: Order) -> tuple[str, str]:
        """Return the states of an order and its invoice."""
        with self.db.reading() as session:
            row = session.get_one(Order, order.id)
            return row.state.value, row.invoice.state.value

    def balance(self) -> str:
        """Return what Alice has prepaid."""
        with self.db.reading() as session:
            return str(ledger.balance_of(session, self.account_id, "USD"))

    def payments(self) -> list[tuple[str, str, bool]]:
        """Return (gateway, amount, whether it settled an invoice) of every payment."""
        with self.db.reading() as session:
            rows = session.scalars(sa.select(Payment).order_by(Payment.id))
            return [(row.gateway, str(row.amount), row.invoice_id is not None) for row in rows]

    def payment_ids(self) -> list[int]:
        """Return the ids of the payments, the oldest first."""
        with self.db.reading() as session:
            return list(session.scalars(sa.select(Payment.id).order_by(Payment.id)))

    def events(self) -> list[GatewayEvent]:
        """Return the stored events."""
        with self.db.reading() as session:
            return list(session.scalars(sa.select(GatewayEvent).order_by(GatewayEvent.id)))

    def attempts(self) -> list[PaymentAttempt]:
        """Return the attempts, the oldest first."""
        with self.db.reading() as session:
            return list(session.scalars(sa.select(PaymentAttempt).order_by(PaymentAttempt.created_at)))

    def assert_books_agree(self) -> None:
        """Fail when the ledger does not agree with itself, the invoices and the payments."""
        assert billing.check_ledger(self.db) == []


def usd(amount: str) -> Money:
    """Return dollars."""
    return Money.parse(amount, "USD")


def make_till(db: Database) -> Till:
    """Open a shop with a till."""
    return Till(make_shop(db))
