"""Paying: the page to choose a way on, coming back from a gateway, saved cards and the balance."""

from __future__ import annotations

import logging
import uuid

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from wtforms import BooleanField, HiddenField, IntegerField
from wtforms.validators import InputRequired

from domus.core.clock import utc_now
from domus.core.errors import Conflict, DomusError, InvalidInput
from domus.core.texts import first_line
from domus.gateways.interface import Charges, GatewayUnavailable, Instructions
from domus.workflows.payments import charging, paying
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db, current_gateways
from domus_web.forms import ConfirmForm, Form
from domus_web.headers import content_security_policy

log = logging.getLogger(__name__)

blueprint = Blueprint("payments", __name__, url_prefix="/payments")

#: What is shown when a gateway does not answer: its own sentence is for the log.
SILENT = "This way to pay does not answer at the moment. Nothing was charged. Please try again, or choose another one."


class WayForm(Form):
    """Which way was chosen."""

    gateway = HiddenField(validators=[InputRequired("Choose a way to pay.")])
    keep = BooleanField("Keep this card for renewals")


class MethodForm(Form):
    """Which saved card was chosen."""

    method_id = IntegerField(validators=[InputRequired("Choose a card.")])


def return_urls(attempt_id: uuid.UUID) -> tuple[str, str]:
    """Return where a gateway sends the customer afterwards."""
    url = url_for("payments.show", attempt_id=attempt_id, _external=True)
    return url, f"{url}?given_up=1"


@blueprint.route("/invoice/<int:invoice_id>", methods=["GET", "POST"])
@customer_required
def choose(invoice_id: int) -> ResponseReturnValue:
    """Show how an invoice can be paid, or begin to."""
    page = _page(invoice_id)
    form = WayForm()
    status = 200
    if form.validate_on_submit():
        try:
            return _begin(invoice_id, str(form.gateway.data), keep=bool(form.keep.data))
        except InvalidInput as error:
            form.form_errors.append(str(error))
            status = 422
        except GatewayUnavailable:
            form.form_errors.append(SILENT)
            status = 502
    elif form.is_submitted():
        status = 422
    return _chooser(page, form, status)


@blueprint.post("/invoice/<int:invoice_id>/card")
@customer_required
def charge(invoice_id: int) -> ResponseReturnValue:
    """Pay an invoice with a saved card."""
    page = _page(invoice_id)
    form = MethodForm()
    if not form.validate():
        return _chooser(page, form, 422)
    charged = charging.charge(
        current_db(),
        current_gateways(),
        account_id=page.invoice.account_id,
        invoice_id=invoice_id,
        method_id=form.method_id.data,
        actor=current_actor(),
        now=utc_now(),
    )
    if charged.paid:
        return redirect(_home_of(page), 303)
    if charged.pending:
        flash("The payment is under way; this page shows when it has arrived.")
        return redirect(_home_of(page), 303)
    form.form_errors.append(charged.problem)
    return _chooser(_page(invoice_id), form, 409)


@blueprint.get("/<uuid:attempt_id>")
@customer_required
def show(attempt_id: uuid.UUID) -> ResponseReturnValue:
    """Say how a payment stands, to who comes back from a gateway."""
    row = paying.come_back(
        current_db(), current_gateways(), attempt_id=attempt_id, actor=current_actor(), now=utc_now()
    )
    given_up = request.args.get("given_up") == "1" and row.state.value != "done"
    return render_template("customer/payment.html", attempt=row, given_up=given_up)


@blueprint.get("")
@customer_required
def index() -> ResponseReturnValue:
    """Show the balance and the saved cards."""
    return _methods_page(ConfirmForm(), 200)


@blueprint.post("/methods")
@customer_required
def save() -> ResponseReturnValue:
    """Begin to save a card."""
    form = WayForm()
    if not form.validate():
        return _methods_page(form, 422)
    try:
        answer = charging.begin_saving(
            current_db(),
            current_gateways(),
            account_id=current_account_id(),
            gateway=str(form.gateway.data),
            currency="EUR",
            actor=current_actor(),
            now=utc_now(),
            urls=return_urls,
        )
    except GatewayUnavailable:
        form.form_errors.append(SILENT)
        return _methods_page(form, 502)
    return redirect(answer.url, 303)


@blueprint.post("/methods/<int:method_id>/remove")
@customer_required
def remove(method_id: int) -> ResponseReturnValue:
    """Forget a saved card."""
    row = charging.remove_method(
        current_db(), current_gateways(), method_id=method_id, actor=current_actor(), now=utc_now()
    )
    flash(f"{row.label} is forgotten; it is not charged any more.")
    return redirect(url_for("payments.index"), 303)


def pay_placed(invoice_id: int) -> bool:
    """Pay a new invoice from the balance when that covers it, as the order form has said; else leave it open."""
    try:
        return paying.pay_from_balance(
            current_db(), invoice_id=invoice_id, actor=current_actor(), now=utc_now()
        )
    except (DomusError, OperationalError) as error:
        # The order stands, and the page to pay on offers the same again.
        log.warning("invoice %s was not paid from the balance yet: %s", invoice_id, first_line(error))
        return False


def _page(invoice_id: int) -> paying.PayPage:
    return paying.page(current_db(), current_gateways(), invoice_id=invoice_id, actor=current_actor())


def _begin(invoice_id: int, gateway: str, *, keep: bool) -> ResponseReturnValue:
    answer = paying.begin(
        current_db(),
        current_gateways(),
        invoice_id=invoice_id,
        gateway=gateway,
        actor=current_actor(),
        now=utc_now(),
        urls=return_urls,
        keep_method=keep,
    )
    if isinstance(answer, paying.Settled):
        return redirect(_home_of(_page(invoice_id)), 303)
    if isinstance(answer, Instructions):
        return render_template("customer/transfer.html", page=_page(invoice_id), lines=answer.lines)
    return redirect(answer.url, 303)


def _home_of(page: paying.PayPage) -> str:
    """Return where a paid invoice is looked at: with its order, when there is one."""
    order = page.invoice.order
    if order is not None and order.invoice.id == page.invoice.id:
        return url_for("orders.show", order_id=order.id)
    return url_for("invoices.show", invoice_id=page.invoice.id)


def _chooser(page: paying.PayPage, form: Form, status: int) -> Response:
    if page.invoice.state.value == "cancelled":
        raise Conflict("This invoice was cancelled; nothing is to be paid for it.")
    return _leading_out(
        render_template("customer/pay.html", page=page, form=form, home=_home_of(page)), status
    )


def _methods_page(form: Form, status: int) -> Response:
    account_id, actor = current_account_id(), current_actor()
    body = render_template(
        "customer/payments.html",
        balances=paying.balances(current_db(), account_id=account_id, actor=actor),
        methods=charging.methods(current_db(), account_id=account_id, actor=actor),
        savers=[gateway for gateway in current_gateways() if isinstance(gateway, Charges)],
        form=form,
    )
    return _leading_out(body, status)


def _leading_out(body: str, status: int) -> Response:
    """Return a page whose forms may end at a gateway: browsers hold redirects of a form to the same rule as the form."""
    response = make_response(body, status)
    origins = [origin for gateway in current_gateways() for origin in gateway.origins]
    response.headers["Content-Security-Policy"] = content_security_policy(form_action=origins)
    return response
