"""A shop with one location, its dom0s and something to sell; what tests of orders begin with."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing.models import Order
from domus.catalog.models import OsTemplate, Price
from domus.db.engine import Database
from domus.inventory.models import Dom0, Location
from domus.provisioning.models import Job
from domus.vps import queries
from domus.vps.models import Vps
from domus.workflows import orders
from domus.workflows.orders import OrderRequest
from tests.support.builders import (
    NOW,
    make_dom0,
    make_location,
    make_pool_with_addresses,
    make_product_with_price,
    make_template,
)
from tests.support.fake_dom0 import FakeDom0
from tests.support.people import People, make_people

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEeZ7Yj0V4ZQnQbX0xk1m2B4uG3m3l8J5h0y6wFq9JcT alice@example.org"

HOLD = timedelta(hours=24)

_references = itertools.count(1)


@dataclass
class Shop:
    """The rows, and the steps of an order in one call each."""

    db: Database
    people: People
    location: Location
    price: Price
    template: OsTemplate
    dom0s: list[Dom0]
    machines: list[FakeDom0] = field(default_factory=list)

    @property
    def machine(self) -> FakeDom0:
        """Return the first dom0 as it acts."""
        return self.machines[0]

    def request(self, **changes: Any) -> OrderRequest:
        """Return a filled-in form."""
        fields = {
            "account_id": self.people.acme.id,
            "price_id": self.price.id,
            "location_id": self.location.id,
            "template_id": self.template.id,
            "hostname": "www.example.org",
            "ssh_keys": SSH_KEY,
            "root_password": None,
            "request_token": uuid.uuid4().hex,
        }
        return OrderRequest(**fields | changes)

    def order(self, *, now: datetime = NOW, actor: Actor | None = None, **changes: Any) -> Order:
        """Place an order."""
        request = self.request(**changes)
        return orders.place(self.db, request, actor=actor or self.people.as_alice, now=now, hold=HOLD)

    def pay(self, order: Order, *, now: datetime = NOW, reference: str | None = None) -> Order:
        """Pay an order."""
        return orders.pay_with_test_gateway(
            self.db,
            order_id=order.id,
            reference=reference or f"test-{next(_references)}",
            actor=self.people.as_alice,
            now=now,
        )

    def paid(self, *, now: datetime = NOW, **changes: Any) -> Vps:
        """Place and pay an order, unless a coupon left nothing to pay; return its VPS."""
        order = self.order(now=now, **changes)
        return self.vps_of(self.pay(order, now=now) if order.invoice.gross else order)

    def active(self, *, now: datetime = NOW, **changes: Any) -> Vps:
        """Bring an order to its running VPS on the first dom0."""
        vps = self.paid(now=now, **changes)
        self.machine.run(now)
        self.machine.end_installs()
        self.machine.run(now + timedelta(minutes=2))
        return self.vps(vps.id)

    def failed(self, *, error: str = "disk full", now: datetime = NOW) -> Vps:
        """Bring an order to an installation that failed."""
        vps = self.paid(now=now)
        self.machine.run(now)
        self.machine.end_installs(error=error)
        self.machine.run(now + timedelta(minutes=2))
        return self.vps(vps.id)

    def vps_of(self, order: Order) -> Vps:
        """Return the VPS of an order as it is now."""
        with self.db.reading() as session:
            vps_id = session.scalars(sa.select(Vps.id).where(Vps.order_id == order.id)).one()
        return self.vps(vps_id)

    def vps(self, vps_id: uuid.UUID) -> Vps:
        """Return a VPS as it is now."""
        with self.db.reading() as session:
            return queries.get(session, vps_id, actor=Actor.system("test"))

    def jobs(self, vps_id: uuid.UUID) -> list[Job]:
        """Return the jobs of a VPS, the oldest first."""
        with self.db.reading() as session:
            query = sa.select(Job).where(Job.vps_id == vps_id).order_by(Job.revision)
            return list(session.scalars(query))

    def dom0(self) -> Dom0:
        """Return the first dom0 as it is now."""
        with self.db.reading() as session:
            return session.get_one(Dom0, self.dom0s[0].id)


def make_shop(db: Database, *, dom0s: int = 1, addresses: int = 10, **dom0_columns: Any) -> Shop:
    """Open a shop that sells one product of 512 MiB in one location."""
    location = make_location(db)
    make_pool_with_addresses(db, location, count=addresses)
    rows = [make_dom0(db, location, **dom0_columns) for _ in range(dom0s)]
    return Shop(
        db=db,
        people=make_people(db),
        location=location,
        price=make_product_with_price(db),
        template=make_template(db),
        dom0s=rows,
        machines=[FakeDom0(db, row.minion_id) for row in rows],
    )
