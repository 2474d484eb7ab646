"""The customer's own account."""

from __future__ import annotations

from flask import Blueprint, render_template

from domus_web.auth.sessions import customer_required

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@customer_required
def show() -> str:
    """Show who the account is."""
    return render_template("customer/account.html")
