"""Ending a contract in the customer panel: at the end of what is paid, or at once; and taking it back."""

from __future__ import annotations

import uuid

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import (  # type: ignore[attr-defined] # too new for its types
    RadioField,
    SelectChoice,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length

from domus.core.clock import utc_now
from domus.core.errors import Conflict, InvalidInput
from domus.workflows.contracts import cancelling
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db, current_settings
from domus_web.customer import queries
from domus_web.forms import ConfirmForm, Form, strip

blueprint = Blueprint("cancellations", __name__, url_prefix="/vps/<uuid:vps_id>")

AT_END, NOW = "end", "now"


class CancelForm(Form):
    """When, why, and the host name for what cannot be undone."""

    when = RadioField(
        "When",
        [InputRequired("Choose when it is to end.")],
        choices=[SelectChoice(AT_END, "When what is paid is used up"), SelectChoice(NOW, "Now")],
        default=AT_END,
    )
    reason = TextAreaField(
        "Reason",
        [InputRequired("A word or two is enough."), Length(max=cancelling.MAX_REASON)],
        filters=[strip],
        render_kw={"rows": 2, "maxlength": cancelling.MAX_REASON},
    )
    typed = StringField(
        "Host name", filters=[strip], render_kw={"autocomplete": "off", "spellcheck": "false"}
    )


@blueprint.route("/cancel", methods=["GET", "POST"])
@customer_required
def cancel(vps_id: uuid.UUID) -> ResponseReturnValue:
    """Say what both ways to end it mean, and do one."""
    with current_db().reading() as session:
        view = queries.vps_view(session, current_account_id(), vps_id)
    form, code = CancelForm(), 200
    ending = cancelling.look(current_db(), vps_id=vps_id, actor=current_actor(), now=utc_now())
    if form.is_submitted():
        code = 422
        if form.validate():
            try:
                flash(_cancel(vps_id, form, view.vps.hostname))
                return redirect(url_for("vps.show", vps_id=vps_id), 303)
            except InvalidInput as error:
                form.refuse(error)
            except Conflict as error:
                form.form_errors.append(str(error))
                code = 409
    credit = current_settings().credit_on_cancel
    return render_template("customer/cancel.html", view=view, ending=ending, form=form, credit=credit), code


@blueprint.post("/keep")
@customer_required
def keep(vps_id: uuid.UUID) -> ResponseReturnValue:
    """Take a cancellation back."""
    if ConfirmForm().validate_on_submit():
        cancelling.take_back(current_db(), vps_id=vps_id, actor=current_actor(), now=utc_now())
        flash("The contract goes on.")
    return redirect(url_for("vps.show", vps_id=vps_id), 303)


def _cancel(vps_id: uuid.UUID, form: CancelForm, hostname: str) -> str:
    reason, actor, now = str(form.reason.data), current_actor(), utc_now()
    if form.when.data == AT_END:
        on = cancelling.cancel_at_end(current_db(), vps_id=vps_id, reason=reason, actor=actor, now=now)
        return f"The contract ends on {on:%Y-%m-%d}. Until then you can take that back."
    if str(form.typed.data) != hostname:
        raise InvalidInput(f"Type {hostname} to end it now.", field="typed")
    credit = current_settings().credit_on_cancel
    given = cancelling.cancel_now(
        current_db(), vps_id=vps_id, credit=credit, reason=reason, actor=actor, now=now
    )
    return f"The contract has ended.{f' {given} are in your balance.' if given else ''}"
