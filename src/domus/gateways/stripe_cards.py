"""Stripe: cards and the like on Stripe's own page, saved cards for renewals, refunds and disputes.

Needs ``DOMUS_STRIPE_SECRET_KEY`` and ``DOMUS_STRIPE_WEBHOOK_SECRET``. The endpoint to name to Stripe is /webhooks/stripe,
with the events ``checkout.session.*``, ``payment_intent.*``, ``setup_intent.succeeded``, ``charge.refunded``, ``refund.*``
and ``charge.dispute.*``.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

import stripe

from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.core.settings import all_or_none, text
from domus.gateways import stripe_facts
from domus.gateways.interface import (
    Bill,
    Charges,
    Declined,
    Delivery,
    DeliveryRefused,
    Event,
    Fact,
    GatewayUnavailable,
    GivesBack,
    Listens,
    Lists,
    Method,
    Outcome,
    Paid,
    Pending,
    Redirect,
    Refunded,
)
from domus.gateways.stripe_minimums import minimum

#: How old, or how far in the future, an event's signature may be; Stripe signs anew when it delivers again.
TOLERANCE = timedelta(minutes=5)

#: Events of these kinds speak of something that we look up; the object's id begins as it does in ``stripe_facts``.
KINDS = ("checkout.session.", "payment_intent.", "setup_intent.", "charge.", "refund.")

SIGNATURE = "stripe-signature"
TIMEOUT_SECONDS = 30

#: Stripe's library tells its debug log what it sends and gets.
logging.getLogger("stripe").setLevel(logging.WARNING)
stripe.enable_telemetry = False

_EXPAND_INTENT = ["payment_method", "latest_charge.balance_transaction"]


class StripeCards(Listens, Charges, GivesBack, Lists):
    """An account at Stripe."""

    name: ClassVar[str] = "stripe"
    title: ClassVar[str] = "Pay by card"
    hint: ClassVar[str] = "On the page of Stripe, our payment service. We never see the number of your card."
    origins = ("https://checkout.stripe.com",)

    def __init__(
        self, secret_key: str, webhook_secret: str, *, api_base: str | None = None, retries: int = 2
    ) -> None:
        self._webhook_secret = webhook_secret
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base} if api_base else None,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
            max_network_retries=retries,
        ).v1

    def obstacle(self, amount: Money) -> str:
        """Refuse what Stripe cannot take: too little, and with three decimals a last one that is not nought."""
        least = minimum(amount.currency)
        if 0 < amount.minor < least.minor:
            return f"Cards cannot be charged less than {least}; choose another way."
        if amount.decimals == 3 and amount.minor % 10:
            return f"Cards take {amount.currency} in steps of ten of its smallest unit; choose another way."
        return ""

    def begin(self, bill: Bill) -> Redirect:
        """Open Stripe's page for one bill."""
        line = {
            "quantity": 1,
            "price_data": {
                "currency": bill.amount.currency.lower(),
                "unit_amount": bill.amount.minor,
                "product_data": {"name": bill.text or f"Invoice {bill.invoice_id}"},
            },
        }
        intent: dict[str, Any] = {"metadata": _metadata(bill, "pay"), "description": bill.text}
        asked: dict[str, Any] = {"mode": "payment", "line_items": [line], "payment_intent_data": intent}
        if bill.keep_method:
            intent["setup_future_usage"] = "off_session"
            if not bill.customer:
                asked["customer_creation"] = "always"
        return self._page(bill, asked)

    def begin_saving(self, bill: Bill) -> Redirect:
        """Open Stripe's page to save a card."""
        asked: dict[str, Any] = {
            "mode": "setup",
            "currency": bill.amount.currency.lower(),
            "setup_intent_data": {"metadata": _metadata(bill, "save")},
        }
        if not bill.customer:
            asked["customer_creation"] = "always"
        return self._page(bill, asked)

    def charge(self, method: Method, bill: Bill) -> Paid | Pending | Declined:
        """Charge a saved card while the customer is away."""
        try:
            with _translated():
                intent = self._client.payment_intents.create(
                    {
                        "amount": bill.amount.minor,
                        "currency": bill.amount.currency.lower(),
                        "customer": method.customer,
                        "payment_method": method.method,
                        "off_session": True,
                        "confirm": True,
                        "description": bill.text,
                        "metadata": _metadata(bill, "charge"),
                        "expand": _EXPAND_INTENT,
                    },
                    {"idempotency_key": str(bill.attempt_id)},
                )
        except stripe.CardError as error:
            return stripe_facts.declined(bill.attempt_id, error.json_body)
        except InvalidInput as error:
            # The card or the customer is gone at Stripe, or the amount is not to its liking: nothing was charged.
            return Declined(attempt_id=bill.attempt_id, reason=str(error))
        return stripe_facts.of_charge(intent.to_dict(), bill.attempt_id)

    def find(
        self, method: Method, attempt_id: uuid.UUID, *, since: datetime
    ) -> Paid | Pending | Declined | None:
        """Look among the customer's payments for the one of an attempt."""
        for intent in self._intents(customer=method.customer, since=since - TOLERANCE):
            if stripe_facts.attempt_of(intent) == attempt_id:
                return stripe_facts.of_charge(intent, attempt_id)
        return None

    def forget(self, method: Method) -> None:
        """Detach a card from its customer."""
        try:
            with _translated():
                self._client.payment_methods.detach(method.method)
        except InvalidInput:
            # It is detached already.
            return

    def refund(self, payment_reference: str, amount: Money, *, refund_id: uuid.UUID) -> Refunded:
        """Give so much of a payment back. Stripe forgets keys after a day, so we look first whether it was done."""
        try:
            with _translated():
                made = self._client.refunds.list({"payment_intent": payment_reference, "limit": 100})
                for refund in made.auto_paging_iter():
                    known = stripe_facts.of_refund(refund.to_dict(), payment_reference)
                    if known.refund_id == refund_id:
                        return known
                answer = self._client.refunds.create(
                    {
                        "payment_intent": payment_reference,
                        "amount": amount.minor,
                        "metadata": {stripe_facts.REFUND: str(refund_id)},
                    },
                    {"idempotency_key": str(refund_id)},
                )
        except InvalidInput as error:
            return Refunded(
                reference="", payment_reference=payment_reference, amount=amount, outcome=Outcome.FAILED,
                refund_id=refund_id, problem=str(error),
            )  # fmt: skip
        return stripe_facts.of_refund(answer.to_dict(), payment_reference)

    def refund_now(self, reference: str, payment_reference: str) -> Refunded:
        """Ask Stripe how a refund stands."""
        with _translated():
            refund = self._client.refunds.retrieve(reference)
        return stripe_facts.of_refund(refund.to_dict(), payment_reference)

    def verify(self, delivery: Delivery, *, now: datetime) -> Event:
        """Check the signature over the body as it came, and its time."""
        header = delivery.headers.get(SIGNATURE, "")
        try:
            stripe.WebhookSignature.verify_header(delivery.body, header, self._webhook_secret)
            signed_at = int(next(part[2:] for part in header.split(",") if part.startswith("t=")))
        except (stripe.SignatureVerificationError, UnicodeDecodeError, StopIteration, ValueError) as error:
            raise DeliveryRefused("The header Stripe-Signature is missing or wrong.") from error
        if abs(now.timestamp() - signed_at) > TOLERANCE.total_seconds():
            raise DeliveryRefused("The signature is older than five minutes, or the clocks differ.")
        try:
            said = json.loads(delivery.body)
            event_id, kind = str(said["id"]), str(said["type"])
            subject = str(said["data"]["object"]["id"]) if kind.startswith(KINDS) else ""
        except (ValueError, LookupError, TypeError) as error:
            raise DeliveryRefused("The body is not an event of Stripe.") from error
        return Event(event_id=event_id, kind=kind, subject=subject, kept_headers={SIGNATURE: header})

    def look_up(self, subject: str) -> Sequence[Fact]:
        """Ask Stripe how something stands now. What is not ours, as another shop's on the same account, has no facts."""
        looks: Mapping[str, Callable[[str], Sequence[Fact]]] = {
            "cs": self._session,
            "pi": self._intent,
            "seti": self._setup,
            "ch": self._charge,
            "py": self._charge,
            "re": self._refund,
            "pyr": self._refund,
            "dp": self._dispute,
            "du": self._dispute,
        }
        look = looks.get(subject.partition("_")[0])
        if look is None:
            return []
        with _translated():
            return look(subject)

    def paid_since(self, since: datetime) -> Iterable[Paid]:
        """Yield every payment of ours that succeeded."""
        for intent in self._intents(since=since):
            yield from (fact for fact in stripe_facts.of_intent(intent) if isinstance(fact, Paid))

    def _page(self, bill: Bill, asked: dict[str, Any]) -> Redirect:
        who = {"customer": bill.customer} if bill.customer else {"customer_email": bill.email}
        common = {
            "client_reference_id": str(bill.attempt_id),
            "metadata": {stripe_facts.ATTEMPT: str(bill.attempt_id)},
            "success_url": bill.return_url,
            "cancel_url": bill.cancel_url,
        }
        options: Any = {"idempotency_key": str(bill.attempt_id)}
        params: Any = {**common, **who, **asked}
        with _translated():
            session = self._client.checkout.sessions.create(params, options)
        if not session.url:
            raise GatewayUnavailable("Stripe opened no page.")
        return Redirect(session.id, session.url)

    def _intents(self, *, since: datetime, customer: str = "") -> Iterator[dict[str, Any]]:
        asked: Any = {"created": {"gte": int(since.timestamp())}, "limit": 100}
        if customer:
            asked["customer"] = customer
        with _translated():
            for intent in self._client.payment_intents.list(asked).auto_paging_iter():
                yield intent.to_dict()

    def _session(self, subject: str) -> Sequence[Fact]:
        session = self._client.checkout.sessions.retrieve(subject).to_dict()
        if session.get("payment_intent"):
            return self._intent(str(session["payment_intent"]))
        if session.get("setup_intent") and session.get("status") == "complete":
            return self._setup(str(session["setup_intent"]))
        return stripe_facts.of_unfinished(session)

    def _intent(self, subject: str) -> Sequence[Fact]:
        params: Any = {"expand": _EXPAND_INTENT}
        return stripe_facts.of_intent(self._client.payment_intents.retrieve(subject, params).to_dict())

    def _setup(self, subject: str) -> Sequence[Fact]:
        params: Any = {"expand": ["payment_method"]}
        return stripe_facts.of_setup(self._client.setup_intents.retrieve(subject, params).to_dict())

    def _charge(self, subject: str) -> Sequence[Fact]:
        params: Any = {"charge": subject, "expand": ["data.payment_intent"]}
        found = self._client.refunds.list(params).auto_paging_iter()
        return [fact for refund in found for fact in stripe_facts.of_our_refund(refund.to_dict())]

    def _refund(self, subject: str) -> Sequence[Fact]:
        params: Any = {"expand": ["payment_intent"]}
        return stripe_facts.of_our_refund(self._client.refunds.retrieve(subject, params).to_dict())

    def _dispute(self, subject: str) -> Sequence[Fact]:
        params: Any = {"expand": ["payment_intent"]}
        return stripe_facts.of_dispute(self._client.disputes.retrieve(subject, params).to_dict())


def from_env(env: Mapping[str, str]) -> StripeCards | None:
    """Return the gateway when its keys are set; ``DOMUS_STRIPE_API_BASE`` names another server, for trials."""
    keys = all_or_none(env, "DOMUS_STRIPE_SECRET_KEY", "DOMUS_STRIPE_WEBHOOK_SECRET")
    if keys is None:
        return None
    return StripeCards(*keys, api_base=text(env, "DOMUS_STRIPE_API_BASE"))


def _metadata(bill: Bill, kind: str) -> dict[str, str]:
    return {
        stripe_facts.ATTEMPT: str(bill.attempt_id),
        stripe_facts.KIND: kind,
        "domus_invoice": str(bill.invoice_id),
        "domus_account": str(bill.account_id),
    }


@contextmanager
def _translated() -> Iterator[None]:
    """Turn Stripe's errors into ours; a declined card stays what it is, for who charged it."""
    try:
        yield
    except stripe.CardError:
        raise
    except stripe.InvalidRequestError as error:
        raise InvalidInput(error.user_message or "Stripe refused the request.", field="gateway") from error
    except stripe.AuthenticationError as error:
        # Its own sentence repeats a part of the key.
        raise GatewayUnavailable("Stripe does not take our key.") from error
    except stripe.StripeError as error:
        raise GatewayUnavailable(f"Stripe: {error.user_message or type(error).__name__}") from error
