"""PayPal's REST API: a token, requests with a key under which they are done once, and errors as ours."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import requests

from domus.core.errors import InvalidInput
from domus.gateways.interface import GatewayUnavailable

TIMEOUT_SECONDS = (10, 30)
LIVE, SANDBOX = "https://api-m.paypal.com", "https://api-m.sandbox.paypal.com"


class PaypalRefused(InvalidInput):
    """PayPal will not do it; ``issues`` are its own names of why."""

    def __init__(self, message: str, issues: frozenset[str]) -> None:
        super().__init__(message, field="gateway")
        self.issues = issues


class PaypalClient:
    """One application at PayPal."""

    def __init__(self, client_id: str, client_secret: str, *, api_base: str) -> None:
        self.api_base = api_base.rstrip("/")
        self._keys = (client_id, client_secret)
        self._token = ""
        self._lock = threading.Lock()

    def get(self, path: str) -> Mapping[str, Any]:
        """Return an object; raise PaypalRefused with ``RESOURCE_NOT_FOUND`` when it is not there."""
        return self._ask("GET", path, None, "")

    def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Mapping[str, Any]:
        """Have something made, once for each key; PayPal remembers keys for six hours."""
        return self._ask("POST", path, body, key)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
        token = self._token or self._new_token("")
        answer = self._send(method, path, body, key, token)
        if answer.status_code == 401:
            # Tokens end after some hours.
            answer = self._send(method, path, body, key, self._new_token(token))
        return _read(answer)

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str, token: str
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", "Prefer": "return=representation"}
        if key:
            headers["PayPal-Request-Id"] = key
        return self._request(method, path, headers=headers, json=body)

    def _new_token(self, worn: str) -> str:
        """Return a token other than the one that is worn out; one thread asks for all."""
        with self._lock:
            if self._token == worn:
                answer = self._request(
                    "POST", "/v1/oauth2/token", auth=self._keys, data={"grant_type": "client_credentials"}
                )
                if answer.status_code in (400, 401):
                    raise GatewayUnavailable("PayPal does not take our keys.")
                self._token = str(_read(answer).get("access_token") or "")
            return self._token

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            with requests.Session() as session:
                # Neither keys nor proxies come out of a .netrc or the environment.
                session.trust_env = False
                return session.request(
                    method,
                    f"{self.api_base}{path}",
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                    **options,
                )
        except requests.RequestException as error:
            raise GatewayUnavailable(f"PayPal did not answer: {type(error).__name__}.") from error


def _read(answer: requests.Response) -> Mapping[str, Any]:
    try:
        said = answer.json() if answer.content else {}
    except ValueError as error:
        raise GatewayUnavailable(f"PayPal answered {answer.status_code} and no JSON.") from error
    if not isinstance(said, dict):
        raise GatewayUnavailable(f"PayPal answered {answer.status_code} and no object.")
    if answer.ok:
        return said
    if answer.status_code >= 500 or answer.status_code in (401, 403, 408, 429):
        raise GatewayUnavailable(
            f"PayPal answered {answer.status_code} {said.get('name') or ''}".strip() + "."
        )
    details = [detail for detail in said.get("details") or [] if isinstance(detail, dict)]
    issues = frozenset(str(detail.get("issue")) for detail in details) | {str(said.get("name"))}
    text = next((str(detail["description"]) for detail in details if detail.get("description")), "")
    raise PaypalRefused(text or str(said.get("message") or "PayPal refused the request."), issues)
