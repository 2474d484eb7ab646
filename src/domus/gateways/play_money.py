"""The test gateway: play money, booked at once. Never offered unless it is switched on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from domus.core.settings import boolean
from domus.gateways.interface import Bill, Gateway, Paid


class PlayMoney(Gateway):
    """Takes every bill as paid."""

    name: ClassVar[str] = "test"
    title: ClassVar[str] = "Pay with the test gateway"
    hint: ClassVar[str] = "This is play money: no card, no bank. It counts as paid at once."

    def begin(self, bill: Bill) -> Paid:
        """Pay. The invoice is the reference, so a button that is pressed twice pays once."""
        return Paid(
            reference=f"invoice:{bill.invoice_id}:{bill.amount.minor}",
            amount=bill.amount,
            attempt_id=bill.attempt_id,
        )


def from_env(env: Mapping[str, str]) -> PlayMoney | None:
    """Return the gateway when ``DOMUS_TEST_GATEWAY`` is yes."""
    return PlayMoney() if boolean(env, "DOMUS_TEST_GATEWAY", default=False) else None
