"""``domus contract``: what is changed about a contract that runs."""

from __future__ import annotations

import os
from datetime import timedelta

import click

from domus.cli.context import opened_database, shell_actor
from domus.contracts.models import ChangeState
from domus.contracts.quotes import Quote
from domus.core import settings
from domus.core.clock import utc_now
from domus.core.texts import visible
from domus.workflows import lookups
from domus.workflows.contracts import cancelling, changing, handing_over, offering

_reason = click.option("--reason", required=True, help="Why: history keeps it.")


@click.group()
def contract() -> None:
    """Change contracts, cancel them, give them another owner."""


@contract.command("options")
@click.argument("name")
def options(name: str) -> None:
    """List what a VPS can be changed to: the number of the price, and every amount."""
    with opened_database() as database:
        found = offering.options(
            database, vps_id=lookups.vps_id(database, name), actor=shell_actor(), now=utc_now()
        )
    for one in found:
        said = one.obstacle if one.quote is None else amounts(one.quote)
        click.echo(visible(f"{one.price.id}: {one.price.product.name}: {said}"))


@contract.command("change")
@click.argument("name")
@click.argument("price_id", type=int)
@click.option("--restart", is_flag=True, help="Restart it at once, should more memory or CPUs need that.")
@click.option("--yes", is_flag=True, help="Do not ask; the amounts are those of this moment.")
@_reason
def change(name: str, price_id: int, restart: bool, yes: bool, reason: str) -> None:
    """Change a VPS to a price, by its number. Every amount is shown before it is done."""
    hold = timedelta(hours=settings.number(os.environ, "DOMUS_ORDER_HOLD_HOURS", 24, minimum=1, maximum=720))
    with opened_database() as database:
        vps_id, actor = lookups.vps_id(database, name), shell_actor()
        offer = offering.quote(database, vps_id=vps_id, price_id=price_id, actor=actor, now=utc_now())
        click.echo(visible(f"{offer.price.product.name}: {amounts(offer)}"))
        if not yes:
            click.confirm("Change it?", abort=True)
        done = changing.agree(
            database, vps_id=vps_id, price_id=price_id, shown=offer.answer, restart=restart, hold=hold,
            actor=actor, reason=reason, now=utc_now(),
        )  # fmt: skip
    if done.state is ChangeState.DONE:
        click.echo("It is done; the machine follows.")
    else:
        click.echo(f"Change {done.id} waits for invoice {done.invoice_id} to be paid.")


@contract.command("change-paid")
@click.argument("change_id", type=int)
@_reason
def change_paid(change_id: int, reason: str) -> None:
    """Book the invoice of a change as paid by other means, and carry the change out."""
    with opened_database() as database:
        changing.mark_paid(database, change_id=change_id, actor=shell_actor(), reason=reason, now=utc_now())
    click.echo(f"Change {change_id} is paid; the machine follows.")


@contract.command("change-withdraw")
@click.argument("change_id", type=int)
@_reason
def change_withdraw(change_id: int, reason: str) -> None:
    """Take a change back that is not paid."""
    with opened_database() as database:
        changing.withdraw(database, change_id=change_id, actor=shell_actor(), reason=reason, now=utc_now())
    click.echo(f"Change {change_id} is withdrawn.")


@contract.command("cancel")
@click.argument("name")
@click.option("--now", "at_once", is_flag=True, help="End it at once, and not when what is paid is used up.")
@click.option(
    "--credit/--no-credit",
    default=False,
    help="With --now: put what the unused days are worth into the balance.",
)
@click.option("--yes", is_flag=True, help="With --now: do not ask.")
@_reason
def cancel(name: str, at_once: bool, credit: bool, yes: bool, reason: str) -> None:
    """Cancel the contract of a VPS: for the end of what is paid, or at once."""
    with opened_database() as database:
        vps_id, actor = lookups.vps_id(database, name), shell_actor()
        if not at_once:
            on = cancelling.cancel_at_end(database, vps_id=vps_id, reason=reason, actor=actor, now=utc_now())
            click.echo(f"{name} ends on {on:%Y-%m-%d}.")
            return
        seen = cancelling.look(database, vps_id=vps_id, actor=actor, now=utc_now())
        worth = f"{seen.worth} go to the balance" if credit else f"nothing of {seen.worth} is given back"
        click.echo(f"{name} stops at once and is wiped after {seen.grace_days} days; {worth}.")
        if not yes and click.prompt(f"Type {name} to end it") != name:
            raise click.Abort
        given = cancelling.cancel_now(
            database, vps_id=vps_id, credit=credit, reason=reason, actor=actor, now=utc_now()
        )
    click.echo(f"The contract of {name} has ended; {given} went to the balance.")


@contract.command("keep")
@click.argument("name")
@_reason
def keep(name: str, reason: str) -> None:
    """Take the cancellation of a contract back."""
    with opened_database() as database:
        vps_id = lookups.vps_id(database, name)
        cancelling.take_back(database, vps_id=vps_id, reason=reason, actor=shell_actor(), now=utc_now())
    click.echo(f"The contract of {name} goes on.")


@contract.command("hand-over")
@click.argument("name")
@click.option("--to", "email", required=True, help="The e-mail address of the account that gets it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_reason
def hand_over(name: str, email: str, yes: bool, reason: str) -> None:
    """Give a VPS and its contract to another account. Keys and passwords inside the VPS stay as they are."""
    if not yes and click.prompt(f"Type {name} to give it to {visible(email)}") != name:
        raise click.Abort
    with opened_database() as database:
        new = handing_over.hand_over(
            database, vps_id=lookups.vps_id(database, name), email=email, reason=reason, actor=shell_actor(),
            now=utc_now(),
        )  # fmt: skip
    click.echo(visible(f"{name} is {new}'s now."))


def amounts(offer: Quote) -> str:
    """Return all amounts of a change in one line."""
    charged, unused = offer.proration.charge, offer.proration.credit
    total = f"{offer.to_pay} to pay" if offer.to_pay else f"{offer.gives_back} to the balance"
    renewal = f"{offer.renewal.amount} for {offer.renewal.period.describe()}"
    restart = "; more memory or CPUs need a restart" if offer.needs_restart else ""
    return f"{charged} until {offer.until:%Y-%m-%d}, less {unused} unused; {total}, tax included; then {renewal}{restart}"
