"""A customer's VPSs: the list, the page of one, and its power."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domus.core.clock import utc_now
from domus.core.errors import Conflict, InvalidInput
from domus.vps.models import VpsState
from domus.workflows import power
from domus.workflows.renewals import paying
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db
from domus_web.customer import queries
from domus_web.forms import ConfirmForm
from domus_web.pagination import page_number

blueprint = Blueprint("vps", __name__, url_prefix="/vps")


@dataclass(frozen=True, slots=True)
class PowerAction:
    """A button: what it is called, what it does to the VPS, and what it says before and after."""

    label: str
    workflow: Callable[..., Any]
    consequence: str
    asked: str
    danger: bool = False


#: By the last part of the address. The workflows decide whether it is possible now.
POWER_ACTIONS = {
    "start": PowerAction("Start", power.start, "The VPS boots.", "The VPS is being started."),
    "shutdown": PowerAction(
        "Shut down",
        power.shutdown,
        "The operating system is asked to end its programs and switch itself off. If it has not done so "
        "after two minutes it is switched off.",
        "The VPS was asked to shut down.",
    ),
    "reboot": PowerAction(
        "Reboot",
        power.reboot,
        "The operating system is asked to end its programs and start again. Services are away for a minute "
        "or so.",
        "The VPS is being rebooted.",
    ),
    "power-off": PowerAction(
        "Power off",
        power.power_off,
        "This is pulling the plug. Programs get no chance to save: whatever is not on disk yet is lost, and "
        "file systems and databases may need repair at the next start. Use it when shutting down does not work.",
        "The VPS is being switched off.",
        danger=True,
    ),
}

_ACTION = "any(" + ",".join(f'"{name}"' for name in POWER_ACTIONS) + ")"


@blueprint.get("")
@customer_required
def index() -> str:
    """List the account's VPSs."""
    with current_db().reading() as session:
        page = queries.vps_page_list(session, current_account_id(), page_number())
    return render_template("customer/vps_list.html", page=page)


@blueprint.get("/<uuid:vps_id>")
@customer_required
def show(vps_id: uuid.UUID) -> str:
    """Show one VPS."""
    return _page(vps_id)


@blueprint.get("/<uuid:vps_id>/state")
@customer_required
def fragment(vps_id: uuid.UUID) -> str:
    """Return the part of the VPS's page that changes, for the script that keeps it fresh."""
    with current_db().reading() as session:
        page = queries.vps_page(session, current_account_id(), vps_id)
    return render_template("customer/_vps_state.html", page=page, view=page.view, now=utc_now())


@blueprint.route(f"/<uuid:vps_id>/<{_ACTION}:action>", methods=["GET", "POST"])
@customer_required
def change_power(vps_id: uuid.UUID, action: str) -> ResponseReturnValue:
    """Ask whether to change the power of a VPS, and do it."""
    chosen = POWER_ACTIONS[action]
    if request.method == "GET":
        with current_db().reading() as session:
            view = queries.vps_view(session, current_account_id(), vps_id)
        if view.is_suspended or view.vps.state is not VpsState.ACTIVE:
            raise Conflict("The power of this VPS cannot be changed now. Its page says why.")
        return render_template("customer/power.html", view=view, chosen=chosen, form=ConfirmForm())
    try:
        chosen.workflow(current_db(), vps_id=vps_id, actor=current_actor(), now=utc_now())
    except Conflict as error:
        return _page(vps_id, problem=str(error)), 409
    flash(chosen.asked)
    return redirect(url_for("vps.show", vps_id=vps_id), 303)


@blueprint.post("/<uuid:vps_id>/renew")
@customer_required
def renew(vps_id: uuid.UUID) -> ResponseReturnValue:
    """Ask for the next period of a VPS, as early as one likes, and go on to paying it."""
    price_id = request.form.get("price_id", type=int)
    try:
        renewal = paying.ask(
            current_db(), vps_id=vps_id, price_id=price_id, actor=current_actor(), now=utc_now()
        )
    except InvalidInput as error:
        return _page(vps_id, problem=str(error)), 422
    except Conflict as error:
        return _page(vps_id, problem=str(error)), 409
    return redirect(url_for("payments.choose", invoice_id=renewal.invoice_id), 303)


def _page(vps_id: uuid.UUID, *, problem: str = "") -> str:
    with current_db().reading() as session:
        page = queries.vps_page(session, current_account_id(), vps_id)
    return render_template("customer/vps.html", page=page, view=page.view, problem=problem, now=utc_now())
