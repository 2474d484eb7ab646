"""``domus invoice``."""

from __future__ import annotations

import os

import click

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.gateways.registry import gateways_from
from domus.workflows import invoices
from domus.workflows.contracts import refunding


@click.group()
def invoice() -> None:
    """Look after invoices."""


@invoice.command()
@click.option("--month", required=True, help="Which month, such as 2026-11, in UTC.")
def export(month: str) -> None:
    """Print the invoices and credit notes of a month as CSV, for the accountant."""
    with opened_database() as database:
        click.echo(invoices.month_as_csv(database, month=month, actor=shell_actor()), nl=False)


@invoice.command()
@click.argument("invoice_id", type=int)
@click.option("--amount", required=True, help="With tax, such as 12.50.")
@click.option("--send", is_flag=True, help="Send it back the way it came; otherwise it stays in the balance.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", required=True, help="Why: it stands on the credit note.")
def refund(invoice_id: int, amount: str, send: bool, yes: bool, reason: str) -> None:
    """Give a part of a paid invoice back, or all that is left. The invoice is named by its id."""
    gateways, actor = gateways_from(os.environ), shell_actor()
    with opened_database() as database:
        seen = refunding.look(database, gateways, invoice_id=invoice_id, actor=actor, now=utc_now())
        click.echo(f"{seen.left} are left of it; it was paid by {seen.gateway}.")
        if seen.paid_until is not None:
            click.echo(f"Given back whole, the contract is paid until {seen.paid_until[1]:%Y-%m-%d} only.")
        if not yes:
            click.confirm(f"Give {amount} back?", abort=True)
        note = refunding.refund(
            database, gateways, invoice_id=invoice_id, amount=amount, send=send, reason=reason, actor=actor,
            now=utc_now(),
        )  # fmt: skip
    click.echo(f"{note.gross} are given back by credit note {note}.")
