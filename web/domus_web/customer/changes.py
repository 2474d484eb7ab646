"""Another size for a VPS: what there is to choose from, what each costs, agreeing to one, and withdrawing it."""

from __future__ import annotations

import uuid

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, HiddenField

from domus.contracts.models import ChangeState
from domus.core.clock import utc_now
from domus.core.errors import Conflict, InvalidInput, NoCapacity, NotFound
from domus.core.money import Money
from domus.workflows.contracts import changing, offering
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db, current_settings
from domus_web.customer import queries
from domus_web.forms import ConfirmForm, Form

blueprint = Blueprint("changes", __name__, url_prefix="/vps/<uuid:vps_id>/change")


class AgreeForm(Form):
    """The amount that was shown, and whether to restart at once."""

    shown_minor = HiddenField()
    restart = BooleanField("Restart it as soon as its machine is ready for it", default=True)


@blueprint.get("")
@customer_required
def index(vps_id: uuid.UUID) -> ResponseReturnValue:
    """Show what the VPS can become, and what each costs now and at the next renewal."""
    with current_db().reading() as session:
        page = queries.vps_page(session, current_account_id(), vps_id)
    if page.change is not None:
        return redirect(url_for("changes.show", vps_id=vps_id, change_id=page.change.id))
    choices, problem = [], ""
    try:
        choices = offering.options(current_db(), vps_id=vps_id, actor=current_actor(), now=utc_now())
    except Conflict as error:
        problem = str(error)
    return render_template(
        "customer/changes.html", page=page, view=page.view, choices=choices, problem=problem
    )


@blueprint.route("/to/<int:price_id>", methods=["GET", "POST"])
@customer_required
def agree(vps_id: uuid.UUID, price_id: int) -> ResponseReturnValue:
    """Show every amount of a change, and agree to it."""
    form, problem, code = AgreeForm(), "", 200
    if form.validate_on_submit():
        try:
            return _agree(vps_id, price_id, form)
        except (InvalidInput, NoCapacity, Conflict) as error:
            problem, code = str(error), 422 if isinstance(error, InvalidInput) else 409
    offer = offering.quote(
        current_db(), vps_id=vps_id, price_id=price_id, actor=current_actor(), now=utc_now()
    )
    # After a refusal the amount is the one that stands now.
    form.shown_minor.data = str(offer.answer.minor)
    with current_db().reading() as session:
        view = queries.vps_view(session, current_account_id(), vps_id)
    return render_template("customer/change.html", view=view, offer=offer, form=form, problem=problem), code


@blueprint.get("/<int:change_id>")
@customer_required
def show(vps_id: uuid.UUID, change_id: int) -> str:
    """Show a change that waits to be paid, or what became of it."""
    change = offering.get(current_db(), change_id=change_id, actor=current_actor())
    if change.vps_id != vps_id:
        raise NotFound("There is no such change.")
    with current_db().reading() as session:
        view = queries.vps_view(session, current_account_id(), change.vps_id)
    return render_template("customer/change_open.html", view=view, change=change, form=ConfirmForm())


@blueprint.post("/<int:change_id>/withdraw")
@customer_required
def withdraw(vps_id: uuid.UUID, change_id: int) -> ResponseReturnValue:
    """Take a change back that is not paid."""
    if ConfirmForm().validate_on_submit():
        changing.withdraw(current_db(), change_id=change_id, actor=current_actor(), now=utc_now())
        flash("The change is withdrawn; nothing is to be paid for it.")
    return redirect(url_for("vps.show", vps_id=vps_id), 303)


def _agree(vps_id: uuid.UUID, price_id: int, form: AgreeForm) -> ResponseReturnValue:
    offer = offering.quote(
        current_db(), vps_id=vps_id, price_id=price_id, actor=current_actor(), now=utc_now()
    )
    text = str(form.shown_minor.data)
    if not text.removeprefix("-").isdecimal() or len(text) > 15:
        raise InvalidInput("The amount that was shown is missing. Please look at it again.")
    change = changing.agree(
        current_db(),
        vps_id=vps_id,
        price_id=price_id,
        shown=Money(int(text), offer.price.currency),
        restart=bool(form.restart.data),
        hold=current_settings().order_hold,
        actor=current_actor(),
        now=utc_now(),
    )
    if change.state is ChangeState.OPEN and change.invoice_id is not None:
        return redirect(url_for("payments.choose", invoice_id=change.invoice_id), 303)
    flash("The change is done; the machine follows in a moment.")
    return redirect(url_for("vps.show", vps_id=vps_id), 303)
