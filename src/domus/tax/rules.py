"""Which value added tax a sale bears: a pure table of who sells to whom.

What is sold is an electronically supplied service: hosting stands in Annex II, point 1, of Council Directive 2006/112/EC,
and in Annex I of Implementing Regulation (EU) 282/2011. The articles that are named here are those of the Directive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from domus.core.errors import PreconditionFailed

EU = frozenset(
    (
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    )
)  # fmt: skip

#: Territories that the VAT of another country applies to (Article 7).
_TREATED_AS = {"MC": "FR", "IM": "GB"}


class Rule(StrEnum):
    """Why a sale bears the tax that it bears."""

    UNTAXED_SELLER = "untaxed_seller"
    """The company charges no tax at all, as small businesses."""
    DOMESTIC = "domestic"
    """Buyer and seller are in one country: its tax, business or not."""
    REVERSE_CHARGE = "reverse_charge"
    """A business in another EU country: it owes the tax itself (Articles 44 and 196)."""
    DESTINATION = "destination"
    """A consumer in another EU country: that country's tax, declared through the one-stop shop (Article 58)."""
    ORIGIN = "origin"
    """A consumer in another EU country while the company stays below the threshold of Article 59c: its own tax."""
    OUTSIDE = "outside"
    """The service is supplied in a country whose tax the company does not collect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A company, as far as tax asks. ``country`` may be empty while ``charges_tax`` is off."""

    country: str
    charges_tax: bool
    one_stop_shop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """A customer, as far as tax asks. ``vat_number`` is empty, or one that was checked, without blanks."""

    country: str
    vat_number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The standard rate of a country from a day on, in thousandths of a percent: 19 % is 19000."""

    country: str
    valid_from: date
    millipercent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a sale bears: the rule, the country whose tax it is (empty: none), its rate, and the seller's own rate.

    ``home_millipercent`` is what prices that include tax are taken to include.
    """

    rule: Rule
    country: str = ""
    millipercent: int = 0
    home_millipercent: int = 0

    @property
    def ratio(self) -> Fraction:
        """Return the tax on an amount of one."""
        return Fraction(self.millipercent, 100_000)

    @property
    def home_ratio(self) -> Fraction:
        """Return the tax on an amount of one in the seller's own country."""
        return Fraction(self.home_millipercent, 100_000)


def decide(seller: Seller, buyer: Buyer, *, rates: Iterable[Rate], on: date) -> Decision:
    """Return what a sale bears on a day.

    A customer who named no country is taken for one in the seller's. Raises PreconditionFailed when the rate of the country
    whose tax is due is not known on that day: nothing may be sold at a guess.
    """
    if not seller.charges_tax:
        return Decision(rule=Rule.UNTAXED_SELLER)
    home = _tax_country(seller.country)
    there = _tax_country(buyer.country) or home
    known = tuple(rates)
    rule = _rule(seller, buyer, home, there)
    home_rate = rate_on(known, home, on)
    if rule in (Rule.REVERSE_CHARGE, Rule.OUTSIDE):
        return Decision(rule=rule, home_millipercent=home_rate)
    if rule is Rule.DESTINATION:
        return Decision(
            rule=rule, country=there, millipercent=rate_on(known, there, on), home_millipercent=home_rate
        )
    return Decision(rule=rule, country=home, millipercent=home_rate, home_millipercent=home_rate)


def rate_on(rates: Iterable[Rate], country: str, on: date) -> int:
    """Return the rate of a country on a day; raise PreconditionFailed when none is known."""
    valid = [rate for rate in rates if rate.country == country and rate.valid_from <= on]
    if not valid:
        raise PreconditionFailed(
            f"No tax rate of {country} is known for {on:%Y-%m-%d}; an operator has to enter it under Tax rates."
        )
    return max(valid, key=lambda rate: rate.valid_from).millipercent


def is_business(buyer: Buyer) -> bool:
    """Tell whether the VAT number belongs to the country that the buyer is in.

    For services Northern Ireland is not in the EU, so that its numbers (XI) make nobody a business here.
    """
    prefix = {"EL": "GR"}.get(buyer.vat_number[:2], buyer.vat_number[:2])
    return bool(prefix) and prefix == _tax_country(buyer.country)


def _rule(seller: Seller, buyer: Buyer, home: str, there: str) -> Rule:
    if there == home:
        return Rule.DOMESTIC
    if there not in EU:
        return Rule.OUTSIDE
    if is_business(buyer):
        return Rule.REVERSE_CHARGE
    if seller.one_stop_shop:
        return Rule.DESTINATION
    return Rule.ORIGIN if home in EU else Rule.OUTSIDE


def _tax_country(country: str) -> str:
    return _TREATED_AS.get(country, country)
