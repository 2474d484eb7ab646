"""What stands on the lines of an invoice, in the customer's language; frozen with it."""

from __future__ import annotations

from datetime import date, timedelta

from domus.catalog.models import Price
from domus.core.languages import DEFAULT_LANGUAGE
from domus.core.money import Money
from domus.core.periods import Period
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
_CHANGED_TO = {
    "en": "change to {product}, {first} to {last}",
    "de": "Wechsel zu {product}, {first} bis {last}",
    "es": "cambio a {product}, del {first} al {last}",
    "fr": "passage à {product}, du {first} au {last}",
    "ru": "переход на {product}, с {first} по {last}",
    "zh": "变更为 {product}，{first} 至 {last}",
}
_UNUSED = {
    "en": "{product}, unused from {first} to {last}",
    "de": "{product}, nicht genutzt vom {first} bis {last}",
    "es": "{product}, sin usar del {first} al {last}",
    "fr": "{product}, non utilisé du {first} au {last}",
    "ru": "{product}, не использовано с {first} по {last}",
    "zh": "{product}，{first} 至 {last} 未使用",
}

MAX_LENGTH = 300


def period_line(price: Price, language: str) -> str:
    """Return the line of one period, such as ``Small VPS, 1 month``."""
    return f"{price.product.name}, {period_text(price.period, language)}"[:MAX_LENGTH]


def addon_line(product: str, name: str, count: int, period: Period, language: str) -> str:
    """Return the line of an add-on, such as ``Small VPS, 2 x IPv4 address, 1 month``."""
    return f"{product}, {count} x {name}, {period_text(period, language)}"[:MAX_LENGTH]


def set_up_line(price: Price, language: str) -> str:
    """Return the line of the set-up fee."""
    fee = _SET_UP_FEE.get(language, _SET_UP_FEE[DEFAULT_LANGUAGE])
    return f"{price.product.name}, {fee}"[:MAX_LENGTH]


def coupon_line(code: str, millipercent: int, amount: Money, language: str) -> str:
    """Return the line of what a coupon takes off, such as ``coupon SPRING, 20 %``; the amount where it is no part."""
    word = _COUPON.get(language, _COUPON[DEFAULT_LANGUAGE])
    worth = rate_text(millipercent, language) if millipercent else money_text(amount, language)
    return f"{word} {code}, {worth}"[:MAX_LENGTH]


def change_line(price: Price, hostname: str, language: str, *, first: date, until: date) -> str:
    """Return the line of the days left at a new price; ``until`` is the first day that is not meant."""
    return f"{hostname}: {_days(_CHANGED_TO, price, language, first, until)}"[:MAX_LENGTH]


def unused_line(price: Price, hostname: str, language: str, *, first: date, until: date) -> str:
    """Return the line of the days that were paid for at a former price and are not used."""
    return f"{hostname}: {_days(_UNUSED, price, language, first, until)}"[:MAX_LENGTH]


def _days(texts: dict[str, str], price: Price, language: str, first: date, until: date) -> str:
    text = texts.get(language, texts[DEFAULT_LANGUAGE])
    last = until - timedelta(days=1)
    return text.format(product=price.product.name, first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}")
