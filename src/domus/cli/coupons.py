"""``domus coupon``: codes that take something off orders, for newsletters and scripts."""

from __future__ import annotations

import json
from datetime import datetime

import click

from domus.cli.context import opened_database, shell_actor
from domus.core.clock import utc_now
from domus.core.errors import InvalidInput
from domus.coupons.models import Coupon
from domus.tax.services import parse_percent
from domus.workflows import coupons as workflow

_day = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def coupon() -> None:
    """Look at coupons and make them. All that can be limited is in the operator panel."""


@coupon.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """List all coupons, with what they take off and how often they were used."""
    with opened_database() as database:
        found = workflow.all_coupons(database, actor=shell_actor())
    if as_json:
        click.echo(json.dumps([_as_data(one) for one in found]))
        return
    for one in found:
        limit = f" of {one.max_uses}" if one.max_uses is not None else ""
        state = "" if one.active else ", switched off"
        click.echo(f"{one.code}: {one.worth} off, used {one.used}{limit} times{state}")
    if not found:
        click.echo("There are no coupons.")


@coupon.command("add")
@click.argument("code")
@click.option("--percent", help="So much of the price, such as 20 or 12.5.")
@click.option("--amounts", default="", help="Or amounts, such as '5 EUR, 6 USD'.")
@click.option("--payments", default="1", show_default=True, help="So many payments of a contract, or 'all'.")
@click.option("--max-uses", type=int, help="So many orders in all.")
@click.option("--per-account", type=int, help="So many orders of one account.")
@click.option("--until", type=_day, help="The last day on which it can be used, as YYYY-MM-DD.")
@click.option("--first-order", is_flag=True, help="Only for an account's first order.")
def add(
    code: str,
    percent: str | None,
    amounts: str,
    payments: str,
    max_uses: int | None,
    per_account: int | None,
    until: datetime | None,
    first_order: bool,
) -> None:
    """Make a coupon."""
    if payments != "all" and not payments.isdecimal():
        raise InvalidInput(f"--payments is {payments!r}; it is a number, or 'all'.", field="payments")
    fields = workflow.CouponFields(
        code=code,
        millipercent=0 if percent is None else parse_percent(percent),
        amounts=workflow.parse_amounts(amounts),
        payments=None if payments == "all" else int(payments),
        max_uses=max_uses,
        max_uses_per_account=per_account,
        valid_until=None if until is None else until.date(),
        first_order_only=first_order,
    )
    with opened_database() as database:
        made = workflow.save(database, coupon_id=None, fields=fields, actor=shell_actor(), now=utc_now())
    click.echo(f"Coupon {made} takes {made.worth} off.")


def _as_data(one: Coupon) -> dict[str, object]:
    return {
        "code": one.code,
        "worth": one.worth,
        "used": one.used,
        "max_uses": one.max_uses,
        "active": one.active,
        "payments": one.payments,
    }
