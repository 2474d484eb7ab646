"""The pages at the entrance."""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domus.core.clock import utc_now
from domus.core.errors import InvalidInput, NotAllowed, TooManyAttempts
from domus.workflows import accounts
from domus_web.auth import sessions
from domus_web.auth.forms import ChangePasswordForm, LogInForm, SignUpForm
from domus_web.context import current_db, current_settings, current_user, user_or_none
from domus_web.errors import add_retry_after, status_of

blueprint = Blueprint("auth", __name__)


def _remote_address() -> str:
    return request.remote_addr or "unknown"


@blueprint.route("/login", methods=["GET", "POST"])
def log_in() -> ResponseReturnValue:
    """Log a customer or an operator in."""
    user = user_or_none()
    if user is not None and request.method == "GET":
        return redirect(sessions.safe_next(request.args.get("next"), sessions.home_of(user)))
    form, status = LogInForm(), 200
    if form.validate_on_submit():
        try:
            return _enter(str(form.email.data), str(form.password.data))
        except (NotAllowed, TooManyAttempts, InvalidInput) as error:
            form.form_errors.append(str(error))
            page = make_response(render_template("auth/log_in.html", form=form), status_of(error))
            return add_retry_after(page, error)
    elif form.is_submitted():
        status = 422
    return render_template("auth/log_in.html", form=form), status


def _enter(email: str, password: str) -> ResponseReturnValue:
    """Begin a new session; raise what the accounts workflow raises."""
    ticket = accounts.log_in(
        current_db(),
        email=email,
        password=password,
        remote_address=_remote_address(),
        lifetime=current_settings().session_lifetime,
        now=utc_now(),
    )
    target = sessions.safe_next(request.args.get("next"), sessions.home_of(ticket.user))
    response = redirect(target, 303)
    sessions.begin(response, ticket.token)
    return response


@blueprint.post("/logout")
def log_out() -> ResponseReturnValue:
    """End the session on the server, so that a copied cookie is worth nothing."""
    response = redirect(url_for("auth.log_in"), 303)
    sessions.end(response)
    flash("You are logged out.")
    return response


@blueprint.route("/sign-up", methods=["GET", "POST"])
def sign_up() -> ResponseReturnValue:
    """Open an account and log its first user in."""
    form, status = SignUpForm(), 200
    if form.validate_on_submit():
        try:
            accounts.sign_up(
                current_db(),
                name=str(form.name.data),
                email=str(form.email.data),
                password=str(form.password.data),
                country=str(form.country.data or ""),
                referral=request.cookies.get(sessions.REFERRAL_COOKIE, ""),
                remote_address=_remote_address(),
                now=utc_now(),
            )
            entered = make_response(_enter(str(form.email.data), str(form.password.data)))
            entered.delete_cookie(sessions.REFERRAL_COOKIE)
            return entered
        except InvalidInput as error:
            form.refuse(error)
            status = 422
        except TooManyAttempts as error:
            form.form_errors.append(str(error))
            page = make_response(render_template("auth/sign_up.html", form=form), 429)
            return add_retry_after(page, error)
    elif form.is_submitted():
        status = 422
    return render_template("auth/sign_up.html", form=form), status


@blueprint.route("/account/password", methods=["GET", "POST"])
@sessions.login_required
def change_password() -> ResponseReturnValue:
    """Change the password, which ends every other session of the user."""
    form = ChangePasswordForm()
    if form.validate_on_submit():
        try:
            accounts.change_password(
                current_db(),
                user_id=current_user().id,
                old=str(form.old.data),
                new=str(form.new.data),
                keep_token=request.cookies[sessions.COOKIE],
                now=utc_now(),
            )
        except InvalidInput as error:
            form.refuse(error)
        else:
            flash("Password changed. Every other session was ended.")
            return redirect(sessions.home_of(current_user()), 303)
    return render_template("auth/change_password.html", form=form), 422 if form.is_submitted() else 200
