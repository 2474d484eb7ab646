"""A whole Domus with simulated dom0s, made anew for a benchmark, and the words in which benchmarks speak of orders."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from bench.dom0_side import fresh_target
from domus.accounts.actor import Actor
from domus.catalog.models import OsTemplate, Price, Product
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.inventory.models import Location
from domus.vps.models import Vps, VpsState
from domus.workflows import accounts, orders, seeding
from domus_stack import Stack
from domus_stack.seed import SimulatedDom0, seed

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl bench@example.org"
HOLD = timedelta(hours=24)
LIMIT_SECONDS = 300.0
# The sample sells 241 places; benchmarks want more of them, and no IPv6 that runs out first.
PLACE = "Benchmark"
_PLACE = f"""
locations:
  - name: {PLACE}
    country: DE
    pools:
      - network: 10.0.0.0/16
        gateway: 10.0.0.1
        dns: [10.0.0.1]
        addresses: {{first: 10.0.1.0, last: 10.0.16.255}}
"""


@dataclass
class Shop:
    """A database with a customer who orders."""

    db: Database
    _actor: Actor = field(init=False)
    _choice: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        user = accounts.sign_up(
            self.db, name="Ada", email="ada@example.org", password=uuid.uuid4().hex,
            remote_address="127.0.0.1", now=utc_now(),
        )  # fmt: skip
        self._actor = Actor.of(user)
        with self.db.reading() as session:
            cheapest = sa.select(Price.id).join(Product).where(Price.renewal_of_id.is_(None))
            self._choice = (
                session.scalars(cheapest.order_by(Product.memory_mib, Price.id)).first() or 0,
                session.scalars(sa.select(Location.id).where(Location.name == PLACE)).one(),
                session.scalars(sa.select(OsTemplate.id).where(OsTemplate.name == "debian-12-image")).one(),
            )

    def place(self) -> uuid.UUID:
        """Place an order as the panel does and return its id."""
        price_id, location_id, template_id = self._choice
        request = orders.OrderRequest(
            account_id=self._actor.account_id or 0, price_id=price_id, location_id=location_id,
            template_id=template_id, hostname="bench.example.org", ssh_keys=SSH_KEY, root_password=None,
            request_token=uuid.uuid4().hex,
        )  # fmt: skip
        return orders.place(self.db, request, actor=self._actor, now=utc_now(), hold=HOLD).id

    def pay(self, order_id: uuid.UUID) -> None:
        """Pay an order as the test gateway does."""
        orders.pay_with_test_gateway(
            self.db, order_id=order_id, reference=str(order_id), actor=self._actor, now=utc_now()
        )

    def states(self, order_ids: Sequence[uuid.UUID]) -> dict[VpsState, int]:
        """Return how many of the orders' VPSs are in each state."""
        query = sa.select(Vps.state, sa.func.count()).where(Vps.order_id.in_(order_ids)).group_by(Vps.state)
        with self.db.reading() as session:
            return dict(map(tuple, session.execute(query)))


@dataclass
class House:
    """A running stack with its shop."""

    stack: Stack
    dom0s: Sequence[str]
    shop: Shop

    def wait_until_active(self, order_ids: Sequence[uuid.UUID]) -> None:
        """Wait until all of the orders' VPSs are handed over; raise RuntimeError when one is not in time."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while (states := self.shop.states(order_ids)).get(VpsState.ACTIVE) != len(order_ids):
            if VpsState.PROVISION_FAILED in states or time.monotonic() > deadline:
                raise RuntimeError(f"not all orders became VPSs: {states}\n{self.stack.explain()}")
            time.sleep(0.02)

    def domus_running(self) -> int:
        """Return how many domUs run, by the hypervisors' own word."""
        domus = [domu for dom0 in self.dom0s for domu in self.stack.salt.call(dom0, "domu.list")]
        return sum(domu["power"] == "running" for domu in domus)


def large_dom0(minion_id: str, install_seconds: float = 0.0) -> SimulatedDom0:
    """Return a simulated dom0 on which thousands of VPSs have room."""
    return SimulatedDom0(
        minion_id, PLACE, memory_mib=1 << 20, disk_mib=1 << 24, vcpus=4096,
        install_seconds=install_seconds, parallel_installs=4,
    )  # fmt: skip


def open_shop(db: Database, dom0s: Sequence[SimulatedDom0]) -> Shop:
    """Fill an empty database with a catalogue, addresses and dom0s."""
    seeding.seed(db, text=_PLACE, actor=Actor.system("bench"), now=utc_now())
    seed(db, dom0s)
    return Shop(db)


@contextmanager
def house(number_of_dom0s: int, *, install_seconds: float = 0.0) -> Iterator[House]:
    """Yield a house whose dom0s have nothing to do; it lies on a file system of its own and is gone afterwards."""
    dom0s = [large_dom0(f"dom0-{number}", install_seconds) for number in range(number_of_dom0s)]
    with fresh_target() as folder, running_stack(folder / "stack") as stack:
        shop = open_shop(stack.database, dom0s)
        for dom0 in dom0s:
            stack.add_minion(dom0.minion_id, simulated=dom0.minion_options())
        for dom0 in dom0s:
            stack.wait_for_dom0(dom0.minion_id, LIMIT_SECONDS)
        yield House(stack, [dom0.minion_id for dom0 in dom0s], shop)


@contextmanager
def running_stack(root: Path, *, domus_doors: bool = True) -> Iterator[Stack]:
    """Yield a stack with its master; without the doors that is Salt alone."""
    with Stack(root, domus_doors=domus_doors, say=lambda text: None) as stack:
        yield stack
