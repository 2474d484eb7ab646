"""What customers are told by mail: for each event who gets it, and an example to try the words with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domus.accounts.models import ContactKind
from domus.core.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One kind of mail.

    ``example`` has every name that the data of such a mail has. The words of a ``secret`` one are kept nowhere.
    """

    name: str
    title: str
    contact: ContactKind
    example: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False


#: Names that every mail's words may use besides those of its event; filled in when it is sent.
COMMON_EXAMPLE = {
    "name": "Ada Lovelace",
    "company": "Example Hosting",
    "support_email": "support@example.com",
    "url": "https://panel.example.com/",
    "greeting": "Hello Ada Lovelace,",
    "signature": "Example Hosting\nsupport@example.com",
}

_ORDER = {"order": "#17", "product": "Advanced VPS", "hostname": "www.example.org", "amount": "10.00 EUR"}
_CONTRACT = {
    "product": "Advanced VPS", "vps": "vps-6f1b2c3d", "hostname": "www.example.org", "amount": "10.00 EUR",
    "paid_until": "20 November 2026", "days": 5,
}  # fmt: skip

EVENTS = {
    event.name: event
    for event in (
        Event(
            name="order_placed", title="Order placed", contact=ContactKind.BILLING,
            example={**_ORDER, "hold_until": "21 November 2026"},
        ),
        Event(
            name="invoice", title="Paid, with the invoice", contact=ContactKind.BILLING,
            example={"number": "2026-00042", "amount": "10.00 EUR", "order": "#17"},
        ),
        Event(
            name="credit_note", title="Refunded, with the credit note", contact=ContactKind.BILLING,
            example={"number": "C-2026-00007", "invoice": "2026-00042", "amount": "10.00 EUR", "reason": ""},
        ),
        Event(
            name="vps_ready", title="VPS ready", contact=ContactKind.TECHNICAL,
            example={**_ORDER, "vps": "vps-6f1b2c3d", "addresses": "192.0.2.10, 2001:db8::10"},
        ),
        Event(name="renewal_before", title="Runs out soon", contact=ContactKind.BILLING, example=_CONTRACT),
        Event(name="renewal_expired", title="Ran out today", contact=ContactKind.BILLING, example=_CONTRACT),
        Event(name="renewal_after", title="Ran out before", contact=ContactKind.BILLING, example=_CONTRACT),
        Event(name="renewal_last_warning", title="Last warning", contact=ContactKind.BILLING, example=_CONTRACT),
        Event(name="renewal_suspended", title="Suspended", contact=ContactKind.BILLING, example=_CONTRACT),
        Event(name="renewal_ended", title="Ended", contact=ContactKind.BILLING, example=_CONTRACT),
        Event(
            name="contract_changed", title="Size changed", contact=ContactKind.TECHNICAL,
            example={
                "product": "Advanced VPS", "vps": "vps-6f1b2c3d", "hostname": "www.example.org",
                "paid_until": "20 November 2026", "restart": 1,
            },
        ),
        Event(
            name="contract_cancelled", title="Cancelled", contact=ContactKind.BILLING,
            example={
                "vps": "vps-6f1b2c3d", "hostname": "www.example.org", "ends_on": "20 November 2026", "grace_days": 7,
            },
        ),
        Event(
            name="contract_kept", title="Cancellation taken back", contact=ContactKind.BILLING,
            example={"vps": "vps-6f1b2c3d", "hostname": "www.example.org", "paid_until": "20 November 2026"},
        ),
        Event(
            name="contract_handed_over", title="Another owner", contact=ContactKind.TECHNICAL,
            example={
                "vps": "vps-6f1b2c3d", "hostname": "www.example.org", "paid_until": "20 November 2026",
                "is_new_owner": 1,
            },
        ),
        Event(
            name="password_reset", title="New password asked for", contact=ContactKind.TECHNICAL, secret=True,
            example={"minutes": 60},
        ),
        Event(name="password_changed", title="Password changed", contact=ContactKind.TECHNICAL),
    )
}  # fmt: skip


def known_event(name: str, *, field: str = "event") -> Event:
    """Return an event by its name; raise InvalidInput that names those that there are."""
    if name not in EVENTS:
        raise InvalidInput(f"There is no mail {name!r}; there are {', '.join(EVENTS)}.", field=field)
    return EVENTS[name]
