"""PayPal as it documents itself, as far as Domus uses it: tokens, orders, captures, refunds, keys, signed deliveries."""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from domus.gateways.interface import Delivery
from tests.support.http_server import LOST, Answer, Request, serving

CLIENT_ID, CLIENT_SECRET, WEBHOOK_ID = "client of the tests", "secret of the tests", "WH-OF-THE-TESTS"
CERTIFICATE_PATH = "/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"

Object = dict[str, Any]


@cache
def signer() -> tuple[rsa.RSAPrivateKey, bytes]:
    """Return a key and its certificate, good for the year 2026."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.paypal.com")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    )
    return key, builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@dataclass
class FakePaypal:
    """The orders of one account, and what goes wrong next."""

    orders: dict[str, Object] = field(default_factory=dict)
    captures: dict[str, Object] = field(default_factory=dict)
    refunds: dict[str, Object] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    lose_answers: int = 0
    """So many requests are carried out and not answered."""
    lose_refunds: int = 0
    """The same, of refunds alone."""
    fail_with: int = 0
    declines: bool = False
    captures_wait: bool = False
    refuse_refunds: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    # What customers and operators do at PayPal, and what becomes of time.

    def customer_approves(self, order_id: str) -> Object:
        """Let the customer agree to pay."""
        self.orders[order_id]["status"] = "APPROVED"
        return self.orders[order_id]

    def operator_refunds(self, capture_id: str, value: str) -> Object:
        """Let somebody refund in PayPal's own panel."""
        return self._refund(self.captures[capture_id], {"value": value, "currency_code": "USD"}, None)

    def forget_keys(self) -> None:
        """Let the six hours pass in which a key is remembered."""
        self.answers.clear()

    def end_tokens(self) -> None:
        """Let the tokens end."""
        self.tokens.clear()

    def event(
        self, kind: str, resource: Object, *, at: datetime, event_id: str = "", **changed: str
    ) -> Delivery:
        """Return a signed delivery; *changed* headers are what somebody else would send."""
        body = json.dumps(
            {"id": event_id or f"WH-{next(self._numbers)}", "event_type": kind, "resource": resource}
        ).encode()
        return self.signed(body, at=at, **changed)

    def signed(self, body: bytes, *, at: datetime, **changed: str) -> Delivery:
        """Return a body as PayPal delivers it."""
        sent = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = f"69cd13f0-d67a|{sent}|{WEBHOOK_ID}|{zlib.crc32(body)}"
        signature = signer()[0].sign(told.encode(), PKCS1v15(), SHA256())
        headers = {
            "paypal-transmission-id": "69cd13f0-d67a",
            "paypal-transmission-time": sent,
            "paypal-transmission-sig": base64.b64encode(signature).decode(),
            "paypal-cert-url": f"{self.url}{CERTIFICATE_PATH}",
            "paypal-auth-algo": "SHA256withRSA",
        }
        headers |= {f"paypal-{name.replace('_', '-')}": value for name, value in changed.items()}
        return Delivery(headers, body)

    # The API.

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve the API; yield its base URL."""
        with serving(self.answer) as url:
            self.url = url
            yield url

    def answer(self, request: Request) -> Answer:
        """Answer one request as the API does."""
        with self._lock:
            self.calls.append((request.method, request.path))
            if request.path == CERTIFICATE_PATH:
                return Answer(200, signer()[1], content_type="application/x-pem-file")
            if request.path.startswith("/v1/notifications/"):
                return _missing()
            if request.path == "/v1/oauth2/token":
                return self._new_token(request)
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return _json({"error": "invalid_token"}, 401)
            if self.fail_with:
                return _json({"name": "INTERNAL_SERVER_ERROR"}, self.fail_with)
            said = self._once(request)
            if self.lose_answers:
                self.lose_answers -= 1
                return LOST
            if self.lose_refunds and request.path.endswith("/refund"):
                self.lose_refunds -= 1
                return LOST
            return said

    def _new_token(self, request: Request) -> Answer:
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return _json(
                {"error": "invalid_client", "error_description": "Client Authentication failed"}, 401
            )
        token = f"token-{next(self._numbers)}"
        self.tokens.add(token)
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": 32400})

    def _once(self, request: Request) -> Answer:
        key = request.headers.get("paypal-request-id", "") if request.method == "POST" else ""
        if key in self.answers:
            return self.answers[key]
        said = self._route(request)
        if key and said.status < 500:
            self.answers[key] = said
        return said

    def _route(self, request: Request) -> Answer:
        sent = json.loads(request.body or b"{}") if request.method == "POST" else {}
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("POST", r"/v2/checkout/orders", self._make_order),
            ("GET", r"/v2/checkout/orders/([\w-]+)", lambda _sent, name: self._shown(self.orders, name)),
            ("POST", r"/v2/checkout/orders/([\w-]+)/capture", self._capture),
            ("GET", r"/v2/payments/captures/([\w-]+)", lambda _sent, name: self._shown(self.captures, name)),
            ("POST", r"/v2/payments/captures/([\w-]+)/refund", self._make_refund),
            ("GET", r"/v2/payments/refunds/([\w-]+)", lambda _sent, name: self._shown(self.refunds, name)),
        )
        for method, pattern, act in routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return act(sent, *match.groups())
        return _missing()

    def _make_order(self, sent: Object) -> Answer:
        order_id = f"ORDER{next(self._numbers)}"
        order = {
            "id": order_id,
            "status": "PAYER_ACTION_REQUIRED",
            "purchase_units": sent["purchase_units"],
            "asked": sent,
            "links": [
                {"rel": "self", "href": f"{self.url}/v2/checkout/orders/{order_id}"},
                {"rel": "payer-action", "href": f"https://www.paypal.com/checkoutnow?token={order_id}"},
            ],
        }
        self.orders[order_id] = order
        return _json(order, 201)

    def _capture(self, _sent: Object, name: str) -> Answer:
        order = self.orders.get(name)
        if order is None:
            return _missing()
        if order["status"] != "APPROVED":
            issue = "ORDER_ALREADY_CAPTURED" if order["status"] == "COMPLETED" else "ORDER_NOT_APPROVED"
            return _refusal(issue, "The order cannot be captured.")
        if self.declines:
            return _refusal("INSTRUMENT_DECLINED", "The instrument presented was declined.")
        (unit,) = order["purchase_units"]
        capture = {
            "id": f"CAPTURE{next(self._numbers)}",
            "status": "PENDING" if self.captures_wait else "COMPLETED",
            "amount": unit["amount"],
            "custom_id": unit.get("custom_id"),
            "seller_receivable_breakdown": {"paypal_fee": {"currency_code": "USD", "value": "0.59"}},
            "supplementary_data": {"related_ids": {"order_id": name}},
        }
        self.captures[capture["id"]] = capture
        unit["payments"] = {"captures": [capture], "refunds": []}
        order["status"] = "COMPLETED"
        return _json(order, 201)

    def _make_refund(self, sent: Object, name: str) -> Answer:
        if self.refuse_refunds:
            return _refusal("CAPTURE_FULLY_REFUNDED", "The capture has already been fully refunded.")
        return _json(self._refund(self.captures[name], sent["amount"], sent.get("custom_id")), 201)

    def _refund(self, capture: Object, amount: Object, custom_id: str | None) -> Object:
        refund = {
            "id": f"REFUND{next(self._numbers)}",
            "status": "COMPLETED",
            "amount": amount,
            "custom_id": custom_id,
            "links": [{"rel": "up", "href": f"{self.url}/v2/payments/captures/{capture['id']}"}],
        }
        self.refunds[refund["id"]] = refund
        whole = amount["value"] == capture["amount"]["value"]
        capture["status"] = "REFUNDED" if whole else "PARTIALLY_REFUNDED"
        order = self.orders[capture["supplementary_data"]["related_ids"]["order_id"]]
        order["purchase_units"][0]["payments"]["refunds"].append(refund)
        return refund

    @staticmethod
    def _shown(things: dict[str, Object], name: str) -> Answer:
        return _json(things[name]) if name in things else _missing()


#: A moment at which the certificate is not good any more.
AFTER_THE_CERTIFICATE = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(hours=1)


def _json(content: Object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode())


def _missing() -> Answer:
    return _json(
        {
            "name": "RESOURCE_NOT_FOUND",
            "message": "The specified resource does not exist.",
            "details": [{"issue": "INVALID_RESOURCE_ID"}],
        },
        404,
    )


def _refusal(issue: str, description: str) -> Answer:
    details = [{"issue": issue, "description": description}]
    return _json(
        {"name": "UNPROCESSABLE_ENTITY", "message": "The action could not be performed.", "details": details}, 422
    )  # fmt: skip
