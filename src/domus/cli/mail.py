"""``domus mail``."""

from __future__ import annotations

import json
import os
import time

import click

from domus.cli.context import opened_database
from domus.core.clock import utc_now
from domus.core.errors import ConfigurationError
from domus.core.settings import company_name, panel_url, pdf_fonts, text
from domus.db.engine import Database
from domus.mail.composing import Sender
from domus.mail.delivery import Delivery, DeliveryUnavailable, delivery_from_env, sender_from_env
from domus.workflows import mail as workflow
from domus.workflows.invoices import Look
from domus.workflows.mail import MailLook


@click.group()
def mail() -> None:
    """Look after mails."""


@mail.command()
@click.option(
    "--every", type=click.IntRange(1, 3600), help="Go on until ended, with so many seconds in between."
)
def run(every: int | None) -> None:
    """Send the mails that wait, and print how many were sent, refused for now, and given up."""
    delivery = delivery_from_env(os.environ)
    if delivery is None:
        raise ConfigurationError("Mails have no way to go: set DOMUS_SMTP_HOST, or DOMUS_MAIL_FOLDER.")
    look = _look()
    with opened_database() as database:
        if every is None:
            click.echo(json.dumps(_send(database, delivery, look)))
            return
        while True:
            _keep_sending(database, delivery, look)
            time.sleep(every)


def _keep_sending(database: Database, delivery: Delivery, look: MailLook) -> None:
    """Send what is due; a mail server that is away for a while is a line in the log and no end."""
    try:
        done = _send(database, delivery, look)
    except DeliveryUnavailable as error:
        click.echo(f"domus: {error}", err=True)
    else:
        if any(done.values()):
            click.echo(json.dumps(done))


def _send(database: Database, delivery: Delivery, look: MailLook) -> dict[str, int]:
    done = workflow.send_due(database, delivery, look, clock=utc_now)
    return {name: done[name] for name in ("sent", "refused", "given_up")}


def _look() -> MailLook:
    name = company_name(os.environ)
    sender = Sender(
        address=sender_from_env(os.environ),
        company_name=name,
        support_email=text(os.environ, "DOMUS_SUPPORT_EMAIL") or "",
        panel_url=panel_url(os.environ),
    )
    return MailLook(sender=sender, documents=Look(company_name=name, extra_fonts=pdf_fonts(os.environ)))
