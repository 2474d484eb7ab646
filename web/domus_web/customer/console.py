"""The last lines of a VPS's console."""

from __future__ import annotations

import uuid

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domus.core.clock import utc_now
from domus.vps.models import ConsoleTail
from domus.workflows import console
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db
from domus_web.customer import queries
from domus_web.customer.queries import VpsView

blueprint = Blueprint("console", __name__, url_prefix="/vps")


@blueprint.get("/<uuid:vps_id>/console")
@customer_required
def show(vps_id: uuid.UUID) -> str:
    """Show the console page."""
    view, tail = _read(vps_id)
    return render_template("customer/console.html", view=view, tail=tail)


@blueprint.get("/<uuid:vps_id>/console/lines")
@customer_required
def fragment(vps_id: uuid.UUID) -> str:
    """Return the lines alone, for the script that keeps them fresh."""
    view, tail = _read(vps_id)
    return render_template("customer/_console.html", view=view, tail=tail)


@blueprint.post("/<uuid:vps_id>/console")
@customer_required
def ask(vps_id: uuid.UUID) -> ResponseReturnValue:
    """Have the lines fetched from the dom0, for the script (in the background) or for the button."""
    console.ask(current_db(), vps_id=vps_id, actor=current_actor(), now=utc_now())
    if request.headers.get("X-Requested-With") == "fetch":
        return "", 204
    return redirect(url_for("console.show", vps_id=vps_id), 303)


def _read(vps_id: uuid.UUID) -> tuple[VpsView, ConsoleTail | None]:
    with current_db().reading() as session:
        view = queries.vps_view(session, current_account_id(), vps_id)
        return view, queries.console_tail(session, vps_id)
