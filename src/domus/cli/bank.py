"""``domus bank``: statements of the bank, and the transfers whose invoice could not be told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.core.texts import visible
from domus.gateways.bank_transfer import from_env
from domus.gateways.models import LineState
from domus.workflows.payments import bank as payments_bank

_reason = click.option("--reason", required=True, help="Why: history keeps it.")


@click.group()
def bank() -> None:
    """Read statements of the bank, and assign what could not be told."""


@bank.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--currency", default="EUR", show_default=True, help="Of a CSV file without such a column.")
def import_file(file: Path, currency: str) -> None:
    """Read a statement, camt.053 or CSV, and book what names its invoice. The same lines again change nothing.

    With DOMUS_BANK_IBAN set, a statement of another account is refused. Exit 1 when transfers are left to be assigned.
    """
    own = from_env(os.environ)
    with opened_database() as database:
        done = payments_bank.import_statement(
            database,
            file.read_bytes(),
            file_name=file.name,
            own_iban="" if own is None else own.iban,
            currency=currency.upper(),
            actor=shell_actor(),
            now=utc_now(),
        )
    if done.is_known:
        click.echo("This very file was read before.")
    click.echo(
        f"{done.new} new lines, {done.known} known, {done.skipped} skipped (debits, or not booked yet); "
        f"{done.booked} booked, {done.unmatched} to be assigned."
    )
    if done.unmatched:
        sys.exit(1)


@bank.command("lines")
@click.option(
    "--state",
    type=click.Choice([state.value for state in LineState]),
    default=LineState.UNMATCHED.value,
    show_default=True,
)
def list_lines(state: str) -> None:
    """List transfers; unless told otherwise, those that are to be assigned."""
    with opened_database() as database:
        rows = payments_bank.lines(database, state=LineState(state), actor=shell_actor())
    table = Table("line", "day", "amount", "payer", "text", "note", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            str(row.id), f"{row.booked_on:%Y-%m-%d}", str(row.amount), visible(row.payer), visible(row.text), row.note
        )  # fmt: skip
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


@bank.command("assign")
@click.argument("line", type=int)
@click.option("--invoice", type=int, help="Id of the invoice that it pays.")
@click.option("--account", type=int, help="Id of the account whose balance it goes to.")
@_reason
def assign(line: int, invoice: int | None, account: int | None, reason: str) -> None:
    """Book an unmatched transfer."""
    with opened_database() as database:
        outcome = payments_bank.assign(
            database,
            line_id=line,
            invoice_id=invoice,
            account_id=account,
            reason=reason,
            actor=shell_actor(),
            now=utc_now(),
        )
    click.echo(f"{outcome}.")


@bank.command("set-aside")
@click.argument("line", type=int)
@_reason
def set_aside(line: int, reason: str) -> None:
    """Say that an unmatched transfer is not from a customer."""
    with opened_database() as database:
        payments_bank.set_aside(database, line_id=line, reason=reason, actor=shell_actor(), now=utc_now())
    click.echo(f"Line {line} is set aside.")
