"""``domus gateway``: what is left to do with gateways, and whether they and the books agree."""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import click

from domus.cli.context import opened_database
from domus.core.clock import utc_now
from domus.gateways.interface import Charges, GivesBack, Listens, Lists
from domus.gateways.registry import gateways_from
from domus.workflows.payments import comparing, events


@click.group()
def gateway() -> None:
    """Look after the gateways. Their keys are read from the environment, as the panel does."""


@gateway.command("list")
def list_gateways() -> None:
    """List the gateways that are switched on, and what each can do."""
    abilities = ((Listens, "events"), (Charges, "saved cards"), (GivesBack, "refunds"), (Lists, "comparing"))
    for one in gateways_from(os.environ):
        can = [word for ability, word in abilities if isinstance(one, ability)]
        click.echo(f"{one.name}: {', '.join(can) or 'payments only'}")


@gateway.command("work")
def work() -> None:
    """Process events that wait, ask gateways for refunds that are due and for payments that nobody heard of.

    Let a timer call it every minute. Two at once do the work once.
    """
    with opened_database() as database:
        done = events.work(database, gateways_from(os.environ), now=utc_now())
    click.echo(
        f"{done.events} events, {done.refunds} refunds, {done.attempts} open payments; {done.failed} failed."
    )


@gateway.command("compare")
@click.option(
    "--days", default=3, show_default=True, type=click.IntRange(1, 90), help="How far back to look."
)
def compare(days: int) -> None:
    """Compare the books with what gateways took, both ways, and book what is missing; exit 1 when something differed."""
    now = utc_now()
    with opened_database() as database:
        found = comparing.compare(
            database, gateways_from(os.environ), since=now - timedelta(days=days), now=now
        )
    for sentence in found:
        click.echo(sentence)
    if found:
        sys.exit(1)
    click.echo("The books and the gateways agree.")
