"""What stands on the lines of an invoice, in the customer's language; frozen with it."""

from __future__ import annotations

from domus.catalog.models import Price
from domus.core.languages import DEFAULT_LANGUAGE
from domus.core.money import Money
from domus.core.wording import money_text, period_text, rate_text

_SET_UP_FEE = {
    "en": "set-up fee",
    "de": "Einrichtungsgebühr",
    "es": "cuota de alta",
    "fr": "frais de mise en service",
    "ru": "плата за подключение",
    "zh": "开通费",
}

_COUPON = {
    "en": "coupon",
    "de": "Gutschein",
    "es": "cupón",
    "fr": "code promo",
    "ru": "купон",
    "zh": "优惠券",
}

MAX_LENGTH = 300


def period_line(price: Price, language: str) -> str:
    """Return the line of one period, such as ``Small VPS, 1 month``."""
    return f"{price.product.name}, {period_text(price.period, language)}"[:MAX_LENGTH]


def set_up_line(price: Price, language: str) -> str:
    """Return the line of the set-up fee."""
    fee = _SET_UP_FEE.get(language, _SET_UP_FEE[DEFAULT_LANGUAGE])
    return f"{price.product.name}, {fee}"[:MAX_LENGTH]


def coupon_line(code: str, millipercent: int, amount: Money, language: str) -> str:
    """Return the line of what a coupon takes off, such as ``coupon SPRING, 20 %``; the amount where it is no part."""
    word = _COUPON.get(language, _COUPON[DEFAULT_LANGUAGE])
    worth = rate_text(millipercent, language) if millipercent else money_text(amount, language)
    return f"{word} {code}, {worth}"[:MAX_LENGTH]
