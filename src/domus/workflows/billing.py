"""Looking at bills and the ledger. What changes them belongs to an order (``workflows.orders``)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from domus.accounts.actor import Actor
from domus.billing import checks, ledger, queries
from domus.billing.models import Invoice, Subscription
from domus.commissions import checks as commission_checks
from domus.core.errors import NotFound
from domus.core.money import Money
from domus.db.engine import Database
from domus.gateways import checks as gateway_checks
from domus.renewals import checks as renewal_checks


def invoices(db: Database, *, account_id: int, actor: Actor) -> Sequence[Invoice]:
    """Return the invoices of an account, the newest first."""
    actor.require_account(account_id, what="account")
    with db.reading() as session:
        return queries.invoices_of(session, account_id)


def invoice(db: Database, *, invoice_id: int, actor: Actor) -> Invoice:
    """Return one invoice, ready to be shown; strangers get NotFound."""
    with db.reading() as session:
        found = queries.invoice(session, invoice_id)
    if found is None:
        raise NotFound("There is no such invoice.")
    actor.require_account(found.account_id, what="invoice")
    return found


def subscription(db: Database, *, order_id: uuid.UUID, actor: Actor) -> Subscription | None:
    """Return the contract of an order, or None while it is not paid; strangers get NotFound."""
    with db.reading() as session:
        order = queries.order(session, order_id)
        found = queries.subscription_of(session, order_id)
    if order is None:
        raise NotFound("There is no such order.")
    # A contract may have another owner than its order.
    actor.require_account(order.account_id if found is None else found.account_id, what="order")
    return found


def ledger_balances(db: Database, *, actor: Actor) -> dict[str, list[Money]]:
    """Return what is on each ledger account."""
    actor.require_operator()
    with db.reading() as session:
        return ledger.balances(session)


def check_ledger(db: Database) -> list[str]:
    """Return a sentence for everything that does not agree in the books; an empty list is good."""
    with db.reading() as session:
        return [
            *checks.all_problems(session),
            *gateway_checks.all_problems(session),
            *renewal_checks.all_problems(session),
            *commission_checks.all_problems(session),
        ]
