"""Headers that every response carries."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, Response, request

from domus_web.context import current_settings, user_or_none


def content_security_policy(*, form_action: Iterable[str] = ()) -> str:
    """Return the policy of a page: it loads our own style sheet and scripts and nothing else, no inline code, no other site.

    ``form_action`` are origins that its forms may lead to besides ours.
    """
    targets = " ".join(("'self'", *form_action))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"font-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


CONTENT_SECURITY_POLICY = content_security_policy()


def register(app: Flask) -> None:
    """Send the headers with every response of *app*; a view that set one of them itself keeps its own."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    # same-origin and not no-referrer: the CSRF check compares the referrer where TLS is on.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    if current_settings().secure_cookies:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if user_or_none() is not None and request.endpoint != "static":
        # Nothing that belongs to a person stays in a cache, so Back after log-out shows nothing.
        headers.setdefault("Cache-Control", "no-store")
    return response
