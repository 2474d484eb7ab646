"""What a gateway is: a door to somebody who moves money. It knows nothing of the database and books nothing.

A gateway has a name, a title and ``begin``. What else it can do it shows by being one of the other classes below, too.
What it knows it says in facts (``Paid``, ``Declined``, ...), which ``domus.workflows.payments.booking`` books. Every fact
may come twice, late, or before the one that it follows from.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar

from domus.core.errors import DomusError
from domus.core.money import Money


class GatewayUnavailable(DomusError):
    """The gateway did not answer, or not sensibly; whether it did what was asked is not known. Use the same key again."""

    code = "gateway_unavailable"


class DeliveryRefused(DomusError):
    """What was delivered was not made by the gateway, or not lately. The sentence never repeats a secret."""

    code = "delivery_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A card or the like that can be charged again."""

    customer: str
    method: str
    label: str = ""
    valid_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What is to be paid."""

    attempt_id: uuid.UUID
    """The key under which the gateway does it once; it comes back in the facts."""
    invoice_id: int
    account_id: int
    amount: Money
    text: str
    """For the customer, on the gateway's page."""
    email: str = ""
    return_url: str = ""
    cancel_url: str = ""
    customer: str = ""
    """The gateway's name of the customer, where it has one."""
    keep_method: bool = False


# What ``begin`` answers besides ``Paid``.


@dataclass(frozen=True, slots=True)
class Redirect:
    """The customer goes on at the gateway."""

    reference: str
    url: str


@dataclass(frozen=True, slots=True)
class Instructions:
    """The customer does it elsewhere: (label, what to write there) lines."""

    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class UseBalance:
    """It is paid from what the account has prepaid."""


# Facts.


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """Money is there."""

    reference: str
    """The gateway's name of the payment; it is booked once under it."""
    amount: Money
    attempt_id: uuid.UUID | None
    method: Method | None = None
    """The method that was used, when it may be used again."""
    fee: Money | None = None
    """What the gateway kept of it, when that is known already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Nothing is decided yet."""

    attempt_id: uuid.UUID | None = None
    to_capture: str = ""
    """The customer has agreed; under this name the gateway takes the money (see ``Captures``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """It was not paid, and this attempt will not be."""

    attempt_id: uuid.UUID | None
    reason: str
    """For people."""
    needs_customer: bool = False
    """The bank wants the customer to confirm; trying again without them is of no use."""
    method_is_dead: bool = False
    """The card is expired, lost or stolen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSaved:
    """A method may be charged from now on."""

    attempt_id: uuid.UUID | None
    method: Method


class Outcome(StrEnum):
    """How a refund stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """Money was given back, or could not be."""

    reference: str
    payment_reference: str
    amount: Money
    outcome: Outcome
    refund_id: uuid.UUID | None = None
    """Our key, when we asked for it."""
    problem: str = ""


class Verdict(StrEnum):
    """How a dispute stands."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """The payer contests a payment; the gateway has taken the money meanwhile, unless it is won."""

    reference: str
    payment_reference: str
    amount: Money
    verdict: Verdict
    reason: str = ""


Fact = Paid | Pending | Declined | MethodSaved | Refunded | Disputed


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request that says it comes from a gateway: header names in lower case, and the body as it came."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A delivery whose signature holds. Only its id and subject are used; what happened is looked up."""

    event_id: str
    kind: str
    subject: str
    """What to look up; empty when nothing of ours can follow from it."""
    kept_headers: Mapping[str, str] = field(default_factory=dict)


class Gateway(ABC):
    """What every gateway has."""

    name: ClassVar[str]
    """Stands in the books for ever: short, lower case."""
    title: ClassVar[str]
    """What the customer reads on the button."""
    hint: ClassVar[str]
    """What the customer reads beside it."""
    origins: tuple[str, ...] = ()
    """Where ``begin`` sends browsers (``https://checkout.example.com``): our pages let them go nowhere else."""

    def obstacle(self, amount: Money) -> str:
        """Return why an amount cannot be paid this way, or nothing when it can."""
        return ""

    @abstractmethod
    def begin(self, bill: Bill) -> Redirect | Instructions | UseBalance | Paid:
        """Have the bill paid; raise GatewayUnavailable, or InvalidInput when the gateway will not have it."""


class Listens(Gateway):
    """A gateway that tells us by webhook, and can be asked."""

    @abstractmethod
    def verify(self, delivery: Delivery, *, now: datetime) -> Event:
        """Return what was delivered; raise DeliveryRefused unless the gateway made it, and lately."""

    @abstractmethod
    def look_up(self, subject: str) -> Sequence[Fact]:
        """Return how the subject of an event, or the reference of a redirect, stands now. Nothing is moved by that."""


class Captures(Listens):
    """A gateway that takes the money only when we say so, after the customer has agreed."""

    @abstractmethod
    def capture(self, reference: str) -> Sequence[Fact]:
        """Take the money for ``Pending.to_capture``, once however often it is asked; return how it stands then."""


class Charges(Gateway):
    """A gateway that can charge a saved method while the customer is away."""

    @abstractmethod
    def begin_saving(self, bill: Bill) -> Redirect:
        """Have the customer save a method without paying anything; the bill's amount says only the currency."""

    @abstractmethod
    def charge(self, method: Method, bill: Bill) -> Paid | Pending | Declined:
        """Charge a saved method, once for each ``bill.attempt_id``."""

    @abstractmethod
    def find(
        self, method: Method, attempt_id: uuid.UUID, *, since: datetime
    ) -> Paid | Pending | Declined | None:
        """Return what became of a charge whose answer was lost; None when the gateway never heard of it."""

    @abstractmethod
    def forget(self, method: Method) -> None:
        """Forget a saved method at the gateway; one that is not there is forgotten already."""


class GivesBack(Gateway):
    """A gateway that can send money back."""

    @abstractmethod
    def refund(self, payment_reference: str, amount: Money, *, refund_id: uuid.UUID) -> Refunded:
        """Give so much of a payment back, once for each ``refund_id``, however much later it is asked for again."""

    @abstractmethod
    def refund_now(self, reference: str, payment_reference: str) -> Refunded:
        """Return how a refund stands that the gateway has made, and that was not done at once."""


class Lists(Gateway):
    """A gateway that can list what it took for us, to be compared with the books."""

    @abstractmethod
    def paid_since(self, since: datetime) -> Iterable[Paid]:
        """Yield every payment of ours since a moment."""
