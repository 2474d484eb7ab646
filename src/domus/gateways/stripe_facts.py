"""What Stripe's objects say, in our facts. Pure: from the maps of its API (2026-10-28) to ``interface``."""

from __future__ import annotations

import calendar
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from domus.core.money import Money
from domus.gateways.interface import (
    Declined,
    Disputed,
    Fact,
    Method,
    MethodSaved,
    Outcome,
    Paid,
    Pending,
    Refunded,
    Verdict,
)

#: Our own names in Stripe's metadata. What does not carry them is not ours.
ATTEMPT = "domus_attempt"
KIND = "domus_kind"
REFUND = "domus_refund"

CHARGE = "charge"

#: Declines after which the same card is never charged again.
DEAD = {
    "expired_card",
    "lost_card",
    "stolen_card",
    "pickup_card",
    "payment_method_detached",
    "resource_missing",
}

_OUTCOMES = {"succeeded": Outcome.DONE, "failed": Outcome.FAILED, "canceled": Outcome.FAILED}
#: Inquiries (``warning_...``) take no money, and so are no disputes here.
_VERDICTS = {
    "needs_response": Verdict.OPEN,
    "under_review": Verdict.OPEN,
    "won": Verdict.WON,
    "prevented": Verdict.WON,
    "lost": Verdict.LOST,
}

Object = Mapping[str, Any]


def attempt_of(stripe_object: Object) -> uuid.UUID | None:
    """Return the attempt that an object was made for, or None when it is not ours."""
    return _uuid((stripe_object.get("metadata") or {}).get(ATTEMPT))


def of_intent(intent: Object) -> Sequence[Fact]:
    """Return how a payment stands."""
    attempt_id = attempt_of(intent)
    if attempt_id is None:
        return []
    if intent["metadata"].get(KIND) == CHARGE:
        return [of_charge(intent, attempt_id)]
    status = intent["status"]
    if status == "succeeded":
        return [_paid(intent, attempt_id)]
    if status == "canceled":
        return [Declined(attempt_id=attempt_id, reason="The payment was cancelled.")]
    # The customer may still choose another card on Stripe's page.
    return [Pending(attempt_id=attempt_id)]


def of_charge(intent: Object, attempt_id: uuid.UUID) -> Paid | Pending | Declined:
    """Return how a charge stands that was made while the customer was away."""
    status = intent["status"]
    if status == "succeeded":
        return _paid(intent, attempt_id)
    if status in ("processing", "requires_capture", "requires_confirmation"):
        return Pending(attempt_id=attempt_id)
    if status == "requires_action":
        return Declined(
            attempt_id=attempt_id, reason="The bank wants the payment to be confirmed.", needs_customer=True
        )
    return declined(attempt_id, {"error": intent.get("last_payment_error") or {}})


def declined(attempt_id: uuid.UUID, body: Any) -> Declined:
    """Return why a card was declined, from an error of the API."""
    error = (body or {}).get("error") or {}
    codes = {error.get("code"), error.get("decline_code")}
    return Declined(
        attempt_id=attempt_id,
        reason=str(error.get("message") or "The card was declined."),
        needs_customer="authentication_required" in codes,
        method_is_dead=bool(codes & DEAD),
    )


def of_unfinished(session: Object) -> Sequence[Fact]:
    """Return how a page of Stripe's stands on which nothing was paid or saved yet."""
    attempt_id = attempt_of(session)
    if attempt_id is None:
        return []
    if session.get("status") == "expired":
        return [Declined(attempt_id=attempt_id, reason="The page to pay on has expired.")]
    return [Pending(attempt_id=attempt_id)]


def of_setup(intent: Object) -> Sequence[Fact]:
    """Return the card that was saved."""
    attempt_id, method = attempt_of(intent), _method(intent)
    if attempt_id is None:
        return []
    if intent["status"] == "canceled":
        return [Declined(attempt_id=attempt_id, reason="The card was not saved.")]
    if intent["status"] != "succeeded" or method is None:
        return [Pending(attempt_id=attempt_id)]
    return [MethodSaved(attempt_id=attempt_id, method=method)]


def of_our_refund(refund: Object) -> Sequence[Fact]:
    """Return how a refund stands, if the payment (expanded) is ours."""
    intent = refund.get("payment_intent")
    if not isinstance(intent, Mapping) or attempt_of(intent) is None:
        return []
    return [of_refund(refund, str(intent["id"]))]


def of_refund(refund: Object, payment_reference: str) -> Refunded:
    """Return how a refund of a payment stands."""
    return Refunded(
        reference=str(refund["id"]),
        payment_reference=payment_reference,
        amount=_money(refund["amount"], refund["currency"]),
        outcome=_OUTCOMES.get(str(refund.get("status")), Outcome.PENDING),
        refund_id=_uuid((refund.get("metadata") or {}).get(REFUND)),
        problem=str(refund.get("failure_reason") or ""),
    )


def of_dispute(dispute: Object) -> Sequence[Fact]:
    """Return how a dispute stands, if the payment (expanded) is ours and money was taken."""
    intent = dispute.get("payment_intent")
    verdict = _VERDICTS.get(str(dispute["status"]))
    if verdict is None or not isinstance(intent, Mapping) or attempt_of(intent) is None:
        return []
    return [
        Disputed(
            reference=str(dispute["id"]),
            payment_reference=str(intent["id"]),
            amount=_money(dispute["amount"], dispute["currency"]),
            verdict=verdict,
            reason=str(dispute.get("reason") or ""),
        )
    ]


def _paid(intent: Object, attempt_id: uuid.UUID) -> Paid:
    keeps = intent.get("setup_future_usage") == "off_session"
    return Paid(
        reference=str(intent["id"]),
        amount=_money(intent["amount_received"], intent["currency"]),
        attempt_id=attempt_id,
        method=_method(intent) if keeps else None,
        fee=_fee(intent),
    )


def _fee(intent: Object) -> Money | None:
    """Return what Stripe kept, when the objects that say so are expanded and settled in the currency of the payment."""
    charge = intent.get("latest_charge")
    booking = charge.get("balance_transaction") if isinstance(charge, Mapping) else None
    if not isinstance(booking, Mapping) or booking.get("currency") != intent["currency"]:
        return None
    return _money(booking["fee"], booking["currency"])


def _method(intent: Object) -> Method | None:
    method, customer = intent.get("payment_method"), intent.get("customer")
    if not isinstance(method, Mapping) or not customer:
        return None
    card = method.get("card")
    if not isinstance(card, Mapping):
        label = str(method.get("type") or "saved method").replace("_", " ")
        return Method(customer=str(customer), method=str(method["id"]), label=label)
    year, month = int(card["exp_year"]), int(card["exp_month"])
    return Method(
        customer=str(customer),
        method=str(method["id"]),
        label=f"{str(card['brand']).title()} ending in {card['last4']}",
        # A card is good until the end of its month.
        valid_until=date(year, month, calendar.monthrange(year, month)[1]),
    )


def _money(minor: int, currency: str) -> Money:
    return Money(int(minor), str(currency).upper())


def _uuid(value: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None
