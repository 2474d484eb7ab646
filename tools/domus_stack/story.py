"""The product's main job, told once: somebody orders a VPS at the panel, pays, and it runs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from domus.db.engine import Database
from domus.workflows import listings
from domus_stack.customer import Credentials, Customer
from domus_stack.errors import StackError

LOOK_EVERY_SECONDS = 0.1

Show = Callable[[str, int], None]


def order_and_pay(customer: Customer, **wishes: Any) -> str:
    """Order as a customer does, pay at the test gateway, and return the order's id."""
    order_id = customer.order(**wishes)
    customer.pay(order_id)
    return order_id


def follow(db: Database, order_id: str, show: Show, *, seconds: float) -> dict[str, Any]:
    """Show how far an order is until its VPS runs; raise StackError when that fails or takes too long."""
    deadline = time.monotonic() + seconds
    shown: tuple[str, int] | None = None
    while True:
        status = listings.order_status(db, uuid.UUID(order_id))
        job = listings.newest_job(db, uuid.UUID(status["vps"]))
        now_shown = (_sentence(status, job), job["percent"] if job else 0)
        if now_shown != shown:
            show(*now_shown)
            shown = now_shown
        if status["state"] == "active":
            return status
        if status["state"] == "provision_failed":
            raise StackError(f"the installation failed: {job['error'] if job else 'no reason given'}")
        if time.monotonic() > deadline:
            raise StackError(f"waited {seconds:.0f} s for the VPS to run; it was at: {now_shown[0]}")
        time.sleep(LOOK_EVERY_SECONDS)


def _sentence(status: dict[str, Any], job: dict[str, Any] | None) -> str:
    if status["state"] == "active":
        return "running"
    if job is None:
        return str(status["state"])
    return str(job["note"] or job["step"] or job["state"])


@contextmanager
def progress_on(console: Console, what: str) -> Iterator[Show]:
    """Yield a way to show progress: a bar on a terminal, else one plain line for each change."""
    if not console.is_terminal:

        def show_line(sentence: str, percent: int) -> None:
            console.print(f"  {percent:3d} %  {sentence}", markup=False, highlight=False)

        yield show_line
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=100)

        def show_bar(sentence: str, percent: int) -> None:
            progress.update(task, completed=percent, description=f"{what}: {sentence}")

        yield show_bar


def sign_in(url: str, name: str, credentials: Credentials, *, is_new: bool) -> Customer:
    """Return a customer with a log-in: a new account, or one from before."""
    customer = Customer(url)
    if is_new:
        customer.sign_up(name, credentials)
    else:
        customer.log_in(credentials)
    return customer
