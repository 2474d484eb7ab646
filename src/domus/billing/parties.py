"""Buyer and seller as they are copied into an invoice, where later edits do not reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domus.accounts.models import Account
from domus.tax.models import Company


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side of an invoice. ``country`` is a code; texts of several lines have plain line ends."""

    name: str
    company: str = ""
    address: str = ""
    country: str = ""
    email: str = ""
    vat_number: str = ""
    registration: str = ""
    bank_details: str = ""

    def as_stored(self) -> dict[str, Any]:
        """Return what goes into the database's column."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Party:
        """Read the column; what a later release added to it is passed over."""
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__ if name in stored})


def seller_of(company: Company) -> Party:
    """Return the selling side as it is now."""
    return Party(
        name=company.name,
        address=company.address,
        country=company.country,
        email=company.email,
        vat_number=company.vat_number,
        registration=company.registration,
        bank_details=company.bank_details,
    )


def buyer_of(account: Account) -> Party:
    """Return the buying side as it is now."""
    return Party(
        name=account.name,
        company=account.company,
        address=account.address,
        country=account.country,
        email=account.email,
        vat_number=account.vat_number,
    )
