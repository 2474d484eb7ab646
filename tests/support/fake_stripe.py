"""Stripe as it documents itself, as far as Domus uses it: keys, declines, 3-D Secure, refunds, disputes, signed events."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import stripe

from domus.gateways.interface import Delivery
from tests.support.http_server import LOST, Answer, Request, serving

SECRET_KEY = "sk_test_of_the_tests"
WEBHOOK_SECRET = "whsec_of_the_tests"

Object = dict[str, Any]

#: Cards of Stripe's own documentation, by what happens when they are charged: (code, decline code, message).
DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline", "Your card was declined."),
    "pm_card_insufficient": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "pm_card_expired": ("expired_card", None, "Your card has expired."),
    "pm_card_authenticationRequired": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}


@dataclass
class FakeStripe:
    """The objects of one account, and what goes wrong next."""

    objects: dict[str, Object] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """(method, path, idempotency key) of every request that had the right key."""
    answers: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    lose_answers: int = 0
    """So many requests are carried out and not answered."""
    lose_refunds: int = 0
    """The same, of refunds alone."""
    fail_with: int = 0
    """When set, nothing is carried out and this status is answered."""
    refuse_refunds: bool = False
    now: int = 1_800_000_000

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    # What customers, banks and operators do at Stripe.

    def opens(self, session_id: str) -> Object:
        """Return a checkout session."""
        return self.objects[session_id]

    def customer_pays(self, session_id: str, *, amount: int | None = None) -> Object:
        """Let the customer pay on Stripe's page; return the payment intent."""
        session = self.objects[session_id]
        asked = session["asked"]
        line = asked["line_items"]["0"]["price_data"]
        data = asked["payment_intent_data"]
        customer = asked.get("customer")
        if customer is None and asked.get("customer_creation") == "always":
            customer = self._new("cus", {"object": "customer"})["id"]
        intent = self._intent(
            amount=int(line["unit_amount"]) if amount is None else amount,
            currency=line["currency"],
            customer=customer,
            metadata=data["metadata"],
            method=self.new_card(customer)["id"],
            setup_future_usage=data.get("setup_future_usage"),
        )
        self._succeed(intent)
        session.update(
            status="complete", payment_status="paid", payment_intent=intent["id"], customer=customer
        )
        return intent

    def customer_saves_card(self, session_id: str) -> Object:
        """Let the customer save a card on Stripe's page; return the setup intent."""
        session = self.objects[session_id]
        customer = session["asked"].get("customer") or self._new("cus", {"object": "customer"})["id"]
        setup = self._new(
            "seti",
            {
                "object": "setup_intent",
                "status": "succeeded",
                "customer": customer,
                "payment_method": self.new_card(customer)["id"],
                "metadata": session["asked"]["setup_intent_data"]["metadata"],
            },
        )
        session.update(status="complete", setup_intent=setup["id"], customer=customer)
        return setup

    def new_card(self, customer: str | None, *, token: str = "", **card: Any) -> Object:
        """Make a payment method; *token* is one of ``DECLINES``, or nothing for a card that works."""
        return self._new(
            "pm",
            {
                "object": "payment_method",
                "type": "card",
                "customer": customer,
                "token": token,
                "card": {"brand": "visa", "last4": "4242", "exp_month": 2, "exp_year": 2028, **card},
            },
        )

    def expires(self, session_id: str) -> None:
        """Let a page run out."""
        self.objects[session_id]["status"] = "expired"

    def operator_refunds(self, intent_id: str, amount: int) -> Object:
        """Let somebody refund in Stripe's own panel."""
        return self._refund({"payment_intent": intent_id, "amount": str(amount)})

    def bank_disputes(self, intent_id: str, *, status: str = "needs_response") -> Object:
        """Let the payer contest a payment."""
        intent = self.objects[intent_id]
        return self._new(
            "du",
            {
                "object": "dispute",
                "status": status,
                "reason": "fraudulent",
                "payment_intent": intent_id,
                "charge": intent["latest_charge"],
                "amount": intent["amount"],
                "currency": intent["currency"],
            },
        )

    def event(self, kind: str, thing: Object, *, at: datetime, event_id: str = "") -> Delivery:
        """Return a signed event as Stripe delivers it."""
        body = json.dumps(
            {
                "id": event_id or f"evt_{next(self._numbers)}",
                "object": "event",
                "type": kind,
                "data": {"object": self._shown(thing, ())},
            }
        )
        header = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET, int(at.timestamp()))
        return Delivery({"stripe-signature": header, "content-type": "application/json"}, body.encode())

    def forget_keys(self) -> None:
        """Let the day pass in which a key is remembered."""
        self.answers.clear()

    # The API.

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve the API; yield its base URL."""
        with serving(self.answer) as url:
            yield url

    def answer(self, request: Request) -> Answer:
        """Answer one request as the API does."""
        if request.headers.get("authorization") != f"Bearer {SECRET_KEY}":
            return _error(401, "invalid_request_error", "Invalid API Key provided: sk_****")
        with self._lock:
            key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
            self.calls.append((request.method, request.path, key))
            if self.fail_with:
                return _error(self.fail_with, "api_error", "Something went wrong on Stripe's end.")
            said = self._once(key, request)
            if self.lose_answers:
                self.lose_answers -= 1
                return LOST
            if self.lose_refunds and (request.method, request.path) == ("POST", "/v1/refunds"):
                self.lose_refunds -= 1
                return LOST
            return said

    def _once(self, key: str, request: Request) -> Answer:
        told = request.path + request.body.decode()
        if key in self.answers:
            first, said = self.answers[key]
            if first != told:
                return _error(
                    400, "idempotency_error", "Keys for idempotent requests can only be used with the same parameters"
                )  # fmt: skip
            return Answer(said.status, said.body, headers=(("Idempotent-Replayed", "true"),))
        said = self._route(request)
        if key and said.status != 429:
            self.answers[key] = (told, said)
        return said

    def _route(self, request: Request) -> Answer:
        sent = _nested(parse_qsl(request.body.decode()) if request.method == "POST" else request.query)
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("POST", r"/v1/checkout/sessions", self._make_session),
            ("POST", r"/v1/payment_intents", self._charge),
            ("GET", r"/v1/payment_intents", self._list_intents),
            ("POST", r"/v1/refunds", self._make_refund),
            ("GET", r"/v1/refunds", self._list_refunds),
            ("POST", r"/v1/payment_methods/(\w+)/detach", self._detach),
            ("GET", r"/v1/(?:checkout/)?\w+/(\w+)", self._retrieve),
        )
        for method, pattern, act in routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return act(sent, *match.groups())
        return _error(404, "invalid_request_error", f"Unrecognized request URL ({request.path})")

    def _make_session(self, sent: Object) -> Answer:
        if sent["mode"] == "payment" and int(sent["line_items"]["0"]["price_data"]["unit_amount"]) < 50:
            return _error(400, "invalid_request_error", "The amount is too small.", code="amount_too_small")
        session = self._new(
            "cs",
            {
                "object": "checkout.session",
                "mode": sent["mode"],
                "status": "open",
                "payment_status": "unpaid",
                "metadata": sent["metadata"],
                "payment_intent": None,
                "setup_intent": None,
                "asked": sent,
            },
        )
        session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
        return self._said(session)

    def _charge(self, sent: Object) -> Answer:
        method = self.objects.get(sent["payment_method"])
        if method is None or method["customer"] != sent["customer"]:
            return _error(
                400, "invalid_request_error", "The PaymentMethod does not belong to the customer.", code="resource_missing"
            )  # fmt: skip
        intent = self._intent(
            amount=int(sent["amount"]),
            currency=sent["currency"],
            customer=sent["customer"],
            metadata=sent["metadata"],
            method=method["id"],
            setup_future_usage=None,
        )
        decline = DECLINES.get(method["token"])
        if decline is not None:
            code, decline_code, message = decline
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = {"code": code, "decline_code": decline_code, "message": message}
            return _error(402, "card_error", message, code=code, decline_code=decline_code)
        self._succeed(intent)
        return self._said(intent, sent)

    def _make_refund(self, sent: Object) -> Answer:
        intent = self.objects[sent["payment_intent"]]
        given = sum(r["amount"] for r in self._of("refund") if r["payment_intent"] == intent["id"])
        if self.refuse_refunds or given + int(sent["amount"]) > intent["amount"]:
            return _error(
                400, "invalid_request_error", "The charge has already been refunded.", code="charge_already_refunded"
            )  # fmt: skip
        return self._said(self._refund(sent), sent)

    def _refund(self, sent: Object) -> Object:
        intent = self.objects[sent["payment_intent"]]
        return self._new(
            "re",
            {
                "object": "refund",
                "status": "succeeded",
                "payment_intent": intent["id"],
                "charge": intent["latest_charge"],
                "amount": int(sent["amount"]),
                "currency": intent["currency"],
                "metadata": sent.get("metadata", {}),
            },
        )

    def _list_intents(self, sent: Object) -> Answer:
        found = [
            intent
            for intent in self._of("payment_intent")
            if intent["created"] >= int(sent["created"]["gte"])
            and sent.get("customer") in (None, intent["customer"])
        ]
        return _json({"object": "list", "has_more": False, "url": "/v1/payment_intents", "data": found})

    def _list_refunds(self, sent: Object) -> Answer:
        found = [
            self._shown(refund, ("payment_intent",))
            for refund in self._of("refund")
            if sent.get("charge") in (None, refund["charge"])
            and sent.get("payment_intent") in (None, refund["payment_intent"])
        ]
        return _json({"object": "list", "has_more": False, "url": "/v1/refunds", "data": found})

    def _detach(self, _sent: Object, name: str) -> Answer:
        method = self.objects[name]
        if method["customer"] is None:
            return _error(400, "invalid_request_error", "The payment method is not attached to a customer.")
        method["customer"] = None
        return self._said(method)

    def _retrieve(self, sent: Object, name: str) -> Answer:
        thing = self.objects.get(name)
        if thing is None:
            return _error(404, "invalid_request_error", f"No such object: '{name}'", code="resource_missing")
        return self._said(thing, sent)

    def _intent(
        self, *, amount: int, currency: str, customer: str | None, metadata: Object, method: str,
        setup_future_usage: str | None,
    ) -> Object:  # fmt: skip
        return self._new(
            "pi",
            {
                "object": "payment_intent",
                "status": "requires_confirmation",
                "amount": amount,
                "amount_received": 0,
                "currency": currency,
                "customer": customer,
                "metadata": metadata,
                "payment_method": method,
                "setup_future_usage": setup_future_usage,
                "latest_charge": None,
                "last_payment_error": None,
            },
        )

    def _succeed(self, intent: Object) -> None:
        fee = self._new(
            "txn",
            {"object": "balance_transaction", "fee": 30 + intent["amount"] * 29 // 1000, "currency": intent["currency"]},
        )  # fmt: skip
        charge = self._new("ch", {"object": "charge", "balance_transaction": fee["id"]})
        intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])

    def _new(self, prefix: str, content: Object) -> Object:
        thing = {"id": f"{prefix}_{next(self._numbers)}", "created": self.now, "livemode": False, **content}
        self.objects[thing["id"]] = thing
        return thing

    def _of(self, kind: str) -> list[Object]:
        return [thing for thing in self.objects.values() if thing["object"] == kind]

    def _said(self, thing: Object, sent: Object | None = None) -> Answer:
        return _json(self._shown(thing, tuple((sent or {}).get("expand", {}).values())))

    def _shown(self, thing: Object, expand: tuple[str, ...]) -> Object:
        """Return an object as the API shows it: what it refers to is an id unless it is to be expanded."""
        shown = {name: value for name, value in thing.items() if name not in ("asked", "token")}
        for path in expand:
            name, _, rest = path.partition(".")
            if isinstance(shown.get(name), str):
                shown[name] = self._shown(self.objects[shown[name]], (rest,) if rest else ())
        return shown


def _nested(pairs: Any) -> Object:
    """Take names such as ``line_items[0][price_data][currency]`` apart."""
    found: Object = {}
    for name, value in pairs:
        first, *rest = re.split(r"\]\[|\[|\]", name.removesuffix("]"))
        inner = found
        for part in (first, *rest)[:-1]:
            inner = inner.setdefault(part, {})
        inner[(first, *rest)[-1]] = value
    return found


def _json(content: Object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode())


def _error(status: int, kind: str, message: str, **details: Any) -> Answer:
    return _json({"error": {"type": kind, "message": message, **details}}, status)
