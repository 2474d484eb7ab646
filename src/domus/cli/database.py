"""``domus db`` and ``domus ledger``."""

from __future__ import annotations

import sys

import click

from domus.cli.context import opened_database, url
from domus.db import migrate
from domus.workflows import billing


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Bring the database to the schema of this release. Doing it again changes nothing."""
    before = migrate.current(url())
    migrate.upgrade(url())
    after = migrate.current(url())
    click.echo(
        f"The database is at revision {after} already."
        if before == after
        else f"Upgraded from {before or 'nothing'} to {after}."
    )


@db.command()
def check() -> None:
    """Tell whether the database has the schema of this release."""
    migrate.check(url())
    click.echo(f"The database is at revision {migrate.newest()}, as this release needs.")


@click.group()
def ledger() -> None:
    """Look after the books."""


@ledger.command("check")
def check_ledger() -> None:
    """Compare the ledger with itself and with the invoices and payments; exit 1 when something does not agree."""
    with opened_database() as database:
        problems = billing.check_ledger(database)
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(1)
    click.echo("The books agree.")
