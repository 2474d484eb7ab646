"""``domus order``, ``vps``, ``job``, ``dom0`` and ``capacity``: the same lists as the Salt runners give."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from domus.cli.context import opened_database
from domus.core.errors import InvalidInput
from domus.core.texts import visible
from domus.workflows import listings

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, with every column.")
limited = click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many."
)
in_state = click.option("--state", help="Only those in this state.")


@click.group()
def order() -> None:
    """Look at orders."""


@order.command("list")
@in_state
@limited
@as_json
def list_orders(state: str | None, limit: int, as_json: bool) -> None:
    """List the newest orders."""
    with opened_database() as database:
        rows = listings.orders(database, state=state, limit=limit)
    _print(
        rows, ("number", "state", "account", "product", "amount", "vps", "vps_state", "placed_at"), as_json
    )


@order.command("show")
@click.argument("order_id")
def show_order(order_id: str) -> None:
    """Print what became of one order, as JSON."""
    try:
        parsed = uuid.UUID(order_id)
    except ValueError:
        raise InvalidInput(
            f"{order_id!r} is not the id of an order; `domus order list --json` shows them."
        ) from None
    with opened_database() as database:
        click.echo(json.dumps(listings.order_status(database, parsed)))


@click.group()
def vps() -> None:
    """Look at VPSs."""


@vps.command("list")
@in_state
@click.option("--dom0", help="Only those on this dom0.")
@limited
@as_json
def list_vps(state: str | None, dom0: str | None, limit: int, as_json: bool) -> None:
    """List the newest VPSs."""
    with opened_database() as database:
        rows = listings.vps(database, state=state, dom0=dom0, limit=limit)
    _print(rows, ("name", "shown", "dom0", "addresses", "hostname", "account", "product", "problem"), as_json)


@click.group()
def job() -> None:
    """Look at jobs."""


@job.command("list")
@in_state
@limited
@as_json
def list_jobs(state: str | None, limit: int, as_json: bool) -> None:
    """List the newest jobs."""
    with opened_database() as database:
        rows = listings.jobs(database, state=state, limit=limit)
    _print(rows, ("vps", "dom0", "kind", "state", "percent", "step", "note", "error", "created_at"), as_json)


@click.group()
def dom0() -> None:
    """Look at dom0s."""


@dom0.command("list")
@as_json
def list_dom0s(as_json: bool) -> None:
    """List the dom0s with what is taken of them."""
    with opened_database() as database:
        rows = listings.dom0s(database)
    columns = ("memory_reserved_mib", "memory_capacity_mib", "disk_reserved_mib", "disk_capacity_mib")
    _print(rows, ("dom0", "location", "state", "hypervisor", *columns, "seen_at", "problem"), as_json)


@click.command()
@as_json
def capacity(as_json: bool) -> None:
    """Tell how many VPSs of each product can still be sold where."""
    with opened_database() as database:
        rows = listings.capacity(database)
    _print(rows, ("location", "ipv4_free", "ipv6_free", "places"), as_json)


def _print(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(*(column.replace("_", " ") for column in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    # Names that customers chose are shown as they are: no markup, no emoji, no highlighting.
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return visible(", ".join(f"{key} {number}" for key, number in value.items()))
    if isinstance(value, list):
        return visible(", ".join(map(str, value)))
    return "" if value is None else visible(str(value))
