"""Somebody at a browser, over Flask's test client: with cookies, with the forms' CSRF tokens, without JavaScript."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from domus.accounts.models import User
from domus.core.settings import Settings
from tests.support.people import PASSWORD

SECRET = "not a secret, " * 4

#: A good ssh key that belongs to nobody.
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f alice@example.org"

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_REQUEST_TOKEN = re.compile(r'name="request_token"[^>]*value="([^"]+)"')


def settings(**changes: Any) -> Settings:
    """Return settings for a panel under test: no TLS, test gateway on."""
    defaults: dict[str, Any] = {
        "database_url": "sqlite://",
        "secret_key": SECRET,
        "secure_cookies": False,
        "test_gateway": True,
        "company_name": "Example Hosting",
        "support_email": "support@example.com",
    }
    return Settings(**defaults | changes)


def text_of(response: TestResponse) -> str:
    """Return what a page says: without tags, entities resolved, white space made single."""
    body = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", response.get_data(as_text=True))
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


class Visitor:
    """One browser."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def get(self, path: str, *, status: int = 200, **options: Any) -> TestResponse:
        """Open a page, which must answer with *status*."""
        response = self.client.get(path, **options)
        assert response.status_code == status, f"GET {path}: {response.status_code} {text_of(response)[:400]}"
        return response

    def post(
        self, path: str, data: Mapping[str, Any] | None = None, *, status: int = 303, **options: Any
    ) -> TestResponse:
        """Send a form with a valid CSRF token; the answer must have *status*."""
        fields = {"csrf_token": self.csrf_token(), **(data or {})}
        response = self.client.post(path, data=fields, **options)
        assert response.status_code == status, (
            f"POST {path}: {response.status_code} {text_of(response)[:400]}"
        )
        return response

    def csrf_token(self) -> str:
        """Return a token that is good for this browser's session; every page with a form carries one."""
        is_known = self.client.get_cookie("domus_session") is not None
        page = self.client.get("/nothing-here" if is_known else "/login", follow_redirects=True)
        found = _TOKEN.search(page.get_data(as_text=True))
        assert found is not None
        return found[1]

    def request_token(self, path: str = "/orders/new") -> str:
        """Return the hidden token of a freshly opened order form."""
        found = _REQUEST_TOKEN.search(self.get(path).get_data(as_text=True))
        assert found is not None
        return found[1]

    def log_in(self, user: User, password: str = PASSWORD) -> Visitor:
        """Log in and return this visitor."""
        self.post("/login", {"email": user.email, "password": password})
        return self
