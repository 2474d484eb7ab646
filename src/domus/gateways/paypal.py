"""PayPal: orders that the customer approves at PayPal and that we capture, and refunds.

Needs ``DOMUS_PAYPAL_CLIENT_ID``, ``DOMUS_PAYPAL_CLIENT_SECRET`` and ``DOMUS_PAYPAL_WEBHOOK_ID``; trials also
``DOMUS_PAYPAL_SANDBOX=yes``. The webhook to name to PayPal is /webhooks/paypal, with the events ``CHECKOUT.ORDER.*``,
``PAYMENT.CAPTURE.*`` and ``CUSTOMER.DISPUTE.CREATED``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from domus.core.errors import Conflict, InvalidInput
from domus.core.money import Money
from domus.core.settings import all_or_none, boolean, text
from domus.gateways.interface import (
    Bill,
    Captures,
    Declined,
    Delivery,
    DeliveryRefused,
    Event,
    Fact,
    GatewayUnavailable,
    GivesBack,
    Outcome,
    Paid,
    Pending,
    Redirect,
    Refunded,
)
from domus.gateways.paypal_client import LIVE, SANDBOX, PaypalClient, PaypalRefused
from domus.gateways.paypal_signatures import Signatures

#: What PayPal takes, with the decimals that it writes; of the forint it takes no parts.
DECIMALS = {
    "AUD": 2, "BRL": 2, "CAD": 2, "CHF": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2, "HKD": 2, "HUF": 0, "JPY": 0,
    "NOK": 2, "NZD": 2, "PLN": 2, "SEK": 2, "SGD": 2, "USD": 2,
}  # fmt: skip

MAX_TEXT = 127

#: Stands before our ids in PayPal's ``custom_id``. What does not carry it is not ours, and is not captured.
OURS = "domus:"

_TAKEN = {"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}
_OUTCOMES = {"COMPLETED": Outcome.DONE, "FAILED": Outcome.FAILED, "CANCELLED": Outcome.FAILED}

Object = Mapping[str, Any]


class Paypal(Captures, GivesBack):
    """An account at PayPal."""

    name: ClassVar[str] = "paypal"
    title: ClassVar[str] = "Pay with PayPal"
    hint: ClassVar[str] = "With your account there; you come back here afterwards."

    def __init__(
        self,
        client: PaypalClient,
        signatures: Signatures,
        *,
        origins: tuple[str, ...] = ("https://www.paypal.com",),
    ) -> None:
        self._client = client
        self._signatures = signatures
        self.origins = origins

    def obstacle(self, amount: Money) -> str:
        """Refuse currencies and parts of them that PayPal does not take."""
        decimals = DECIMALS.get(amount.currency)
        if decimals is None:
            return f"PayPal does not take {amount.currency}; choose another way."
        if amount.minor % 10 ** (amount.decimals - decimals):
            return f"PayPal takes whole {amount.currency} only; choose another way."
        return ""

    def begin(self, bill: Bill) -> Redirect:
        """Make an order for the customer to approve."""
        unit = {
            "custom_id": f"{OURS}{bill.attempt_id}",
            "description": bill.text[:MAX_TEXT] or f"Invoice {bill.invoice_id}",
            "amount": _written(bill.amount),
        }
        context = {
            "return_url": bill.return_url,
            "cancel_url": bill.cancel_url,
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
        }
        order = self._client.post(
            "/v2/checkout/orders",
            {
                "intent": "CAPTURE",
                "purchase_units": [unit],
                "payment_source": {"paypal": {"experience_context": context}},
            },
            key=str(bill.attempt_id),
        )
        url = _link(order, "payer-action") or _link(order, "approve")
        if not any(url.startswith(f"{origin}/") for origin in self.origins):
            raise GatewayUnavailable("PayPal named no page of its own.")
        return Redirect(f"order/{order['id']}", url)

    def refund(self, payment_reference: str, amount: Money, *, refund_id: uuid.UUID) -> Refunded:
        """Give so much of a capture back. PayPal forgets keys after hours, so we look first whether it was done."""
        try:
            refund = self._find_refund(payment_reference, refund_id) or self._client.post(
                f"/v2/payments/captures/{quote(payment_reference, safe='')}/refund",
                {"amount": _written(amount), "custom_id": f"{OURS}{refund_id}"},
                key=str(refund_id),
            )
        except PaypalRefused as error:
            return Refunded(
                reference="", payment_reference=payment_reference, amount=amount, outcome=Outcome.FAILED,
                refund_id=refund_id, problem=str(error),
            )  # fmt: skip
        return _refunded(refund, payment_reference)

    def refund_now(self, reference: str, payment_reference: str) -> Refunded:
        """Ask PayPal how a refund stands."""
        refund = self._client.get(f"/v2/payments/refunds/{quote(reference, safe='')}")
        return _refunded(refund, payment_reference)

    def verify(self, delivery: Delivery, *, now: datetime) -> Event:
        """Check the signature, the certificate and the time."""
        kept = self._signatures.check(delivery, now=now)
        try:
            said = json.loads(delivery.body)
            event_id, kind, resource = str(said["id"]), str(said["event_type"]), said["resource"]
            subject = _subject(kind, resource)
        except (ValueError, LookupError, TypeError) as error:
            raise DeliveryRefused("The body is not an event of PayPal.") from error
        return Event(event_id=event_id, kind=kind, subject=subject, kept_headers=kept)

    def look_up(self, subject: str) -> Sequence[Fact]:
        """Ask PayPal how something stands."""
        kind, _, name = subject.partition("/")
        if kind == "dispute":
            # The money follows by itself: PayPal reverses the capture, and tells of that.
            raise Conflict(f"The payer contests a payment; please answer dispute {name} at PayPal.")
        looks = {"order": self._order, "capture": self._capture, "refund": self._refund}
        if kind not in looks:
            return []
        try:
            return looks[kind](quote(name, safe=""))
        except PaypalRefused as error:
            if "RESOURCE_NOT_FOUND" in error.issues:
                # PayPal forgets orders that nobody approved.
                return []
            raise

    def capture(self, reference: str) -> Sequence[Fact]:
        """Capture an order that the customer has approved; PayPal captures one only once."""
        path = f"/v2/checkout/orders/{quote(reference, safe='')}"
        order = self._client.get(path)
        attempt_id = _attempt_of_order(order)
        if attempt_id is None:
            return []
        if order["status"] == "APPROVED":
            try:
                # PayPal captures an order once, whatever the key. One that was used would repeat a refusal of the
                # card that the customer has replaced since.
                order = self._client.post(f"{path}/capture", {}, key=f"{attempt_id}:capture:{uuid.uuid4()}")
            except PaypalRefused as error:
                if "INSTRUMENT_DECLINED" in error.issues:
                    return [Declined(attempt_id=attempt_id, reason=str(error))]
                # Most likely somebody else has captured it at this moment.
                order = self._client.get(path)
        return _of_order(order, attempt_id)

    def _order(self, name: str) -> Sequence[Fact]:
        order = self._client.get(f"/v2/checkout/orders/{name}")
        attempt_id = _attempt_of_order(order)
        if attempt_id is None:
            return []
        if order["status"] == "APPROVED":
            return [Pending(attempt_id=attempt_id, to_capture=name)]
        return _of_order(order, attempt_id)

    def _capture(self, name: str) -> Sequence[Fact]:
        capture = self._client.get(f"/v2/payments/captures/{name}")
        attempt_id = _own_id(capture)
        return [] if attempt_id is None else [_captured(capture, attempt_id)]

    def _refund(self, name: str) -> Sequence[Fact]:
        refund = self._client.get(f"/v2/payments/refunds/{name}")
        capture_id = _link(refund, "up").rpartition("/")[2]
        capture = self._client.get(f"/v2/payments/captures/{quote(capture_id, safe='')}")
        if _own_id(capture) is None:
            return []
        return [_refunded(refund, capture_id)]

    def _find_refund(self, capture_id: str, refund_id: uuid.UUID) -> Object | None:
        """Return a refund of a capture that was made for one of ours before."""
        capture = self._client.get(f"/v2/payments/captures/{quote(capture_id, safe='')}")
        if capture.get("status") == "COMPLETED":
            return None
        order_id = capture.get("supplementary_data", {}).get("related_ids", {}).get("order_id")
        if not order_id:
            raise GatewayUnavailable("PayPal does not say what was refunded of the payment so far.")
        order = self._client.get(f"/v2/checkout/orders/{quote(str(order_id), safe='')}")
        refunds = (refund for unit in _payments(order) for refund in unit.get("refunds", ()))
        return next((refund for refund in refunds if _own_id(refund) == refund_id), None)


def from_env(env: Mapping[str, str]) -> Paypal | None:
    """Return the gateway when its keys are set; ``DOMUS_PAYPAL_API_BASE`` names another server, for trials."""
    keys = all_or_none(env, "DOMUS_PAYPAL_CLIENT_ID", "DOMUS_PAYPAL_CLIENT_SECRET", "DOMUS_PAYPAL_WEBHOOK_ID")
    if keys is None:
        return None
    client_id, client_secret, webhook_id = keys
    sandbox = boolean(env, "DOMUS_PAYPAL_SANDBOX", default=False)
    base = text(env, "DOMUS_PAYPAL_API_BASE") or (SANDBOX if sandbox else LIVE)
    place = "sandbox.paypal.com" if sandbox else "paypal.com"
    parts = urlsplit(base)
    return Paypal(
        PaypalClient(client_id, client_secret, api_base=base),
        Signatures(
            webhook_id,
            origins=(f"{parts.scheme}://{parts.netloc}", f"https://api.{place}", f"https://api-m.{place}"),
        ),
        origins=(f"https://www.{place}",),
    )


def _subject(kind: str, resource: Object) -> str:
    """Return what to look up for an event, with its kind before it: PayPal's ids do not say what they are of."""
    if kind.startswith("CHECKOUT.ORDER."):
        return f"order/{resource['id']}"
    if kind in ("PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"):
        return f"refund/{resource['id']}"
    if kind.startswith("PAYMENT.CAPTURE."):
        return f"capture/{resource['id']}"
    if kind == "CUSTOMER.DISPUTE.CREATED":
        return f"dispute/{resource['dispute_id']}"
    return ""


def _of_order(order: Object, attempt_id: uuid.UUID) -> Sequence[Fact]:
    if order["status"] == "VOIDED":
        return [Declined(attempt_id=attempt_id, reason="The order at PayPal was withdrawn.")]
    captures = list(_captures(order))
    if not captures:
        return [Pending(attempt_id=attempt_id)]
    return [_captured(capture, attempt_id) for capture in captures]


def _captured(capture: Object, attempt_id: uuid.UUID) -> Fact:
    status = str(capture.get("status"))
    if status in _TAKEN:
        fee = capture.get("seller_receivable_breakdown", {}).get("paypal_fee")
        return Paid(
            reference=str(capture["id"]),
            amount=_money(capture["amount"]),
            attempt_id=attempt_id,
            fee=None
            if fee is None or fee["currency_code"] != capture["amount"]["currency_code"]
            else _money(fee),
        )
    if status in ("DECLINED", "FAILED"):
        return Declined(attempt_id=attempt_id, reason="PayPal declined the payment.")
    return Pending(attempt_id=attempt_id)


def _refunded(refund: Object, capture_id: str) -> Refunded:
    return Refunded(
        reference=str(refund["id"]),
        payment_reference=capture_id,
        amount=_money(refund["amount"]),
        outcome=_OUTCOMES.get(str(refund.get("status")), Outcome.PENDING),
        refund_id=_own_id(refund),
    )


def _attempt_of_order(order: Object) -> uuid.UUID | None:
    units = order.get("purchase_units") or [{}]
    return _own_id(units[0])


def _payments(order: Object) -> Iterator[Object]:
    for unit in order.get("purchase_units") or ():
        yield unit.get("payments") or {}


def _captures(order: Object) -> Iterator[Object]:
    for payments in _payments(order):
        yield from payments.get("captures", ())


def _link(thing: Object, relation: str) -> str:
    return next((str(link["href"]) for link in thing.get("links", ()) if link.get("rel") == relation), "")


def _written(amount: Money) -> dict[str, str]:
    value = str(amount).partition(" ")[0]
    if DECIMALS[amount.currency] == 0:
        value = value.partition(".")[0]
    return {"currency_code": amount.currency, "value": value}


def _money(written: Object) -> Money:
    try:
        return Money.parse(str(written["value"]), str(written["currency_code"]))
    except InvalidInput as error:
        raise GatewayUnavailable(f"PayPal wrote an amount that cannot be read: {error}") from error


def _own_id(thing: Object) -> uuid.UUID | None:
    """Return the attempt or refund that something was made for, or None when it is not ours."""
    mark, _, own = str(thing.get("custom_id") or "").partition(":")
    try:
        return uuid.UUID(own) if f"{mark}:" == OURS else None
    except ValueError:
        return None
