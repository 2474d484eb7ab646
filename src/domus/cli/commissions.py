"""``domus commission``: what is earned by bringing customers."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime

import click

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.core.texts import visible
from domus.db.engine import Database
from domus.workflows import commissions as workflow
from domus.workflows.commissions import CommissionReport

#: What a run does, in words that come after a number of commissions.
WORDS = {"earned": "earned", "reversed": "taken back, in whole or in part", "credited": "put into balances"}


@click.group()
def commission() -> None:
    """Look after commissions for customers that others brought."""


@commission.command("run")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(as_json: bool) -> None:
    """Earn, take back and credit what is due; again, it does nothing. Exit 1 when one had to be left.

    `domus renewals run` does this at its end, so that a timer for that is enough.
    """
    with opened_database() as database:
        report = do(database, now=utc_now())
    if as_json:
        click.echo(json.dumps({**report.counts(), "faults": report.faults}))
    else:
        say(report, or_else="Nothing is due.")
    if report.faults:
        sys.exit(1)


@commission.command("pay-out")
@click.argument("commission_id", type=int)
@click.option("--reference", required=True, help="How it was paid, such as the number of a transfer.")
def pay_out(commission_id: int, reference: str) -> None:
    """Note that a commission, named by its id, was paid in another way than to the balance."""
    with opened_database() as database:
        paid = workflow.pay_out(
            database, commission_id=commission_id, reference=reference, actor=shell_actor(), now=utc_now()
        )
    click.echo(f"Commission {paid.id} over {paid.left} is paid out: {visible(paid.reference)}.")


def do(database: Database, *, now: datetime) -> CommissionReport:
    """Run, as the environment says."""
    return workflow.run(database, policy=workflow.policy_from(os.environ), now=now)


def say(report: CommissionReport, *, or_else: str = "") -> None:
    """Print what a run did in words, or something else when that is nothing."""
    said = [
        f"{count:,} commission{'' if count == 1 else 's'} {WORDS[name]}."
        for name, count in report.counts().items()
        if count
    ]
    for line in said or filter(None, [or_else]):
        click.echo(line)
    for fault in report.faults:
        click.echo(visible(fault), err=True)
