"""How values look in the operator's lists: formatters in Flask-Admin's form, ``(view, context, row, column)``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask import url_for
from markupsafe import Markup, escape

from domus.core.clock import iso_z
from domus.core.money import Money
from domus_web.filters import actor, mib, money, words

Formatter = Callable[[Any, Any, Any, str], Markup | str]

NOTHING = Markup('<span class="muted" aria-label="none">\N{EN DASH}</span>')

#: The tone of every state that a list shows; the look of each is set in the style sheet.
TONES = {
    "active": "ok", "paid": "ok", "fulfilled": "ok", "done": "ok", "confirmed": "ok",
    "sent": "ok", "credited": "ok", "paid_out": "ok", "pending": "warning", "free": "ok", "assigned": "", "booked": "ok",
    "placed": "warning", "open": "warning", "reserved": "warning", "draining": "warning", "maintenance": "warning",
    "quarantined": "warning", "paused": "warning", "refunded": "warning", "unmatched": "warning", "attention": "danger",
    "provisioning": "busy", "queued": "busy", "waiting": "busy", "running": "busy", "removing": "busy",
    "provision_failed": "danger", "failed": "danger", "given_up": "danger", "lost": "danger", "crashed": "danger",
}  # fmt: skip


def moment(value: datetime | None, empty: str = "never") -> Markup:
    """Return a moment in UTC to the minute; the seconds are in its title."""
    if value is None:
        return Markup('<span class="muted">{}</span>').format(empty)
    utc = value.astimezone(UTC)
    return Markup('<time class="num" datetime="{}" title="{} UTC">{}</time>').format(
        iso_z(value), f"{utc:%Y-%m-%d %H:%M:%S}", f"{utc:%Y-%m-%d %H:%M}"
    )


def status(value: StrEnum | str, label: str = "", tone: str | None = None) -> Markup:
    """Return a state as a dot and a word."""
    text = str(value)
    found = TONES.get(text, "") if tone is None else tone
    return Markup('<span class="status {}"><span class="dot" aria-hidden="true"></span>{}</span>').format(
        found, label or words(text)
    )


def link(endpoint: str, label: Any, **arguments: Any) -> Markup:
    """Return a link to a page of the panel."""
    return Markup('<a href="{}">{}</a>').format(url_for(endpoint, **arguments), label)


def code(text: str) -> Markup:
    """Return what machines read, in a face that tells 0 from O."""
    return Markup("<code>{}</code>").format(text) if text else NOTHING


def bar(used: int, total: int, text: str, label: str) -> Markup:
    """Return how full something is, as a meter that screen readers read too."""
    share = 0 if total <= 0 else min(100, used * 100 // total)
    tone = "danger" if share >= 95 else "warning" if share >= 80 else "ok"
    return Markup(
        '<span class="level {0}"><progress max="100" value="{1}" aria-label="{2}">{1} %</progress>'
        '<span class="level-text num">{3} <span class="muted">{1}&nbsp;%</span></span></span>'
    ).format(tone, share, label, text)


def when(attribute: str, empty: str = "never") -> Formatter:
    """Show a moment."""
    return lambda _view, _context, row, _name: moment(getattr(row, attribute), empty)


def state(attribute: str) -> Formatter:
    """Show a state."""
    return lambda _view, _context, row, _name: status(getattr(row, attribute))


def yes_no(attribute: str, yes: str = "yes", no: str = "no") -> Formatter:
    """Show something true or false in words."""
    return lambda _view, _context, row, _name: yes if getattr(row, attribute) else no


def size(attribute: str) -> Formatter:
    """Show mebibytes."""
    return lambda _view, _context, row, _name: Markup('<span class="num">{}</span>').format(
        mib(getattr(row, attribute))
    )


def amount(attribute: str) -> Formatter:
    """Show minor units of the row's currency as money."""
    return lambda _view, _context, row, _name: money(Money(getattr(row, attribute), row.currency))


def by_whom(attribute: str = "actor") -> Formatter:
    """Show who did it, with the whole of what was recorded in the title."""

    def show(_view: Any, _context: Any, row: Any, _name: str) -> Markup:
        recorded = getattr(row, attribute)
        return Markup('<span title="{}">{}</span>').format(recorded, operator_words(recorded))

    return show


def operator_words(recorded: str) -> str:
    """Return an actor as the operator wants to read it: machines and shells keep their names."""
    kind, _, rest = recorded.partition(":")
    names = {
        "dom0": rest,
        "cli": f"{rest} (shell)",
        "system": f"Domus ({rest})",
        "staff": rest.partition(" ")[2],
    }
    return names.get(kind) or actor(recorded)


def plain(attribute: str) -> Formatter:
    """Show text, or a dash."""
    return lambda _view, _context, row, _name: escape(getattr(row, attribute)) or NOTHING


def lines(attribute: str) -> Formatter:
    """Show text of several lines as it was entered, or a dash."""
    return lambda _view, _context, row, _name: (
        Markup('<span class="lines">{}</span>').format(getattr(row, attribute))
        if getattr(row, attribute)
        else NOTHING
    )


def machine(attribute: str) -> Formatter:
    """Show text for machines."""
    return lambda _view, _context, row, _name: code(str(getattr(row, attribute) or ""))


def to(attribute: str, endpoint: str, key: str = "id", blueprint_page: str = "details_view") -> Formatter:
    """Show what a row belongs to, as a link to its page. The relation has to be loaded with the list."""

    def show(_view: Any, _context: Any, row: Any, _name: str) -> Markup:
        target = getattr(row, attribute)
        if target is None:
            return NOTHING
        return link(f"{endpoint}.{blueprint_page}", str(target), id=getattr(target, key))

    return show
