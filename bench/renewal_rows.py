"""A business of many contracts, written straight into the tables: what a benchmark of renewals begins with."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing import ledger
from domus.billing.models import LedgerEntry, LedgerTransaction, Order, OrderState, Subscription
from domus.catalog.models import InstallMethod, OsTemplate, Price, Product
from domus.db.engine import Database
from domus.inventory.models import Dom0, Hypervisor, Location, StorageBackend
from domus.vps.models import Power, Vps, VpsState

#: The day on which all of them are due, and the day on which they run out.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUNS_OUT = date(2026, 11, 30)
AMOUNT_MINOR = 1000
CHUNK = 5000


def make_business(db: Database, contracts: int) -> None:
    """Write so many accounts with prepaid money for one period, each with one VPS whose contract runs out."""
    with db.unit_of_work() as session:
        shared = _shared(session)
    for first in range(1, contracts + 1, CHUNK):
        numbers = range(first, min(first + CHUNK, contracts + 1))
        with db.unit_of_work() as session:
            _contracts(session, numbers, shared)
    if db.is_postgresql:
        with db.unit_of_work() as session:
            for table in ("account", "subscription", "ledger_transaction"):
                sequence = sa.func.pg_get_serial_sequence(table, "id")
                session.execute(sa.select(sa.func.setval(sequence, contracts)))


def _shared(session: Session) -> dict[str, int]:
    product = Product(name="VPS", memory_mib=512, disk_mib=10240, created_at=NOW)
    location = Location(name="Bench", country="DE")
    template = OsTemplate(name="debian", title="Debian", method=InstallMethod.IMAGE, release="bookworm")
    session.add_all([product, location, template])
    session.flush()
    price = Price(product_id=product.id, period_text="0000-01-00", currency="EUR", amount_minor=AMOUNT_MINOR)
    dom0 = Dom0(
        minion_id="dom0-bench", location_id=location.id, hypervisor=Hypervisor.SIMULATED,
        storage_backend=StorageBackend.SIMULATED, memory_capacity_mib=1, disk_capacity_mib=1, vcpus_capacity=1,
    )  # fmt: skip
    session.add_all([price, dom0])
    session.flush()
    return {"product": product.id, "price": price.id, "template": template.id, "dom0": dom0.id}


def _contracts(session: Session, numbers: range, shared: dict[str, int]) -> None:
    orders = {number: uuid.uuid4() for number in numbers}
    _add(
        session, Account, numbers,
        lambda n: {
            "id": n, "name": f"Customer {n}", "email": f"customer{n}@example.org", "country": "DE",
            "created_at": NOW,
        },
    )  # fmt: skip
    _add(
        session, Order, numbers,
        lambda n: {
            "id": orders[n], "number": n, "account_id": n, "price_id": shared["price"], "state": OrderState.FULFILLED,
            "request_token": str(n), "placed_at": NOW, "hold_until": NOW,
        },
    )  # fmt: skip
    _add(
        session, Vps, numbers,
        lambda n: {
            "id": (key := uuid.uuid4()), "name": f"vps-{key.hex[:24]}", "account_id": n, "order_id": orders[n],
            "product_id": shared["product"], "template_id": shared["template"], "dom0_id": shared["dom0"],
            "state": VpsState.ACTIVE, "state_since": NOW, "created_at": NOW, "hostname": f"host{n}.example.org",
            "memory_mib": 512, "vcpus": 1, "cpu_weight": 256, "cpu_cap_percent": 0, "wanted_power": Power.RUNNING,
        },
    )  # fmt: skip
    _add(
        session, Subscription, numbers,
        lambda n: {
            "id": n, "account_id": n, "order_id": orders[n], "price_id": shared["price"],
            "started_on": date(2026, 10, 30), "anchor_day": 30, "paid_until": RUNS_OUT,
        },
    )  # fmt: skip
    _add(
        session, LedgerTransaction, numbers,
        lambda n: {"id": n, "at": NOW, "kind": "payment", "reference": f"prepaid:{n}", "actor": "bench", "details": {}},
    )  # fmt: skip
    for account, sign in (("cash:bench", 1), ("", -1)):
        _add(
            session, LedgerEntry, numbers,
            lambda n, account=account, sign=sign: {
                "transaction_id": n, "ledger_account": account or ledger.balance(n), "currency": "EUR",
                "amount_minor": sign * AMOUNT_MINOR,
            },
        )  # fmt: skip


def _add(session: Session, model: Any, numbers: range, row: Callable[[int], dict[str, Any]]) -> None:
    session.execute(sa.insert(model), [row(number) for number in numbers])
