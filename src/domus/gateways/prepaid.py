"""Paying from what the account has prepaid. Always there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from domus.billing.ledger import FROM_BALANCE
from domus.gateways.interface import Bill, Gateway, UseBalance


class Prepaid(Gateway):
    """Points at the ledger, where the balance is."""

    name: ClassVar[str] = FROM_BALANCE
    title: ClassVar[str] = "Pay from the balance"
    hint: ClassVar[str] = "Uses what you have prepaid."

    def begin(self, bill: Bill) -> UseBalance:
        """Leave it to the ledger."""
        return UseBalance()


def from_env(_env: Mapping[str, str]) -> Prepaid:
    """Return the gateway; it needs no setting."""
    return Prepaid()
