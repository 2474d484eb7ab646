"""Accounts: who orders and pays."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.accounts.models import Account
from domus.billing import ledger
from domus.billing.models import Order
from domus.catalog.models import Price
from domus.vps.models import Vps
from domus.workflows import billing_data
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, Doing, ReasonForm
from domus_web.operator.columns import NOTHING, lines, plain, when
from domus_web.operator.reading import reading
from domus_web.operator.searching import begins_with, parse_number

ROWS_SHOWN = 20
#: How many accounts a search by name, or by address, finds at most.
FOUND = 200


def _contacts(_view: Any, _context: Any, row: Account, _name: str) -> Markup:
    lines = [Markup("{} ({})").format(contact.email, contact.kind) for contact in row.contacts]
    return Markup("<br>").join(lines) or NOTHING


def _remove_vat_number(doing: Doing) -> str:
    account = billing_data.remove_vat_number(
        doing.db, account_id=doing.model.id, reason=doing.reason, actor=doing.actor, now=doing.now
    )
    return f"{account.name} has no VAT number any more."


class AccountView(ActingView):
    """The customers."""

    singular = "Account"
    intro = "Who orders and pays. Customers open their account themselves."
    empty_message = "Accounts appear here as soon as somebody signs up."
    details_template = "operator/account.html"
    column_list = ("name", "id", "email", "country", "created_at")
    column_details_list = (
        "id", "name", "company", "address", "country", "vat_number", "email", "contacts", "language", "created_at",
    )  # fmt: skip
    column_labels = {
        "id": "Id", "email": "E-mail", "created_at": "Since", "vat_number": "VAT number", "contacts": "Further addresses",
    }  # fmt: skip
    column_formatters = {
        "created_at": when("created_at"),
        **{name: plain(name) for name in ("company", "country", "vat_number")},
        "address": lines("address"),
        "contacts": _contacts,
    }
    right_columns = ("id",)
    default_order = ("id", True)
    sorts = {"id": "id", "email": "email"}
    acts = (
        Act(
            name="remove-vat-number",
            label="Remove VAT number",
            run=_remove_vat_number,
            consequence=lambda _model: (
                "For a number that its country's register does not know. From the next invoice on the account pays "
                "tax as a consumer does; invoices that were issued stay as they are."
            ),
            offered=lambda model: bool(model.vat_number),
            form=ReasonForm,
        ),
    )
    details_options = (selectinload(Account.users), selectinload(Account.contacts))
    search_hint = "E-mail or name (its beginning), or id"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find accounts by the beginning of the e-mail address or the name, or by id."""
        number = parse_number(text)
        if number is not None:
            return query.where(Account.id == number)
        if "@" in text:
            self.sort_by_match("email")
            return query.where(begins_with(session, Account.email, text.lower()))
        # Each by its own index, and no more of each than anybody reads: a short beginning may match nearly all.
        by_email = sa.select(Account.id).where(begins_with(session, Account.email, text.lower()))
        by_name = sa.select(Account.id).where(begins_with(session, Account.name, text))
        first = (by_email.order_by(Account.email), by_name.order_by(Account.name))
        return query.where(sa.or_(*(Account.id.in_(found.limit(FOUND)) for found in first)))

    def details_arguments(self, model: Account) -> dict[str, Any]:
        """Add the newest VPSs and orders."""
        session = reading()
        machines = sa.select(Vps).where(Vps.account_id == model.id).options(joinedload(Vps.dom0))
        orders = sa.select(Order).where(Order.account_id == model.id)
        orders = orders.options(joinedload(Order.price).joinedload(Price.product))
        return {
            **super().details_arguments(model),
            "prepaid": ledger.balances_of(session, model.id),
            "machines": session.scalars(machines.order_by(Vps.created_at.desc()).limit(ROWS_SHOWN)).all(),
            "orders": session.scalars(orders.order_by(Order.placed_at.desc()).limit(ROWS_SHOWN)).all(),
        }
