"""Errors as pages: one translation from the house's codes to HTTP, in the look of the panel."""

from __future__ import annotations

import logging
import uuid

from flask import Flask, Response, make_response, render_template
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from domus.core.errors import DomusError, TooManyAttempts

log = logging.getLogger(__name__)

STATUS_BY_CODE = {
    "invalid_input": 400,
    "not_allowed": 403,
    "not_found": 404,
    "conflict": 409,
    "no_capacity": 409,
    "precondition_failed": 409,
    "too_many_attempts": 429,
    "gateway_unavailable": 502,
}

TITLES = {
    400: "That request cannot be read",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not possible this way",
    409: "Not possible now",
    413: "Too large",
    429: "Too many attempts",
    500: "Something broke",
    502: "No answer",
}

#: What is said where the library's own sentence is for programmers.
SENTENCES = {
    404: "There is no such page, or it is not yours to see.",
    405: "This address does not take that kind of request. Use the buttons of the page.",
    413: "What was sent is larger than anything this panel takes.",
}


def register(app: Flask) -> None:
    """Turn every error of *app* into a page."""
    app.register_error_handler(DomusError, domus_error)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: DomusError) -> int:
    """Return the HTTP status that stands for *error*; 500 for what no request can cause."""
    return STATUS_BY_CODE.get(error.code, 500)


def add_retry_after(response: Response, error: DomusError) -> Response:
    """Say when to come back, where *error* knows it."""
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def domus_error(error: DomusError) -> Response:
    """Return the page for an error that the house raised on purpose."""
    status = status_of(error)
    if status == 500:
        return _unexpected(error)
    return add_retry_after(_page(status, str(error)), error)


def _csrf_error(_error: CSRFError) -> Response:
    return _page(
        400, "The form was too old or did not come from this site. Go back, reload the page and try again."
    )


def _http_error(error: HTTPException) -> Response:
    if error.code is None or error.response is not None or error.code < 400:
        return make_response(error.get_response())
    response = _page(error.code, SENTENCES.get(error.code, error.description or ""))
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    # The log has the details under the number that the customer can quote; the page has none of them.
    incident = uuid.uuid4().hex[:12]
    log.error("incident %s", incident, exc_info=error)
    return _page(500, "The fault is ours and has been logged. Nothing was half done.", incident=incident)


def _page(status: int, sentence: str, *, incident: str = "") -> Response:
    title = TITLES.get(status, "That did not work")
    body = render_template("error.html", status=status, title=title, sentence=sentence, incident=incident)
    return make_response(body, status)
