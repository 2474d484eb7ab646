"""``domus operator``."""

from __future__ import annotations

import sys

import click

from domus.accounts.passwords import MIN_LENGTH
from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.workflows import accounts


@click.group()
def operator() -> None:
    """Look after the staff."""


@operator.command()
@click.argument("email")
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it."
)
@click.option("--must-change", is_flag=True, help="Have it changed at the first log-in.")
def add(email: str, password_stdin: bool, must_change: bool) -> None:
    """Add an operator. The password is never an argument: those stand in the list of processes."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt(
            f"Password (at least {MIN_LENGTH} characters)",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
    with opened_database() as database:
        user = accounts.create_operator(
            database,
            email=email,
            password=password,
            must_change=must_change,
            actor=shell_actor(),
            now=utc_now(),
        )
    click.echo(f"Added the operator {user.email}.")
