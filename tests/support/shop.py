"""A shop that is open: a product, places and an operating system, and orders brought to any point of their way."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.accounts.models import User
from domus.billing.models import CreditNote, Order
from domus.catalog.models import OsTemplate, Price
from domus.core.clock import iso_z, utc_now
from domus.db.engine import Database
from domus.inventory.models import Dom0, Location
from domus.vps.models import Vps
from domus.workflows import orders, work
from domus.workflows.orders import OrderRequest
from tests.support import builders
from tests.support.panel import SSH_KEY

STEPS = (
    ("volumes", "Making the volumes"),
    ("unpack", "Installing packages"),
    ("customise", "Configuring it"),
)


@dataclass(frozen=True)
class Shop:
    """What is sold, and the machine it runs on."""

    db: Database
    location: Location
    dom0: Dom0
    price: Price
    renewal: Price
    template: OsTemplate

    def order(self, user: User, hostname: str = "www.example.org", **changes: Any) -> Order:
        """Place an order; it waits for its money."""
        assert user.account_id is not None
        fields: dict[str, Any] = {
            "account_id": user.account_id,
            "price_id": self.price.id,
            "location_id": self.location.id,
            "template_id": self.template.id,
            "hostname": hostname,
            "ssh_keys": SSH_KEY,
            "root_password": None,
            "request_token": uuid.uuid4().hex,
        }
        request = OrderRequest(**fields | changes)
        return orders.place(self.db, request, actor=Actor.of(user), now=utc_now(), hold=timedelta(hours=24))

    def paid(self, user: User, **changes: Any) -> Order:
        """Place an order and pay it; its VPS is being made."""
        order = self.order(user, **changes)
        return orders.pay_with_test_gateway(
            self.db, order_id=order.id, reference=str(order.id), actor=Actor.of(user), now=utc_now()
        )

    def credit_note(self, user: User) -> CreditNote:
        """Place an order, pay it and give the money back."""
        order = self.paid(user, hostname="refunded.example.org")
        orders.refund(self.db, order_id=order.id, actor=Actor.system("test"), reason="test", now=utc_now())
        with self.db.reading() as session:
            return session.scalars(
                sa.select(CreditNote).where(CreditNote.invoice_id == order.invoice.id)
            ).one()

    def delivered(self, user: User, **changes: Any) -> Order:
        """Place an order, pay it, and let the dom0 make its VPS."""
        order = self.paid(user, **changes)
        self.says_installed(order)
        self.says_running(order)
        return order

    def failed(self, user: User, error: str = "The mirror did not answer.") -> Order:
        """Place an order, pay it, and let the installation fail."""
        order = self.paid(user)
        self.says_job(order, state="failed", step="unpack", percent=40, error=error)
        return order

    def vps(self, order: Order) -> Vps:
        """Return the order's VPS as it stands."""
        with self.db.reading() as session:
            return session.scalars(sa.select(Vps).where(Vps.order_id == order.id)).one()

    def says_job(self, order: Order, **changes: Any) -> None:
        """Let the dom0 report its installation job (``docs/contracts.md`` 3)."""
        vps = self.vps(order)
        at = iso_z(utc_now())
        job: dict[str, Any] = {
            "uuid": str(vps.id), "name": vps.name, "install_id": str(vps.install_id), "kind": "install",
            "state": "running", "step": "unpack", "percent": 40, "error": None, "attempt": vps.install_attempt,
            "tries": 1, "queued_at": at, "started_at": at, "finished_at": None, "log_tail": ["I: unpacking"],
        }  # fmt: skip
        job |= changes
        if job["state"] in ("done", "failed"):
            job["finished_at"] = at
        job.setdefault("steps", _steps(job["step"], job["state"]))
        work.record_jobs(self.db, minion_id=self.dom0.minion_id, jobs=[job], now=utc_now())

    def says_installed(self, order: Order) -> None:
        """Let the dom0 report that the operating system is on the disk."""
        self.says_job(order, state="done", step=None, percent=100)

    def says_running(self, order: Order, power: str = "running") -> None:
        """Let the dom0 report that what is wanted holds."""
        vps = self.vps(order)
        entry = {
            "name": vps.name, "revision": vps.revision, "seen_revision": vps.revision, "power": power,
            "power_reason": "" if power == "running" else "shutdown", "boot_serial": vps.boot_serial,
            "install": None, "problem": None, "removed_token": None,
        }  # fmt: skip
        report = {
            "schema_version": 1, "minion_id": self.dom0.minion_id, "boot_id": str(uuid.uuid4()),
            "at": iso_z(utc_now()), "capacity": {}, "vps": {str(vps.id): entry}, "unknown": [],
        }  # fmt: skip
        work.record_report(self.db, minion_id=self.dom0.minion_id, report=report, now=utc_now())


def open_shop(db: Database, **dom0: Any) -> Shop:
    """Fill the database with one location, dom0, pool, product with a renewal, and operating system."""
    location = builders.make_location(db, name="Paris")
    machine = builders.make_dom0(db, location, **dom0)
    builders.make_pool_with_addresses(db, location, count=40)
    price = builders.make_product_with_price(
        db, name="VPS Small", price={"amount_minor": 1000, "setup_fee_minor": 250}
    )
    renewal = builders.make_price(db, price.product, amount_minor=900, renewal_of_id=price.id)
    template = builders.make_template(db)
    return Shop(db, location, machine, price, renewal, template)


def _steps(step: str | None, state: str) -> list[dict[str, Any]]:
    names = [name for name, _ in STEPS]
    reached = len(STEPS) if step is None else names.index(step)
    return [
        {
            "name": name,
            "title": title,
            "state": "done" if number < reached else state if number == reached else "waiting",
            "seconds": 1.2 if number < reached else None,
        }
        for number, (name, title) in enumerate(STEPS)
    ]
