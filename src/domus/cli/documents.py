"""``domus invoice``."""

from __future__ import annotations

import click

from domus.cli.context import opened_database, shell_actor
from domus.workflows import invoices


@click.group()
def invoice() -> None:
    """Look after invoices."""


@invoice.command()
@click.option("--month", required=True, help="Which month, such as 2026-11, in UTC.")
def export(month: str) -> None:
    """Print the invoices and credit notes of a month as CSV, for the accountant."""
    with opened_database() as database:
        click.echo(invoices.month_as_csv(database, month=month, actor=shell_actor()), nl=False)
