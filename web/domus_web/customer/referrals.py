"""Bringing others: the link that leads here, what the browser remembers of it, and what was earned."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from domus.core.clock import utc_now
from domus.workflows import commissions
from domus_web.auth.sessions import REFERRAL_COOKIE, customer_required
from domus_web.context import (
    current_account_id,
    current_actor,
    current_db,
    current_settings,
    user_or_none,
)

blueprint = Blueprint("referrals", __name__)


@blueprint.get("/r/<code>")
def arrive(code: str) -> ResponseReturnValue:
    """Remember for a while by whose link somebody came first, and show what is sold."""
    response: Response = redirect(url_for("public.home"))
    is_new_here = user_or_none() is None and REFERRAL_COOKIE not in request.cookies
    if is_new_here and commissions.is_known_code(current_db(), code):
        settings = current_settings()
        response.set_cookie(
            REFERRAL_COOKIE,
            code,
            max_age=settings.referral_memory,
            httponly=True,
            samesite="Lax",
            secure=settings.secure_cookies,
        )
    return response


@blueprint.get("/account/referrals")
@customer_required
def show() -> str:
    """Show the link, how many came by it, and what they earned."""
    seen = commissions.overview(
        current_db(), account_id=current_account_id(), actor=current_actor(), now=utc_now()
    )
    link = "" if seen.code is None else _base() + url_for("referrals.arrive", code=seen.code)
    return render_template("customer/referrals.html", seen=seen, link=link)


@blueprint.post("/account/referrals")
@customer_required
def make() -> ResponseReturnValue:
    """Make the link."""
    commissions.make_link(current_db(), account_id=current_account_id(), actor=current_actor(), now=utc_now())
    return redirect(url_for("referrals.show"), 303)


def _base() -> str:
    """Return where the panel is: as the operator says, else as this very browser reached it."""
    return current_settings().panel_url or request.host_url.rstrip("/")
