"""Changes of contracts for tests: larger and smaller products beside the shop's one, and what is agreed to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domus.billing.models import CreditNote
from domus.catalog.models import Price
from domus.contracts.models import ContractChange
from domus.core.money import Money
from domus.vps.models import Reservation, Vps
from domus.workflows import billing
from domus.workflows.contracts import changing
from domus.workflows.payments import paying
from tests.support.builders import NOW, make_product_with_price
from tests.support.order_shop import Shop

HOLD = timedelta(hours=24)


def make_offer(shop: Shop, minor: int, *, price: dict[str, Any] | None = None, **columns: Any) -> Price:
    """Put another product on sale for so much a month; twice the shop's memory and disk unless something else is said."""
    first = shop.price.product
    size = {"memory_mib": first.memory_mib * 2, "disk_mib": first.disk_mib * 2, "vcpus": first.vcpus + 1}
    return make_product_with_price(
        shop.db, price={"amount_minor": minor, **(price or {})}, **(size | columns)
    )


def agree(shop: Shop, vps: Vps, price: Price, *, now: datetime = NOW, **options: Any) -> ContractChange:
    """Agree to a change as the customer, whatever it costs."""
    chosen = {"actor": shop.people.as_alice, "shown": None, "hold": HOLD} | options
    return changing.agree(shop.db, vps_id=vps.id, price_id=price.id, now=now, **chosen)


def pay_change(shop: Shop, change: ContractChange, *, now: datetime = NOW) -> ContractChange:
    """Pay a change by the test gateway."""
    return changing.pay_with_test_gateway(shop.db, change_id=change.id, actor=shop.people.as_alice, now=now)


def reserved(shop: Shop, vps: Vps) -> tuple[int, int, int]:
    """Return the memory, disk and vCPUs that a VPS holds on its dom0."""
    with shop.db.reading() as session:
        row = session.get_one(Reservation, vps.id)
        return row.memory_mib, row.disk_mib, row.vcpus


def credit_notes(shop: Shop) -> list[CreditNote]:
    """Return all credit notes, the first one first."""
    with shop.db.reading() as session:
        return list(session.scalars(sa.select(CreditNote).order_by(CreditNote.id)))


def balance(shop: Shop) -> int:
    """Return what the customer has prepaid, in minor units."""
    found = paying.balances(shop.db, account_id=shop.people.acme.id, actor=shop.people.as_alice)
    return sum((one.minor for one in found), 0)


def books(shop: Shop) -> list[str]:
    """Return what is wrong with the books."""
    return billing.check_ledger(shop.db)


def usd(minor: int) -> Money:
    """Return an amount in the shop's currency."""
    return Money(minor, "USD")
