"""``domus simulate``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from domus.simulation import year
from domus.simulation.plan import EARLIEST, LATEST, MAX_ACCOUNTS, MAX_DAYS, START, Plan
from domus.simulation.report import Report

_day = click.DateTime(formats=["%Y-%m-%d"])
#: So many of what is wrong are told; of more only the number.
MAX_TOLD = 50


@click.command()
@click.option(
    "--accounts",
    default=1000,
    show_default=True,
    type=click.IntRange(1, MAX_ACCOUNTS),
    help="How many people sign up.",
)
@click.option(
    "--days", default=400, show_default=True, type=click.IntRange(1, MAX_DAYS), help="For how long."
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(0, 2**63 - 1),
    help="The same seed, the same year.",
)
@click.option(
    "--start", type=_day, default=f"{START}", show_default=True, help=f"From {EARLIEST} to {LATEST}."
)
@click.option(
    "--database",
    metavar="URL",
    help="An empty database to play it in; it is kept. Otherwise a throw-away SQLite file.",
)
def simulate(accounts: int, days: int, seed: int, start: datetime, database: str | None) -> None:
    """Play a year of a whole shop in a minute, and have it judged; exit 1 when something is wrong.

    Orders, renewals, refused cards, late transfers, disputes, outages, all through the code that runs in production.
    The last line is one JSON object. DOMUS_DATABASE_URL is not read: nothing is ever simulated in a real shop.
    """
    plan = Plan(accounts=accounts, days=days, seed=seed, start=_as_date(start))
    begun = time.monotonic()
    with _shown_progress(days) as progress:
        report = year.simulate(plan, url=database, progress=progress)
    _print(report)
    click.echo(f"{time.monotonic() - begun:.0f} seconds.", err=True)
    click.echo(json.dumps(report.numbers))
    if not report.is_good:
        sys.exit(1)


def _as_date(moment: datetime) -> date:
    return moment.replace(tzinfo=UTC).date()


@contextmanager
def _shown_progress(days: int) -> Iterator[year.Progress]:
    """Show a bar on a terminal, and otherwise a line for each tenth."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("days", total=days)
            yield lambda done: bar.update(task, completed=done)
        return
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done * 10 // days > told:
            told = done * 10 // days
            click.echo(f"{done} of {days} days", err=True)

    yield tell


def _print(report: Report) -> None:
    table = Table("what", "how many", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for name, number in report.numbers.items():
        table.add_row(name.replace("_", " "), f"{number:,}" if type(number) is int else str(number))
    console = Console(markup=False, emoji=False, highlight=False)
    console.print(table)
    for sentence in report.sentences[:MAX_TOLD]:
        click.echo(sentence)
    if len(report.sentences) > MAX_TOLD:
        click.echo(f"and {len(report.sentences) - MAX_TOLD} more")
