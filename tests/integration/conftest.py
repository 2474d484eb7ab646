"""One Salt master, two simulated dom0s and a panel, started once for the tests of a file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.inventory.models import Location
from domus.workflows import listings, orders
from domus_stack import Stack
from domus_stack.customer import Credentials, Customer
from domus_stack.errors import StackError
from domus_stack.files import write_file
from domus_stack.seed import SimulatedDom0, seed
from tests.support.wait import wait_until

OPERATOR = Actor.system("test")
DOM0S = (
    SimulatedDom0("dom0-a", "Frankfurt", install_seconds=0.3, parallel_installs=8),
    SimulatedDom0("dom0-b", "Paris", install_seconds=0.3, parallel_installs=8),
)
LIMIT_SECONDS = 240
# What is published to a minion that is just coming up is lost: rather ask again than wait long.
ANSWER_SECONDS = 15


@dataclass
class World:
    """A running stack with a customer, and the words in which tests speak of orders."""

    stack: Stack
    customer: Customer = field(init=False)

    def __post_init__(self) -> None:
        self.customer = Customer(self.stack.panel.url)
        credentials = Credentials(f"ada-{uuid.uuid4()}@example.org", "correct horse battery")
        self.customer.sign_up("Ada", credentials)

    @property
    def db(self) -> Database:
        return self.stack.database

    def place(self, hostname: str = "www.example.org", *, location: str = "Frankfurt", **wishes: Any) -> str:
        """Order at the panel; return the order's id."""
        with self.db.reading() as session:
            location_id = session.scalars(sa.select(Location.id).where(Location.name == location)).one()
        wishes.setdefault("root_password", "correct horse battery")
        return self.customer.order(hostname=hostname, location_id=location_id, **wishes)

    def pay(self, order_id: str) -> None:
        self.customer.pay(order_id)

    def status(self, order_id: str) -> dict[str, Any]:
        return listings.order_status(self.db, uuid.UUID(order_id))

    def vps(self, order_id: str) -> dict[str, Any]:
        wanted = self.status(order_id)["vps"]
        return next(row for row in listings.vps(self.db, limit=10_000) if row["uuid"] == wanted)

    def job(self, order_id: str) -> dict[str, Any]:
        found = listings.newest_job(self.db, uuid.UUID(self.status(order_id)["vps"]))
        assert found is not None
        return found

    def wait_for(self, order_id: str, state: str, seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
        """Wait until the order's VPS is in a state, and return the status."""

        def reached() -> dict[str, Any] | None:
            status = self.status(order_id)
            return status if status["state"] == state else None

        found = wait_until(
            reached,
            f"the VPS to be {state}",
            seconds,
            explain=lambda: (
                f"{self.status(order_id)}\n{self.job(order_id)}\n{self.stack.explain(*(d.minion_id for d in DOM0S))}"
            ),
        )
        assert found is not None
        return found

    def refund(self, order_id: str) -> None:
        orders.refund(self.db, order_id=uuid.UUID(order_id), actor=OPERATOR, reason="test", now=utc_now())

    def order_fault(self, minion_id: str, operation: str, error: str, *, times: int = 1) -> None:
        """Make an operation of the simulated dom0 fail the next few times."""
        fault = {"operation": operation, "uuid": "*", "error": error, "times": times, "delay_seconds": 0}
        write_file(self._faults(minion_id), json.dumps([fault]))

    def forget_faults(self, minion_id: str) -> None:
        """Let the simulated dom0 work again."""
        write_file(self._faults(minion_id), "[]")

    def _faults(self, minion_id: str) -> Path:
        return self.stack.minion_folder(minion_id) / "state" / "simulated" / "faults.json"

    def domus_on(self, minion_id: str) -> dict[str, dict[str, Any]]:
        """Return the domUs that the dom0's hypervisor has, by uuid."""
        [listed] = wait_until(
            lambda: self._answers(minion_id, "domu.list"), f"{minion_id} to list its domUs", LIMIT_SECONDS
        )
        return {domu["uuid"]: domu for domu in listed}

    def _answers(self, minion_id: str, function: str) -> list[Any]:
        """Return the answer as a list of one; nothing when there was none."""
        try:
            return [self.stack.salt.call(minion_id, function, seconds=ANSWER_SECONDS)]
        except StackError:
            return []


def start_world(root: Path, *, database_url: str | None = None) -> Iterator[World]:
    """Start everything, and end it when the tests are done."""
    with Stack(root, database_url=database_url, say=lambda text: None) as stack:
        seed(stack.database, DOM0S)
        stack.start_panel()
        for dom0 in DOM0S:
            stack.add_minion(dom0.minion_id, simulated=dom0.minion_options())
        for dom0 in DOM0S:
            stack.wait_for_dom0(dom0.minion_id)
        yield World(stack)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Offer the world on SQLite."""
    yield from start_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Offer a wait with this folder's usual limit."""

    def wait(condition: Callable[[], Any], what: str, seconds: float = LIMIT_SECONDS) -> Any:
        return wait_until(condition, what, seconds)

    return wait
