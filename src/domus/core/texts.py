"""Plain text: what people type, and what went wrong in a line."""

from __future__ import annotations

import unicodedata
from typing import Any

from domus.core.errors import InvalidInput


def one_line(text: str, *, field: str, maximum: int, required: bool = True) -> str:
    """Return the text without blanks around it; raise InvalidInput when it is empty, too long, or more than one line.

    Characters that cannot be seen (control characters, and those that turn the direction of writing around) are refused:
    they make one name look like another, and one line of a log like two.
    """
    cleaned = text.strip()
    if required and not cleaned:
        raise InvalidInput("This may not be empty.", field=field)
    if len(cleaned) > maximum:
        raise InvalidInput(f"At most {maximum} characters; these are {len(cleaned)}.", field=field)
    for character in cleaned:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            raise InvalidInput(
                f"The invisible character U+{ord(character):04X} is not allowed here.", field=field
            )
    return cleaned


def own_name(text: str, *, field: str, maximum: int) -> str:
    """Return what people call themselves, as `one_line` does; raise InvalidInput also for an address of the web.

    Names stand in mails, whose readers' programs make links of such addresses.
    """
    cleaned = one_line(text, field=field, maximum=maximum)
    # In the form that programs for mails read it in: wide letters are letters, too.
    folded = unicodedata.normalize("NFKC", cleaned).casefold()
    for part in ("://", "www."):
        if part in folded:
            raise InvalidInput(
                f"A name may not contain {part!r}; give it without web addresses.", field=field
            )
    return cleaned


def visible(text: str) -> str:
    """Return the text as one line of what can be seen, for terminals: escape sequences that steer them are broken."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def first_line(error: Exception) -> str:
    """Return what an error says first; its type when it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def why_failed(value: Any) -> str:
    """Return what a failed call on a minion says, as one short text."""
    if isinstance(value, list | tuple):
        value = " ".join(str(part) for part in value)
    lines = str(value).strip().splitlines() or ["it returned nothing"]
    # Of a traceback only the last line says what went wrong.
    text = visible(lines[-1] if "Traceback" in str(value) else " ".join(lines))
    return text[:900] or "it returned nothing"


def paragraphs(text: str, *, field: str, maximum: int) -> str:
    """Return a text of any number of lines, with plain line ends; raise InvalidInput for control characters or too many."""
    cleaned = text.replace("\r\n", "\n").strip()
    if len(cleaned) > maximum:
        raise InvalidInput(f"At most {maximum} characters; these are {len(cleaned)}.", field=field)
    for character in cleaned:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
            raise InvalidInput(
                f"The invisible character U+{ord(character):04X} is not allowed here.", field=field
            )
    return cleaned


def whole_number(value: int, *, field: str, minimum: int, maximum: int) -> int:
    """Return the number; raise InvalidInput when it is outside its bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise InvalidInput(
            f"A whole number from {minimum} to {maximum} is needed, not {value!r}.", field=field
        )
    return value
