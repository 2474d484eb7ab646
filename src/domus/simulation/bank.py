"""A simulated bank: what customers transfer, and the statements that the operator reads on working days."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from datetime import date, timedelta

from domus.core.money import Money

IBAN = "DE89370400440532013000"
#: A statement lists so many earlier days again.
OVERLAP = timedelta(days=2)


@dataclass(kw_only=True)
class Transfer:
    """Money that somebody sent to our account: the judge compares the books with these."""

    reference: str
    """The bank's own."""
    account_id: int
    invoice_id: int
    """What the payer meant, whatever they wrote."""
    currency: str
    minor: int
    text: str
    arrives: date


@dataclass
class Bank:
    """One account at a bank."""

    transfers: dict[str, Transfer] = field(default_factory=dict)
    read_until: date | None = None

    def send(self, amount: Money, *, account_id: int, invoice_id: int, text: str, arrives: date) -> Transfer:
        """Send money that arrives on a day."""
        transfer = Transfer(
            reference=f"TRX{len(self.transfers) + 1:06d}", account_id=account_id, invoice_id=invoice_id,
            currency=amount.currency, minor=amount.minor, text=text, arrives=arrives,
        )  # fmt: skip
        self.transfers[transfer.reference] = transfer
        return transfer

    def statement(self, today: date) -> bytes:
        """Return what arrived since the last statement, and the days before that again; nothing when nothing did."""
        first = date.min if self.read_until is None else self.read_until - OVERLAP
        fresh = [
            one
            for one in self.transfers.values()
            if (self.read_until is None or one.arrives >= self.read_until) and one.arrives < today
        ]
        if not fresh:
            return b""
        listed = [one for one in self.transfers.values() if first <= one.arrives < today]
        self.read_until = today
        return _as_csv(sorted(listed, key=lambda one: (one.arrives, one.reference)))


def _as_csv(transfers: list[Transfer]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, delimiter=";")
    rows.writerow(("date", "amount", "currency", "payer", "text", "reference", "account"))
    for one in transfers:
        amount = str(Money(one.minor, one.currency)).rpartition(" ")[0]
        payer = f"Customer {one.account_id}"
        rows.writerow((one.arrives.isoformat(), amount, one.currency, payer, one.text, one.reference, IBAN))
    return text.getvalue().encode()
