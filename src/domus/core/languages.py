"""The languages that customers read: of invoices and of mails. The panels themselves are English."""

from __future__ import annotations

from domus.core.errors import InvalidInput

#: Code > what its speakers call it.
LANGUAGES = {
    "en": "English",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "ru": "Русский",
    "zh": "中文",
}

DEFAULT_LANGUAGE = "en"


def parse_language(text: str, *, field: str = "language") -> str:
    """Return the code of a language that Domus has texts in; raise InvalidInput that names them."""
    code = text.strip().lower()
    if code not in LANGUAGES:
        raise InvalidInput(f"{text!r} is no language of ours; there are {', '.join(LANGUAGES)}.", field=field)
    return code
