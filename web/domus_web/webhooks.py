"""Where gateways deliver their events: checked, stored, answered at once, and processed after the answer is out."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request

from domus.core.clock import utc_now
from domus.core.errors import DomusError, NotFound
from domus.db.engine import Database
from domus.gateways.interface import Delivery, DeliveryRefused, GatewayUnavailable
from domus.gateways.registry import Gateways
from domus.workflows.payments import events
from domus_web.context import current_db, current_gateways

log = logging.getLogger(__name__)

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@blueprint.post("/<name>")
def receive(name: str) -> Response:
    """Take an event. 200 says that it is stored, or was before; 400 that the gateway did not make it, or not lately."""
    db, gateways = current_db(), current_gateways()
    delivery = Delivery(
        {key.lower(): value for key, value in request.headers.items()}, request.get_data(cache=False)
    )
    try:
        event_id = events.accept(
            db, gateways, name, delivery, sender=request.remote_addr or "", now=utc_now()
        )
    except DeliveryRefused as error:
        return _plain(str(error), 400)
    except NotFound as error:
        return _plain(str(error), 404)
    except GatewayUnavailable as error:
        # It could not be checked; the gateway delivers it again.
        log.warning("a delivery for %s could not be checked: %s", name, error)
        return _plain("try again later", 503)
    response = _plain("stored" if event_id is not None else "known already", 200)
    if event_id is not None:
        # Whoever delivers waits only a few seconds, and looking things up may take longer. What is not done here, because
        # the process ends or the gateway is silent, `domus gateway work` does.
        response.call_on_close(lambda: _process(db, gateways, event_id))
    return response


def _process(db: Database, gateways: Gateways, event_id: int) -> None:
    try:
        events.process(db, gateways, event_id, now=utc_now())
    except DomusError as error:
        log.warning("event %s is left for later: %s", event_id, error)
    except Exception:
        # The answer is out; there is nobody to tell but the log. The event waits and is tried again.
        log.exception("event %s is left for later", event_id)


def _plain(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, mimetype="text/plain")
