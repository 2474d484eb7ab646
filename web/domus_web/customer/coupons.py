"""A coupon on the order page: what each price comes to with it, before anything is ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from domus.catalog.models import Price
from domus.core.clock import utc_now
from domus.core.errors import InvalidInput, TooManyAttempts
from domus.core.money import Money
from domus.workflows import coupons
from domus.workflows.billing_data import TaxQuote
from domus.workflows.coupons import CouponQuote
from domus_web.context import current_account_id, current_actor, current_db
from domus_web.customer.forms import OrderForm

#: The button that shows what a coupon takes off, and orders nothing.
APPLY = "apply"


@dataclass(frozen=True, slots=True)
class Totals:
    """What there is to pay first for each price, with the coupon where it takes something off."""

    tax: TaxQuote
    quote: CouponQuote | None = None

    def off(self, price: Price) -> Money | None:
        """Return what the coupon takes off a price, or None."""
        found = None if self.quote is None else self.quote.off.get(price.id)
        return None if found is None else found.amount

    def total(self, price: Price, *extra: Money) -> Money:
        """Return what is paid first, with what is ordered beside the product."""
        off = self.off(price)
        less = () if off is None else (-off,)
        return self.tax.gross(price.amount, price.setup_fee, *extra, *less)

    def words(self, price: Price) -> str:
        """Return what the coupon does for a price, in a few words."""
        off = self.off(price)
        if self.quote is None:
            return ""
        if off is None:
            return self.quote.refused[price.id]
        return f"{self.quote.code}: {-off}, {for_payments(self.quote.payments)}"


def for_payments(payments: int | None) -> str:
    """Return how often a coupon takes something off."""
    if payments is None:
        return "on this and every further payment"
    return "on this payment" if payments == 1 else f"on this and the next {payments - 1} payments"


def is_asked_about() -> bool:
    """Tell whether the button was pressed that shows what a coupon takes off."""
    return APPLY in request.form


def look(form: OrderForm, prices: Sequence[Price], chosen: Price | None) -> CouponQuote | None:
    """Return what the coupon of a form takes off; None without one, and with the reason at its field when it is refused."""
    code = str(form.coupon.data or "").strip()
    if not form.is_submitted() or not code:
        form.coupon_shown.data = ""
        return None
    where: dict[str, Any] = {"account_id": current_account_id(), "actor": current_actor()}
    try:
        quote = coupons.quote(current_db(), code, prices, **where, now=utc_now())
    except (InvalidInput, TooManyAttempts) as error:
        form.refuse(InvalidInput(str(error), field="coupon"))
        return None
    if chosen is not None and chosen.id in quote.refused:
        form.refuse(InvalidInput(quote.refused[chosen.id], field="coupon"))
    return quote
