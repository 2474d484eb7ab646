"""What was booked: invoices, payments and the ledger. To be read; what is wrong is reversed by a refund, never edited."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.billing.models import Invoice, InvoiceState, LedgerTransaction, Payment, PaymentState
from domus.core.money import Money
from domus_web.filters import money
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, amount, by_whom, code, link, machine, state, when
from domus_web.operator.searching import parse_number
from domus_web.operator.view import OperatorView


def _order(_view: Any, _context: Any, row: Invoice, _name: str) -> Markup:
    if row.order is None:
        return NOTHING
    return link("operator_orders.details_view", f"order {row.order.number}", id=row.order_id)


def _account(_view: Any, _context: Any, row: Invoice, _name: str) -> Markup:
    return link("operator_accounts.details_view", row.account.name, id=row.account_id)


class InvoiceView(OperatorView):
    """All invoices."""

    singular = "Invoice"
    has_name = False
    intro = "An invoice is numbered when it is paid; an open one has no number yet."
    empty_message = "The first order makes the first invoice."
    details_template = "operator/invoice.html"
    column_list = ("number", "state", "account", "order", "gross_minor", "issued_at", "paid_at")
    column_details_list = ("id", *column_list)
    column_labels = {"id": "Id", "gross_minor": "Amount", "issued_at": "Issued", "paid_at": "Paid"}
    column_formatters = {
        "number": lambda _v, _c, row, _n: str(row),
        "state": state("state"),
        "account": _account,
        "order": _order,
        "gross_minor": amount("gross_minor"),
        "issued_at": when("issued_at"),
        "paid_at": when("paid_at", "not yet"),
    }
    right_columns = ("gross_minor",)
    default_order = ("id", True)
    list_options = (joinedload(Invoice.account), joinedload(Invoice.order))
    details_options = (*list_options, selectinload(Invoice.lines), selectinload(Invoice.payments))
    choices = (by_state(Invoice.state, InvoiceState), Of("account", "account", Invoice.account_id))
    search_hint = "Invoice number"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find an invoice by its number."""
        return query.where(Invoice.number == text)


class PaymentView(OperatorView):
    """All payments."""

    singular = "Payment"
    has_name = False
    intro = "Money that arrived, and whether it was given back."
    empty_message = "The first paid invoice makes the first payment."
    column_list = (
        "id",
        "state",
        "invoice",
        "amount_minor",
        "gateway",
        "reference",
        "received_at",
        "refunded_at",
    )
    column_details_list = column_list
    column_labels = {
        "id": "Id", "amount_minor": "Amount", "received_at": "Received", "refunded_at": "Given back",
    }  # fmt: skip
    column_formatters = {
        "state": state("state"),
        "invoice": lambda _v, _c, row, _n: link(
            "operator_invoices.details_view", row.invoice, id=row.invoice_id
        ),
        "amount_minor": amount("amount_minor"),
        "reference": machine("reference"),
        "received_at": when("received_at"),
        "refunded_at": when("refunded_at", "no"),
    }
    right_columns = ("amount_minor",)
    default_order = ("id", True)
    list_options = details_options = (joinedload(Payment.invoice),)
    choices = (by_state(Payment.state, PaymentState),)
    search_hint = "Id of the payment"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find a payment by its id."""
        number = parse_number(text)
        return query.where(sa.false() if number is None else Payment.id == number)

    def title_of(self, model: Payment) -> str:
        """Name a payment by its id."""
        return f"Payment {model.id}"


def _entries(_view: Any, _context: Any, row: LedgerTransaction, _name: str) -> Markup:
    """Show both sides of a booking in one cell: debit plain, credit with a minus."""
    lines = [
        Markup("{} {}").format(money(Money(entry.amount_minor, entry.currency)), code(entry.ledger_account))
        for entry in row.entries
    ]
    return Markup("<br>").join(lines)


class LedgerView(OperatorView):
    """The ledger."""

    singular = "Booking"
    has_name = False
    intro = (
        "Double entry: debits positive, credits negative, each booking sums to zero. Nothing is ever edited."
    )
    empty_message = "Nothing was booked yet."
    column_list = ("id", "at", "kind", "reference", "entries", "actor")
    column_details_list = (*column_list, "details")
    column_labels = {"id": "Id", "at": "When", "actor": "By"}
    column_formatters = {
        "at": when("at"),
        "reference": machine("reference"),
        "entries": _entries,
        "actor": by_whom(),
        "details": lambda _v, _c, row, _n: row.details.get("reason") or NOTHING,
    }
    default_order = ("id", True)
    list_options = details_options = (selectinload(LedgerTransaction.entries),)
    search_hint = "Reference, such as payment:12"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find bookings by their reference."""
        return query.where(LedgerTransaction.reference == text)

    def title_of(self, model: LedgerTransaction) -> str:
        """Name a booking by its id."""
        return f"Booking {model.id}"
