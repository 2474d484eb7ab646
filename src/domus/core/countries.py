"""Countries: two letters of ISO 3166, and what they are called."""

from __future__ import annotations

from functools import cache

from babel import Locale

from domus.core.errors import InvalidInput
from domus.core.languages import DEFAULT_LANGUAGE

#: Unicode's lists have these codes too; they are no country that anybody lives in.
_NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})


@cache
def country_names(language: str = DEFAULT_LANGUAGE) -> dict[str, str]:
    """Return what each country is called in a language, by its code."""
    territories = Locale.parse(language).territories
    return {
        code: str(name)
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in _NO_COUNTRIES
    }


def parse_country(text: str, *, field: str = "country", required: bool = False) -> str:
    """Return an ISO 3166 code in upper case, or nothing when nothing was said and that is allowed."""
    code = text.strip().upper()
    if not code and not required:
        return ""
    if code not in country_names():
        raise InvalidInput(
            f"{text!r} is not a country code; write two letters, such as DE or FR.", field=field
        )
    return code
