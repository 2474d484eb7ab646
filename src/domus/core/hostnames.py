"""Host names as RFC 1123 allows them."""

from __future__ import annotations

import re

from domus.core.errors import InvalidInput

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAX_LENGTH = 253


def parse_hostname(text: str, *, field: str = "hostname") -> str:
    """Return the host name in lower case; raise InvalidInput when RFC 1123 does not allow it.

    A name that consists of digits only is refused too: it reads as a number or an address in too many places.
    """
    name = text.strip().rstrip(".").lower()
    if not name:
        raise InvalidInput("A host name is needed, for instance www.example.org.", field=field)
    if len(name) > MAX_LENGTH:
        raise InvalidInput(
            f"A host name has at most {MAX_LENGTH} characters; this has {len(name)}.", field=field
        )
    labels = name.split(".")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise InvalidInput(
                f"{text.strip()!r} is not a host name: each part between dots has 1 to 63 letters a-z, digits or hyphens, "
                "and neither begins nor ends with a hyphen.",
                field=field,
            )
    if labels[-1].isdigit():
        raise InvalidInput(f"{name!r} is a number or an address, not a host name.", field=field)
    return name
