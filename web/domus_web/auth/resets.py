"""Forgotten passwords: asking for a link, and the page that it leads to.

Offered only where mails can carry links, that is, where DOMUS_PANEL_URL is set.
"""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domus.core.clock import utc_now
from domus.core.errors import InvalidInput, NotFound, TooManyAttempts
from domus.workflows import password_reset
from domus_web.auth.forms import AskResetForm, ResetForm
from domus_web.context import current_db, current_settings
from domus_web.errors import add_retry_after

blueprint = Blueprint("resets", __name__, url_prefix=password_reset.PATH)


@blueprint.before_request
def only_with_links() -> None:
    """Answer 404 where no link could be sent."""
    if not current_settings().panel_url:
        raise NotFound("There is no such page.")


@blueprint.route("", methods=["GET", "POST"])
def ask() -> ResponseReturnValue:
    """Send a link; the answer is the same whether there is a user of the address or not."""
    form, status = AskResetForm(), 200
    if form.validate_on_submit():
        try:
            password_reset.ask(
                current_db(), email=str(form.email.data), remote_address=_remote_address(), now=utc_now()
            )
        except InvalidInput as error:
            form.refuse(error)
            status = 422
        except TooManyAttempts as error:
            form.form_errors.append(str(error))
            page = make_response(render_template("auth/ask_reset.html", form=form), 429)
            return add_retry_after(page, error)
        else:
            flash("If there is an account with this address, a mail with a link is on its way to it.")
            return redirect(url_for("auth.log_in"), 303)
    elif form.is_submitted():
        status = 422
    return render_template("auth/ask_reset.html", form=form), status


@blueprint.route("/<token>", methods=["GET", "POST"])
def choose(token: str) -> ResponseReturnValue:
    """Choose a new password. Looking at the page uses nothing up: mail programs look at links too."""
    if not password_reset.is_good(current_db(), token=token, now=utc_now()):
        flash("This link is used or over. Ask for a new one.")
        return redirect(url_for("resets.ask"), 303)
    form = ResetForm()
    if form.validate_on_submit():
        try:
            password_reset.choose(
                current_db(),
                token=token,
                password=str(form.new.data),
                remote_address=_remote_address(),
                now=utc_now(),
            )
        except InvalidInput as error:
            form.refuse(error)
        else:
            flash("Your new password is set. Log in with it.")
            return redirect(url_for("auth.log_in"), 303)
    return render_template("auth/reset.html", form=form), 422 if form.is_submitted() else 200


def _remote_address() -> str:
    return request.remote_addr or "unknown"
