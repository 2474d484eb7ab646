"""Bank transfer: the customer gets an account and a reference; the money is found in the bank's statements.

Needs ``DOMUS_BANK_IBAN`` and ``DOMUS_BANK_HOLDER``; ``DOMUS_BANK_BIC``, ``DOMUS_BANK_NAME`` and ``DOMUS_BANK_CURRENCIES``
(``EUR`` when unset) say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from stdnum import bic, iban
from stdnum.exceptions import ValidationError

from domus.core.errors import ConfigurationError
from domus.core.money import CURRENCY_DECIMALS, Money
from domus.core.settings import all_or_none, text
from domus.gateways.interface import Bill, Gateway, Instructions
from domus.gateways.references import reference_of


class BankTransfer(Gateway):
    """An account at a bank."""

    name: ClassVar[str] = "bank"
    title: ClassVar[str] = "Pay by bank transfer"
    hint: ClassVar[str] = "Takes a day or two. You get the account and a reference to write on the transfer."

    def __init__(
        self, *, iban: str, holder: str, bic: str = "", bank: str = "", currencies: tuple[str, ...] = ("EUR",)
    ) -> None:
        self.iban = iban
        self._holder, self._bic, self._bank, self._currencies = holder, bic, bank, currencies

    def obstacle(self, amount: Money) -> str:
        """Refuse currencies that the account is not kept in."""
        if amount.currency not in self._currencies:
            return f"Our bank account takes {', '.join(self._currencies)} only."
        return ""

    def begin(self, bill: Bill) -> Instructions:
        """Say where to pay to, and under which reference."""
        lines = (
            ("Amount", str(bill.amount)),
            ("Reference", reference_of(bill.invoice_id)),
            ("To", self._holder),
            ("IBAN", str(iban.format(self.iban))),
            ("BIC", self._bic),
            ("Bank", self._bank),
        )
        return Instructions(tuple(line for line in lines if line[1]))


def from_env(env: Mapping[str, str]) -> BankTransfer | None:
    """Return the gateway when an account is named."""
    named = all_or_none(env, "DOMUS_BANK_IBAN", "DOMUS_BANK_HOLDER")
    if named is None:
        return None
    return BankTransfer(
        iban=_checked("DOMUS_BANK_IBAN", named[0], iban),
        holder=named[1],
        bic=_checked("DOMUS_BANK_BIC", text(env, "DOMUS_BANK_BIC") or "", bic),
        bank=text(env, "DOMUS_BANK_NAME") or "",
        currencies=_currencies(text(env, "DOMUS_BANK_CURRENCIES") or "EUR"),
    )


def _checked(name: str, value: str, rules: object) -> str:
    if not value:
        return ""
    try:
        return str(rules.validate(value))  # type: ignore[attr-defined]
    except ValidationError as error:
        raise ConfigurationError(f"{name} is {value!r}: {error}") from error


def _currencies(value: str) -> tuple[str, ...]:
    currencies = tuple(value.upper().replace(",", " ").split())
    unknown = [currency for currency in currencies if currency not in CURRENCY_DECIMALS]
    if unknown:
        raise ConfigurationError(
            f"DOMUS_BANK_CURRENCIES has {', '.join(unknown)}; known are {', '.join(CURRENCY_DECIMALS)}."
        )
    return currencies
