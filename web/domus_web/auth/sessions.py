"""The session cookie, and who may pass a view."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as BaseResponse

from domus.accounts.models import User
from domus.core.clock import utc_now
from domus.core.errors import NotAllowed, NotFound
from domus.workflows import accounts
from domus_web.context import current_db, current_settings, user_or_none

COOKIE = "domus_session"
OPERATOR_HOME = "/operator/"
#: By whose link a browser came first; read when it signs up.
REFERRAL_COOKIE = "domus_referral"

#: Reachable while a password has to be changed first.
_ALWAYS_OPEN = {"static", "healthz", "auth.log_out", "auth.change_password"}

P = ParamSpec("P")
R = TypeVar("R", bound=ResponseReturnValue)


def register(app: Flask) -> None:
    """Find out before each request of *app* who sends it."""
    app.before_request(_load_user)


def _load_user() -> BaseResponse | None:
    g.user = None
    token = request.cookies.get(COOKIE)
    if not token or request.endpoint in ("static", "healthz"):
        return None
    user = accounts.session_user(current_db(), token=token, now=utc_now())
    g.user = user
    if user is not None and user.must_change_password and request.endpoint not in _ALWAYS_OPEN:
        return redirect(url_for("auth.change_password"))
    return None


def begin(response: BaseResponse, token: str) -> None:
    """Hand the new session's token to the browser; what it had before, a session or a form's token, ends."""
    _end_on_server()
    session.clear()
    settings = current_settings()
    response.set_cookie(
        COOKIE,
        token,
        max_age=settings.session_lifetime,
        httponly=True,
        samesite="Lax",
        secure=settings.secure_cookies,
    )


def end(response: BaseResponse) -> None:
    """End the session in the database, then in the browser."""
    _end_on_server()
    session.clear()
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax", secure=current_settings().secure_cookies)


def _end_on_server() -> None:
    token = request.cookies.get(COOKIE)
    if token:
        accounts.log_out(current_db(), token=token, now=utc_now())


def home_of(user: User) -> str:
    """Return where a user starts."""
    return OPERATOR_HOME if user.is_operator else url_for("vps.index")


def safe_next(target: str | None, default: str) -> str:
    """Return *target* when it is a path on this site, else *default*.

    Browsers read ``//host`` and ``/\\host`` as another site, and drop control characters before they look.
    """
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return default
    if any(ord(character) < 33 or character == "\\" for character in target):
        return default
    parts = urlsplit(target)
    return default if parts.scheme or parts.netloc else target


def customer_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Let only customers pass; visitors are sent to log in and come back."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | Response:
        user = user_or_none()
        if user is None:
            return _to_log_in()
        if user.is_operator:
            raise NotAllowed("This page is for customers. Operators find everything in the operator panel.")
        return view(*args, **kwargs)

    return guarded


def login_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Let everybody pass who is logged in."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | Response:
        if user_or_none() is None:
            return _to_log_in()
        return view(*args, **kwargs)

    return guarded


def operator_required(view: Callable[P, R]) -> Callable[P, R | Response]:
    """Let only operators pass; to customers the operator panel does not exist."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | Response:
        refusal = operator_refusal()
        return view(*args, **kwargs) if refusal is None else refusal

    return guarded


def operator_refusal() -> Response | None:
    """Return None for an operator and a redirect for a visitor; raise NotFound for a customer."""
    user = user_or_none()
    if user is None:
        return _to_log_in()
    if not user.is_operator:
        raise NotFound("There is no such page.")
    return None


def _to_log_in() -> Response:
    # Only what can be repeated by opening it is worth coming back to.
    back = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else None
    return Response(status=303, headers={"Location": url_for("auth.log_in", next=back)})
