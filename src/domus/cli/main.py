"""The ``domus`` command: for operators at a shell, and for scripts.

Each command parses, calls one workflow and prints. A refusal is one line on standard error and exit code 1, wrong usage
is exit code 2, and a fault of Domus itself keeps its traceback.
"""

from __future__ import annotations

import sys

import click
from sqlalchemy.exc import OperationalError

from domus.cli import (
    bank,
    catalog,
    commissions,
    contracts,
    coupons,
    database,
    documents,
    gateways,
    listings,
    mail,
    people,
    renewals,
    seeding,
    simulate,
    suspensions,
)
from domus.core.errors import DomusError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="domus")
def cli() -> None:
    """Run a VPS hosting business. The database is named by DOMUS_DATABASE_URL or DOMUS_DATABASE_URL_FILE."""


for group in (
    bank.bank,
    catalog.catalog,
    commissions.commission,
    contracts.contract,
    coupons.coupon,
    database.db,
    database.ledger,
    documents.invoice,
    gateways.gateway,
    mail.mail,
    people.operator,
    renewals.renewals,
    listings.order,
    listings.vps,
    listings.job,
    listings.dom0,
):
    cli.add_command(group)
suspensions.add_to(listings.vps)
cli.add_command(listings.capacity)
cli.add_command(seeding.seed)
cli.add_command(simulate.simulate)


def main() -> None:
    """Run the command line and turn refusals into one line and an exit code."""
    try:
        cli(prog_name="domus")
    except DomusError as error:
        _fail(str(error))
    except OperationalError as error:
        # Its own text carries the statement; the driver's says what is wrong, and never the password.
        _fail(f"The database cannot be used: {' '.join(str(error.orig).split())}")


def _fail(message: str) -> None:
    click.echo(f"domus: {message}", err=True)
    sys.exit(1)
