"""``domus seed``."""

from __future__ import annotations

from pathlib import Path

import click

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.core.errors import InvalidInput
from domus.workflows import seeding


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--show", is_flag=True, help="Print the sample and load nothing.")
def seed(file: Path | None, show: bool) -> None:
    """Load places, pools, operating systems and products from a YAML FILE, or a sample without one.

    What has the same name already is left as it is.
    """
    if show:
        click.echo(seeding.sample(), nl=False)
        return
    with opened_database() as database:
        added = seeding.seed(database, text=_read(file), actor=shell_actor(), now=utc_now())
    counts = ", ".join(f"{count} {kind}{_plural(kind, count)}" for kind, count in added.items())
    click.echo(f"Added {counts}." if counts else "Everything was there already.")


def _read(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {file}: {error}") from error


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return ""
    return "es" if kind == "address" else "s"
