"""How much a coupon takes off, and whether it may be used: pure, with one sentence for each refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from domus.catalog.models import Price
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.coupons.models import Coupon

FIELD = "coupon"

_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,39}")


@dataclass(frozen=True, slots=True)
class Discount:
    """What is taken off an invoice: ``amount`` is positive, in catalogue terms, and never more than it is taken off from."""

    code: str
    millipercent: int
    amount: Money


def parse_code(text: str, *, field: str = FIELD) -> str:
    """Return a code in capitals; raise InvalidInput for what cannot be one."""
    code = text.strip().upper()
    if not _CODE.fullmatch(code):
        raise InvalidInput(
            "A coupon's code has 2 to 40 letters A to Z, digits, hyphens and underscores.", field=field
        )
    return code


def discount(code: str, base: Money, *, millipercent: int, amount: Money) -> Discount:
    """Return what is taken off *base*: a part of it, or else an amount; rounded once, and never more than all of it."""
    off = base.times(Fraction(millipercent, 100_000)) if millipercent else amount
    return Discount(code, millipercent, Money(min(off.minor, base.minor), base.currency))


def first_discount(coupon: Coupon, price: Price) -> Discount:
    """Return what a coupon takes off the first payment at a price; raise InvalidInput when that is nothing."""
    base = price.amount + price.setup_fee if coupon.covers_setup_fee else price.amount
    amount = Money(int(coupon.amounts.get(price.currency, 0)), price.currency)
    found = discount(coupon.code, base, millipercent=coupon.millipercent, amount=amount)
    if not found.amount:
        raise InvalidInput(f"The coupon {coupon} takes nothing off this price.", field=FIELD)
    return found


def refuse_unless_valid(coupon: Coupon, *, today: date) -> None:
    """Raise InvalidInput when nobody can use the coupon today, whatever is ordered and however often it was used."""
    if not coupon.active:
        raise InvalidInput(f"The coupon {coupon} is not accepted any more.", field=FIELD)
    if coupon.valid_from is not None and today < coupon.valid_from:
        raise InvalidInput(f"The coupon {coupon} is valid from {coupon.valid_from:%Y-%m-%d} on.", field=FIELD)
    if coupon.valid_until is not None and today > coupon.valid_until:
        raise InvalidInput(f"The coupon {coupon} expired on {coupon.valid_until:%Y-%m-%d}.", field=FIELD)


def refuse_unless_for(coupon: Coupon, price: Price) -> None:
    """Raise InvalidInput when the coupon is not for what is ordered at a price."""
    if coupon.product_ids and price.product_id not in coupon.product_ids:
        raise InvalidInput(f"The coupon {coupon} is not for {price.product}.", field=FIELD)
    if coupon.periods and str(price.period) not in coupon.periods:
        raise InvalidInput(
            f"The coupon {coupon} is not for a period of {price.period.describe()}.", field=FIELD
        )
    if not coupon.millipercent and price.currency not in coupon.amounts:
        known = " or ".join(sorted(coupon.amounts))
        raise InvalidInput(
            f"The coupon {coupon} is for prices in {known}; this one is in {price.currency}.", field=FIELD
        )


def used_up(coupon: Coupon) -> InvalidInput:
    """Return the refusal of whoever comes too late."""
    return InvalidInput(f"The coupon {coupon} is used up.", field=FIELD)
