"""The application factory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from domus.core.settings import Settings
from domus.db.engine import Database
from domus.gateways.registry import Gateways, gateways_from
from domus_web import customer, errors, filters, headers, operator, webhooks
from domus_web.auth import resets, sessions
from domus_web.auth.views import blueprint as auth_blueprint
from domus_web.context import EXTENSION, Parts, current_db, user_or_none

#: No form of ours comes near; larger bodies are refused before they are read.
MAX_BODY_BYTES = 512 * 1024

csrf = CSRFProtect()


def create_app(settings: Settings, db: Database | None = None, gateways: Gateways | None = None) -> Flask:
    """Return the panels as a WSGI application. *db* is opened from the settings unless it is handed in.

    Without *gateways* there are those that need no key: the balance, and play money where the settings allow it.
    """
    app = Flask(__name__)
    if gateways is None:
        gateways = gateways_from({"DOMUS_TEST_GATEWAY": "yes" if settings.test_gateway else "no"})
    app.extensions[EXTENSION] = Parts(settings, db or Database(settings.database_url), gateways)
    app.config.update(_flask_config(settings))
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    csrf.init_app(app)
    filters.register(app)
    headers.register(app)
    errors.register(app)
    sessions.register(app)
    _register_pages(app)
    _register_globals(app, settings)
    return app


def _register_pages(app: Flask) -> None:
    app.register_blueprint(auth_blueprint)
    app.register_blueprint(resets.blueprint)
    customer.register(app)
    operator.init_app(app)
    # Gateways prove who they are by a signature; they have no form and no session.
    csrf.exempt(webhooks.blueprint)
    app.register_blueprint(webhooks.blueprint)
    app.add_url_rule("/healthz", "healthz", healthz)


def _flask_config(settings: Settings) -> dict[str, Any]:
    # Flask's own signed cookie carries the CSRF token and one-time notices, never who is logged in.
    return {
        "SECRET_KEY": settings.secret_key,
        "SESSION_COOKIE_NAME": "domus_form",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "MAX_CONTENT_LENGTH": MAX_BODY_BYTES,
        # The token lives as long as the cookie: a form that was open over lunch still works.
        "WTF_CSRF_TIME_LIMIT": None,
        "SEND_FILE_MAX_AGE_DEFAULT": 31536000,
    }


def _register_globals(app: Flask, settings: Settings) -> None:
    static = Path(app.static_folder or "")
    versions = {
        path.relative_to(static).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in static.rglob("*")
        if path.is_file()
    }

    def asset(name: str) -> str:
        """Return the address of a static file, which changes with its content."""
        return f"{app.static_url_path}/{name}?v={versions[name]}"

    @app.context_processor
    def everywhere() -> dict[str, Any]:
        return {"asset": asset, "settings": settings, "user": user_or_none()}


def healthz() -> Response:
    """Answer 200 when the database answers, else 503: for load balancers."""
    try:
        with current_db().reading() as session:
            session.execute(sa.select(1))
    except sa.exc.SQLAlchemyError:
        return Response("database unreachable\n", 503, mimetype="text/plain")
    return Response("ok\n", mimetype="text/plain")
