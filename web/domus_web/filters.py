"""How values look on pages: money, moments, sizes."""

from __future__ import annotations

from datetime import UTC, date, datetime

from flask import Flask
from markupsafe import Markup, escape

from domus.core.clock import iso_z
from domus.core.countries import country_names
from domus.core.money import Money
from domus.tax.models import percent_text

#: Written out, because strftime's month names follow the server's locale.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_NBSP = "\N{NO-BREAK SPACE}"
_DECIMAL_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def register(app: Flask) -> None:
    """Make the filters known to the templates of *app*."""
    for function in (money, minor, percent, country, moment, day, mib, traffic, duration, actor, words, fact):
        app.add_template_filter(function)


def money(value: Money) -> Markup:
    """Return an amount with its currency, never broken over two lines."""
    amount, _, currency = str(value).partition(" ")
    sign, digits = ("\N{MINUS SIGN}", amount[1:]) if amount.startswith("-") else ("", amount)
    whole, point, decimals = digits.partition(".")
    text = f"{sign}{int(whole):,}{point}{decimals}{_NBSP}{currency}"
    return Markup('<span class="num">{}</span>').format(text)


def minor(value: int, currency: str) -> Markup:
    """Return an amount that is stored in minor units beside its currency."""
    return money(Money(value, currency))


def percent(millipercent: int) -> str:
    """Return a rate that is stored in thousandths of a percent, such as ``25.5 %``."""
    return percent_text(millipercent).replace(" ", _NBSP)


def country(code: str) -> str:
    """Return what a country is called."""
    return country_names().get(code, code)


def moment(value: datetime | None, empty: str = "never") -> Markup:
    """Return a moment in UTC inside a ``<time>`` that programs can read."""
    if value is None:
        return escape(empty)
    utc = value.astimezone(UTC)
    text = f"{_day_text(utc)}, {utc:%H:%M}{_NBSP}UTC"
    return Markup('<time class="num" datetime="{}">{}</time>').format(iso_z(value), text)


def day(value: date | None, empty: str = "never") -> Markup:
    """Return a calendar day inside a ``<time>``."""
    if value is None:
        return escape(empty)
    return Markup('<time class="num" datetime="{}">{}</time>').format(f"{value:%Y-%m-%d}", _day_text(value))


def mib(value: int) -> str:
    """Return mebibytes in the largest unit that shows them exactly to one decimal, such as ``1.5 GiB``."""
    for unit, size in (("TiB", 1024 * 1024), ("GiB", 1024)):
        if value >= size and (value * 10) % size == 0:
            return f"{_trim(value * 10 // size)}{_NBSP}{unit}"
    return f"{value:,}{_NBSP}MiB"


def traffic(value: int) -> str:
    """Return an amount of traffic; 0 is unmetered. Whole gibibytes stay such, the rest is decimal."""
    if value == 0:
        return "unmetered"
    if value % 2**30 == 0:
        return mib(value // 2**20)
    power = min((len(str(value)) - 1) // 3, len(_DECIMAL_UNITS) - 1)
    return f"{_trim(value * 10 // 1000**power)}{_NBSP}{_DECIMAL_UNITS[power]}"


def duration(seconds: float) -> str:
    """Return a span of time as ``4 s``, ``2 min 5 s`` or ``3 h 2 min``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}{_NBSP}s"
    if whole < 3600:
        return f"{whole // 60}{_NBSP}min {whole % 60}{_NBSP}s"
    return f"{whole // 3600}{_NBSP}h {whole % 3600 // 60}{_NBSP}min"


def actor(name: str) -> str:
    """Return who did something in words: an e-mail address, or the part of the service that acted."""
    kind, _, rest = name.partition(":")
    if kind == "user":
        return rest.partition(" ")[2] or rest
    shown = {"dom0": "the server", "system": "automatic", "cli": "the operator", "staff": "the operator"}
    return shown.get(kind, name)


def words(value: str) -> str:
    """Return a state's or event's name as words: ``power_off`` becomes ``power off``."""
    return value.replace("_", " ")


def fact(value: object, name: str) -> str:
    """Return what a dom0 says of itself, such as ``memory free 65,280 MiB`` of ``memory_free_mib``."""
    label, is_size = (name.removesuffix("_mib"), True) if name.endswith("_mib") else (name, False)
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return f"{words(label)} {text}{_NBSP}MiB" if is_size else f"{words(label)} {text}"


def _day_text(value: date) -> str:
    return f"{value.day}{_NBSP}{MONTHS[value.month - 1]}{_NBSP}{value.year}"


def _trim(tenths: int) -> str:
    whole, rest = divmod(tenths, 10)
    return f"{whole:,}.{rest}" if rest else f"{whole:,}"
