"""What the lab's benchmarks share: a Domus with a real Xen dom0, its customer, and a clock that QEMU does not distort."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import sqlalchemy as sa

from bench.harness import LeftOut
from domus.accounts.actor import Actor
from domus.catalog.models import OsTemplate, Price, Product
from domus.core.clock import utc_now
from domus.inventory.models import Location
from domus.workflows import listings, orders, seeding
from domus_lab import LabError, LabMachine
from domus_lab.machine import GUEST_WAIT
from domus_lab.world import LOCATION, ORDER_KEY, LabWorld
from domus_stack.customer import Credentials, Customer, new_password
from domus_stack.story import follow
from domus_stack.waiting import wait_until

HOST_LIMIT_SECONDS = 3600.0
OPERATOR = Actor.system("bench")
SMALL_DOM0_MIB = 384


class Knock:
    """Waits in dom0 for the first greeting of a guest's sshd, and is ready before what is measured begins."""

    def __init__(self, dom0: LabMachine, address: str) -> None:
        script = f'print("ready", flush=True)\n{GUEST_WAIT}'
        argv = dom0.ssh.argv(["python3", "-u", "-c", script, address, "22", str(HOST_LIMIT_SECONDS)])
        self._address = address
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        self._line()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def answered(self) -> float:
        """Return when it answered, by this machine's monotonic clock; one ssh connection is kept for the news."""
        self._line()
        return time.monotonic()

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise LabError(f"the guest {self._address} did not answer within {HOST_LIMIT_SECONDS:.0f} s")
        return line


class LabHouse:
    """A world and its customer, in the words in which benchmarks speak of orders."""

    def __init__(self, world: LabWorld, product: str) -> None:
        self.world = world
        self.customer = Customer(world.stack.panel.url)
        self.customer.sign_up("Ada", Credentials(f"ada-{uuid.uuid4()}@example.org", new_password()))
        self._key = world.dom0.get(f"{ORDER_KEY}.pub").decode().strip()
        price = (
            sa.select(Price.id).join(Product).where(Product.name == product, Price.renewal_of_id.is_(None))
        )
        with world.stack.database.reading() as session:
            self._price_id = session.scalars(price).one()

    def place(self, template: str) -> str:
        """Order at the panel; return the order's id."""
        return self.customer.order(
            hostname=f"n{uuid.uuid4().hex[:8]}.example.org",
            ssh_keys=self._key,
            root_password=new_password(),
            price_id=self._price_id,
            location_id=self.world.id_of(Location, LOCATION),
            template_id=self.world.id_of(OsTemplate, template),
        )

    def status(self, order_id: str) -> dict[str, Any]:
        """Return what became of an order."""
        return listings.order_status(self.world.stack.database, uuid.UUID(order_id))

    def seconds_paid_to_ssh(self, template: str) -> float:
        """Order, pay, wait for its sshd, and remove it again; return the seconds from payment to greeting."""
        order_id = self.place(template)
        with Knock(self.world.dom0, str(self.status(order_id)["ipv4"])) as knock:
            started = time.monotonic()
            self.customer.pay(order_id)
            seconds = knock.answered() - started
        self.wait_until_active(order_id)
        self.remove([order_id])
        return seconds

    def wait_until_active(self, order_id: str) -> None:
        """Wait until the VPS was handed over; an installation that failed raises."""
        follow(
            self.world.stack.database, order_id, lambda sentence, percent: None, seconds=HOST_LIMIT_SECONDS
        )

    def remove(self, order_ids: list[str]) -> None:
        """Take VPSs away, without the days of grace that their disks have otherwise, and wait until they are gone."""
        with patch.object(orders, "REMOVAL_GRACE", timedelta(0)):
            for order_id in order_ids:
                orders.refund(
                    self.world.stack.database, order_id=uuid.UUID(order_id), actor=OPERATOR,
                    reason="measured", now=utc_now(),
                )  # fmt: skip
        for order_id in order_ids:
            wait_until(
                lambda order_id=order_id: self.status(order_id)["state"] == "removed",
                "the VPS to be removed",
                HOST_LIMIT_SECONDS,
                explain=lambda order_id=order_id: str(self.status(order_id)),
                interval=0.5,
            )


@contextmanager
def lab_house(*, product: str, catalogue: str = "", **wishes: Any) -> Iterator[LabHouse]:
    """Boot a dom0 and start Domus around it; ``catalogue`` is added to the sample, ``wishes`` are LabWorld's."""
    try:
        world = LabWorld(say=lambda text: None, boot_limit_seconds=HOST_LIMIT_SECONDS, **wishes)
        world.__enter__()
    except LabError as error:
        raise LeftOut(f"there is no lab here: {error}") from error
    try:
        if catalogue:
            seeding.seed(world.stack.database, text=catalogue, actor=OPERATOR, now=utc_now())
        yield LabHouse(world, product)
    finally:
        world.stop()
