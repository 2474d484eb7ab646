"""``domus vps suspend`` and ``domus vps release``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.vps.models import SuspensionReason
from domus.workflows import lookups, power

_which = click.argument("suspension", type=click.Choice([reason.value for reason in SuspensionReason]))
_note = click.option("--note", required=True, help="Why: history keeps it, and the customer reads it.")


@click.command("suspend")
@click.argument("name")
@_which
@_note
def suspend(name: str, suspension: str, note: str) -> None:
    """Shut a VPS down, and keep it down, for one more reason. NAME is its name or uuid."""
    _change(power.suspend, name, suspension, note)
    click.echo(f"{name} is suspended ({suspension}) and is being shut down.")


@click.command("release")
@click.argument("name")
@_which
@_note
def release(name: str, suspension: str, note: str) -> None:
    """Lift one reason; with the last one gone the VPS returns to the power that it was wanted to have."""
    _change(power.release, name, suspension, note)
    click.echo(f"The suspension of {name} for {suspension} is lifted.")


def add_to(group: click.Group) -> None:
    """Add both commands to ``domus vps``."""
    group.add_command(suspend)
    group.add_command(release)


def _change(act: Callable[..., Any], name: str, suspension: str, note: str) -> None:
    with opened_database() as database:
        act(
            database,
            vps_id=lookups.vps_id(database, name),
            suspension=SuspensionReason(suspension),
            note=note,
            actor=shell_actor(),
            now=utc_now(),
        )
