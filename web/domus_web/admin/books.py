"""What was booked: invoices, payments and the ledger. To be read; what is wrong is reversed by a refund, never edited."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload
from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired

from domus.billing.ledger import FROM_BALANCE
from domus.billing.models import CreditNote, Invoice, InvoiceState, LedgerTransaction, Payment, PaymentState
from domus.core.clock import utc_now
from domus.core.errors import Conflict
from domus.core.money import Money
from domus.gateways.models import RefundState
from domus.workflows import invoices
from domus.workflows.contracts import refunding
from domus.workflows.payments import givenback
from domus_web.context import current_actor, current_db, current_gateways
from domus_web.files import document_look, send_pdf
from domus_web.filters import money, percent, words
from domus_web.forms import strip
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, Doing, ReasonForm
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, amount, by_whom, code, link, machine, plain, state, to, when
from domus_web.operator.reading import stop_reading
from domus_web.operator.searching import parse_number
from domus_web.operator.view import OperatorView, route


def _order(_view: Any, _context: Any, row: Invoice, _name: str) -> Markup:
    if row.order is None:
        return NOTHING
    return link("operator_orders.details_view", f"order {row.order.number}", id=row.order_id)


def _account(_view: Any, _context: Any, row: Invoice, _name: str) -> Markup:
    return link("operator_accounts.details_view", row.account.name, id=row.account_id)


class RefundForm(ReasonForm):
    """How much of an invoice is given back, and where to."""

    amount = StringField(
        "Amount", [DataRequired("Enter an amount, such as 12.50.")], filters=[strip],
        description="With tax; the credit note has the same share of it.",
    )  # fmt: skip
    send = BooleanField(
        "Send it back the way it came", description="Otherwise it stays in the customer's balance."
    )


def _refund(doing: Doing) -> str:
    note = refunding.refund(
        doing.db, current_gateways(), invoice_id=doing.model.id, amount=str(doing.form.amount.data),
        send=bool(doing.form.send.data), reason=doing.reason, actor=doing.actor, now=doing.now,
    )  # fmt: skip
    return f"{note.gross} are given back by credit note {note}."


def _refundable(invoice: Invoice) -> str:
    """Return in sentences what can be given back, and what follows."""
    try:
        seen = refunding.look(
            current_db(), current_gateways(), invoice_id=invoice.id, actor=current_actor(), now=utc_now()
        )
    except Conflict as error:
        return str(error)
    sent = "is sent by the gateway" if seen.is_sent else "is yours to send"
    if seen.gateway == FROM_BALANCE:
        where = "It was paid from the balance and goes back there."
    else:
        where = f"It was paid by {seen.gateway}; what is to go back that way {sent}."
    days = ""
    if seen.paid_until is not None:
        old, new = seen.paid_until
        days = (
            f" Given back whole, the period that it was for is taken back too, as it has not begun: the contract is paid "
            f"until {new:%Y-%m-%d} then, not {old:%Y-%m-%d}."
        )
    return f"{seen.left} are left of it. {where} The contract goes on.{days}"


def _can_be_refunded(invoice: Invoice) -> bool:
    credited = sum(note.gross_minor for note in invoice.credit_notes)
    return invoice.state is InvoiceState.PAID and credited < invoice.gross_minor


class InvoiceView(ActingView):
    """All invoices."""

    singular = "Invoice"
    has_name = False
    intro = (
        "An invoice is numbered when it is paid; an open one has no number yet. "
        "A month of them for the accountant: domus invoice export --month 2026-11."
    )
    empty_message = "The first order makes the first invoice."
    details_template = "operator/invoice.html"
    column_list = ("number", "state", "account", "order", "gross_minor", "issued_at", "paid_at")
    column_details_list = (
        "id",
        *column_list,
        "company",
        "tax_rule",
        "tax_country",
        "tax_millipercent",
        "tax_note",
    )
    column_labels = {
        "id": "Id", "gross_minor": "Amount", "issued_at": "Issued", "paid_at": "Paid", "tax_millipercent": "Tax rate",
        "tax_rule": "Tax rule", "tax_country": "Tax of", "tax_note": "Note on tax",
    }  # fmt: skip
    column_formatters = {
        "number": lambda _v, _c, row, _n: str(row),
        "state": state("state"),
        "account": _account,
        "order": _order,
        "gross_minor": amount("gross_minor"),
        "issued_at": when("issued_at"),
        "paid_at": when("paid_at", "not yet"),
        "company": to("company", "operator_companies"),
        "tax_rule": lambda _v, _c, row, _n: words(row.tax_rule) or NOTHING,
        "tax_country": plain("tax_country"),
        "tax_millipercent": lambda _v, _c, row, _n: percent(row.tax_millipercent),
        "tax_note": plain("tax_note"),
    }
    right_columns = ("gross_minor",)
    default_order = ("id", True)
    list_options = (joinedload(Invoice.account), joinedload(Invoice.order))
    details_options = (
        *list_options,
        joinedload(Invoice.company),
        selectinload(Invoice.lines),
        selectinload(Invoice.payments),
        selectinload(Invoice.credit_notes),
    )
    choices = (by_state(Invoice.state, InvoiceState), Of("account", "account", Invoice.account_id))
    search_hint = "Invoice number"
    acts = (
        Act(
            name="refund",
            label="Refund a part or all",
            run=_refund,
            form=RefundForm,
            dangerous=True,
            offered=_can_be_refunded,
            consequence=_refundable,
        ),
    )

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find an invoice by its number."""
        return query.where(Invoice.number == text)

    @route("/pdf/")
    def pdf_view(self) -> ResponseReturnValue:
        """Hand one invoice out as PDF."""
        model = self.get_one(request.args.get("id", ""))
        stop_reading()
        return send_pdf(
            invoices.invoice_pdf(
                current_db(), invoice_id=model.id, look=document_look(), actor=current_actor()
            )
        )

    @route("/export/")
    def export_view(self) -> ResponseReturnValue:
        """Hand out what was numbered in a month, for the accountant."""
        month = request.args.get("month", "")
        content = invoices.month_as_csv(current_db(), month=month, actor=current_actor())
        response = Response(content, mimetype="text/csv")
        response.headers["Content-Disposition"] = f"attachment; filename=invoices-{month}.csv"
        return response


class CreditNoteView(OperatorView):
    """All credit notes."""

    singular = "Credit note"
    intro = "What takes an invoice back, in whole or in part. A refund makes one by itself."
    empty_message = "The first refund makes the first credit note."
    details_template = "operator/credit_note.html"
    column_list = ("number", "invoice", "gross_minor", "issued_at", "reason")
    column_details_list = (*column_list, "net_minor", "tax_minor")
    column_labels = {"gross_minor": "Amount", "net_minor": "Net", "tax_minor": "Tax", "issued_at": "Issued"}
    column_formatters = {
        "invoice": to("invoice", "operator_invoices"),
        "gross_minor": amount("gross_minor"),
        "net_minor": amount("net_minor"),
        "tax_minor": amount("tax_minor"),
        "issued_at": when("issued_at"),
        "reason": plain("reason"),
    }
    right_columns = ("gross_minor",)
    default_order = ("id", True)
    list_options = details_options = (joinedload(CreditNote.invoice),)
    search_hint = "Number, such as C-2026-00001"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find a credit note by its number."""
        return query.where(CreditNote.number == text)

    @route("/pdf/")
    def pdf_view(self) -> ResponseReturnValue:
        """Hand one credit note out as PDF."""
        model = self.get_one(request.args.get("id", ""))
        stop_reading()
        return send_pdf(
            invoices.credit_note_pdf(
                current_db(), note_id=model.id, look=document_look(), actor=current_actor()
            )
        )


class AmountForm(ReasonForm):
    """How much is sent back."""

    amount = StringField("Amount", [DataRequired("Enter an amount, such as 12.50.")], filters=[strip])


def _send_back(doing: Doing) -> str:
    row = givenback.send_back(
        doing.db,
        current_gateways(),
        payment_id=doing.model.id,
        amount=str(doing.form.amount.data),
        actor=doing.actor,
        reason=doing.reason,
        now=doing.now,
    )
    if row.state is RefundState.DONE:
        return f"{row.amount} are taken from the balance; sending them is yours."
    return (
        f"{row.amount} are taken from the balance; the gateway is asked to send them within a minute or so."
    )


def _settled(_view: Any, _context: Any, row: Payment, _name: str) -> Markup:
    """Show the invoice that a payment settled, or whose balance it went to."""
    if row.invoice is not None:
        return link("operator_invoices.details_view", row.invoice, id=row.invoice_id)
    return Markup("{} {}").format(
        "balance of", link("operator_accounts.details_view", f"account {row.account_id}", id=row.account_id)
    )


class PaymentView(ActingView):
    """All payments."""

    singular = "Payment"
    has_name = False
    intro = "Money that arrived, and whether it was given back. What fits no invoice goes to the balance of the account."
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
        "invoice": _settled,
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
    acts = (
        Act(
            name="send-back",
            label="Send back",
            run=_send_back,
            form=AmountForm,
            dangerous=True,
            offered=lambda payment: (
                payment.state is PaymentState.CONFIRMED and payment.gateway != FROM_BALANCE
            ),
            consequence=lambda payment: (
                "So much is taken from the balance of the account and sent back the way it came: by the gateway, where it "
                f"can do that, else by you. No more than {payment.amount}, and than there is in the balance."
            ),
        ),
    )

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
