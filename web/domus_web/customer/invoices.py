"""What the account owes and has paid."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from domus.workflows import invoices
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db
from domus_web.customer import queries
from domus_web.files import document_look, send_pdf
from domus_web.pagination import page_number

blueprint = Blueprint("invoices", __name__, url_prefix="/invoices")


@blueprint.get("")
@customer_required
def index() -> str:
    """List the account's invoices."""
    with current_db().reading() as session:
        page = queries.invoice_page_list(session, current_account_id(), page_number())
    return render_template("customer/invoices.html", page=page)


@blueprint.get("/<int:invoice_id>")
@customer_required
def show(invoice_id: int) -> str:
    """Show one invoice, fit to be printed."""
    with current_db().reading() as session:
        invoice = queries.invoice(session, current_account_id(), invoice_id)
    return render_template("customer/invoice.html", invoice=invoice)


@blueprint.get("/<int:invoice_id>/pdf")
@customer_required
def pdf(invoice_id: int) -> ResponseReturnValue:
    """Hand one invoice out as PDF."""
    return send_pdf(
        invoices.invoice_pdf(current_db(), invoice_id=invoice_id, look=document_look(), actor=current_actor())
    )


@blueprint.get("/credit-notes/<int:note_id>/pdf")
@customer_required
def credit_note_pdf(note_id: int) -> ResponseReturnValue:
    """Hand one credit note out as PDF."""
    return send_pdf(
        invoices.credit_note_pdf(current_db(), note_id=note_id, look=document_look(), actor=current_actor())
    )
