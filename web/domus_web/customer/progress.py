"""How far a paid order is, live, and trying again when it failed."""

from __future__ import annotations

import uuid

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domus.core.clock import utc_now
from domus.core.errors import Conflict
from domus.vps.models import VpsState
from domus.workflows import orders
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db
from domus_web.customer import queries
from domus_web.forms import ConfirmForm

blueprint = Blueprint("progress", __name__, url_prefix="/orders")


@blueprint.get("/<uuid:order_id>/progress")
@customer_required
def fragment(order_id: uuid.UUID) -> str:
    """Return the part of the order's page that changes, for the script that keeps it fresh."""
    with current_db().reading() as session:
        page = queries.order_page(session, current_account_id(), order_id)
    return render_template("customer/_progress.html", page=page, order=page.order, now=utc_now())


@blueprint.post("/<uuid:order_id>/retry")
@customer_required
def retry(order_id: uuid.UUID) -> ResponseReturnValue:
    """Have a failed installation tried again."""
    with current_db().reading() as session:
        page = queries.order_page(session, current_account_id(), order_id)
    orders.retry(
        current_db(), vps_id=page.view.vps.id, actor=current_actor(), reason="by the customer", now=utc_now()
    )
    return redirect(url_for("orders.show", order_id=order_id), 303)


@blueprint.route("/<uuid:order_id>/refund", methods=["GET", "POST"])
@customer_required
def refund(order_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether to take the money back for what could not be made, and do it."""
    with current_db().reading() as session:
        page = queries.order_page(session, current_account_id(), order_id)
    if request.method == "GET":
        if page.view.vps.state is not VpsState.PROVISION_FAILED:
            raise Conflict("The money can be taken back here only while the installation has failed.")
        return render_template("customer/order_refund.html", page=page, order=page.order, form=ConfirmForm())
    orders.refund(
        current_db(), order_id=order_id, actor=current_actor(), reason="by the customer", now=utc_now()
    )
    flash(f"Order {page.order} is refunded.")
    return redirect(url_for("orders.show", order_id=order_id), 303)
