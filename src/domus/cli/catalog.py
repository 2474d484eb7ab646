"""``domus catalog``: the catalogue as a file, out and in again."""

from __future__ import annotations

from pathlib import Path

import click

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.core.errors import InvalidInput
from domus.workflows import catalog_export, catalog_import


@click.group()
def catalog() -> None:
    """What is sold: written to a file, and brought in from one."""


@catalog.command("export")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def export(file: Path | None) -> None:
    """Write products, prices, operating systems, pools and mail texts to FILE as YAML, or print them."""
    with opened_database() as database:
        text = catalog_export.export(database, actor=shell_actor())
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error}") from error
    click.echo(f"Wrote {file}.")


@catalog.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--apply", is_flag=True, help="Make the changes, all or none.")
def bring_in(file: Path, apply: bool) -> None:
    """Say what FILE would change; with --apply change it, in one transaction."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {file}: {error}") from error
    act = catalog_import.bring_in if apply else catalog_import.difference
    with opened_database() as database:
        found = act(database, text=text, actor=shell_actor(), now=utc_now())
    for line in (*found.changes, *found.kept):
        click.echo(line)
    if not found.changes:
        click.echo("Nothing is different.")
    elif apply:
        click.echo(f"Done: {len(found.changes)} changes.")
    else:
        click.echo("Nothing was changed yet; --apply does it.")
