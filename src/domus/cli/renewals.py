"""``domus renewals``: the run that keeps contracts going, and what it leaves to people."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import click

from domus.cli import commissions
from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.core.texts import visible
from domus.gateways.registry import gateways_from
from domus.workflows import lookups
from domus.workflows.renewals import dunning, paying
from domus.workflows.renewals import preview as renewals_preview
from domus.workflows.renewals import running as workflow

#: What a run does, in words that come after a number of contracts.
WORDS = {
    "invoiced": "asked for their next period",
    "paid": "paid from the balance or by a saved card",
    "refused": "not paid, since the card was refused",
    "reminded": "reminded",
    "warned": "warned for the last time",
    "suspended": "suspended",
    "ended": "ended",
    "closed": "no longer asked, since they are gone",
    "failed": "left, because something is wrong with them",
}

_day = click.DateTime(formats=["%Y-%m-%d"])
_reason = click.option("--reason", required=True, help="Why: history keeps it.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def renewals() -> None:
    """Look after contracts: invoices, reminders, suspensions, ends."""


@renewals.command("run")
@click.option("--preview", is_flag=True, help="Tell what would be done, and do nothing.")
@_json
def run(preview: bool, as_json: bool) -> None:
    """Do all that is due; again, it does nothing. Exit 1 when a contract had to be left.

    Cards are charged through the gateways that the environment switches on, as in the panel. Commissions are looked
    after at the end.
    """
    now = utc_now()
    with opened_database() as database:
        if preview:
            _show_plans(renewals_preview.preview(database, now=now), as_json)
            return
        report = workflow.run(database, gateways=gateways_from(os.environ), now=now)
        earned = commissions.do(database, now=now)
    faults = [{"contract": fault.subscription_id, "problem": fault.text} for fault in report.faults]
    if as_json:
        click.echo(json.dumps({**report.counts(), "faults": faults, "commissions": earned.counts()}))
    else:
        for line in _lines(report.counts()):
            click.echo(line)
        for fault in faults:
            click.echo(f"Contract {fault['contract']}: {visible(str(fault['problem']))}", err=True)
        commissions.say(earned)
    if report.failed or earned.faults:
        sys.exit(1)


@renewals.command("mark-paid")
@click.argument("invoice_id", type=int)
@_reason
def mark_paid(invoice_id: int, reason: str) -> None:
    """Book a renewal's invoice, named by its id, as paid by other means; its VPS comes back if it was down for it."""
    with opened_database() as database:
        renewal = paying.mark_paid(
            database, invoice_id=invoice_id, actor=shell_actor(), reason=reason, now=utc_now()
        )
    click.echo(f"Invoice {renewal.invoice} is paid; the contract is paid until {renewal.ends_on:%Y-%m-%d}.")


@renewals.command("hold")
@click.argument("name")
@click.option(
    "--until", type=_day, required=True, help="The first day on which steps are taken again, as YYYY-MM-DD."
)
@_reason
def hold(name: str, until: datetime, reason: str) -> None:
    """Leave the contract of a VPS in peace until a day. A suspension that stands is not lifted by it."""
    with opened_database() as database:
        dunning.hold(
            database, vps_id=lookups.vps_id(database, name), until=until.replace(tzinfo=UTC).date(),
            reason=reason, actor=shell_actor(), now=utc_now(),
        )  # fmt: skip
    click.echo(f"No steps are taken about {name} before {until:%Y-%m-%d}.")


@renewals.command("end-hold")
@click.argument("name")
@_reason
def end_hold(name: str, reason: str) -> None:
    """Let steps be taken about the contract of a VPS again, from the next run on."""
    with opened_database() as database:
        vps_id = lookups.vps_id(database, name)
        dunning.end_hold(database, vps_id=vps_id, reason=reason, actor=shell_actor(), now=utc_now())
    click.echo(f"{name} is not held any more.")


def _show_plans(plans: list[renewals_preview.Plan], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_as_data(plan) for plan in plans]))
        return
    for line in _lines({plan.name: plan.count for plan in plans}, would="would be "):
        click.echo(line)
    for plan in plans:
        if plan.name in ("suspended", "ended"):
            for one in plan.first:
                whose = visible(f"{one.name} ({one.hostname}) of {one.account}")
                click.echo(f"  {plan.name}: {whose}, paid until {one.paid_until:%Y-%m-%d}")


def _as_data(plan: renewals_preview.Plan) -> dict[str, Any]:
    first = [
        {
            "uuid": str(one.vps_id),
            "name": one.name,
            "hostname": one.hostname,
            "account": one.account,
            "paid_until": f"{one.paid_until:%Y-%m-%d}",
        }
        for one in plan.first
    ]
    return {"name": plan.name, "count": plan.count, "first": first}


def _lines(counts: dict[str, int], would: str = "") -> list[str]:
    said = [
        f"{count:,} contract{'' if count == 1 else 's'} {would}{WORDS[name]}."
        for name, count in counts.items()
        if count
    ]
    return said or ["Nothing is due."]
