"""VAT numbers as countries write them, checked by their check digits. Whether one is in use, only its country knows."""

from __future__ import annotations

from stdnum import exceptions
from stdnum.ch import vat as swiss
from stdnum.eu import vat as european
from stdnum.gb import vat as british
from stdnum.no import mva as norwegian
from stdnum.util import clean

from domus.core.errors import InvalidInput
from domus.core.texts import one_line
from domus.tax.rules import EU

_OTHERS = {"CH": swiss, "GB": british, "NO": norwegian}
MAX_LENGTH = 20


def parse_vat_number(text: str, country: str, *, field: str = "vat_number") -> str:
    """Return the number without blanks and dots, beginning with its country's letters; nothing when nothing was said.

    Raises InvalidInput when it is no number of *country*. The rules of the EU, Switzerland, Norway and the United Kingdom
    are known here; elsewhere any short text is taken as it is.
    """
    typed = one_line(text, field=field, maximum=40, required=False)
    if not typed:
        return ""
    if not country:
        raise InvalidInput("Say which country you are in: a VAT number is checked by its rules.", field=field)
    try:
        if country in EU:
            return _european(typed, country)
        if country in _OTHERS:
            return _with_letters(str(_OTHERS[country].validate(typed)), country)
    except exceptions.ValidationError as error:
        raise InvalidInput(
            f"{typed!r} is no VAT number of {country}: {_sentence(error)} It begins with the country's letters, "
            f"such as {_example(country)}.",
            field=field,
        ) from error
    return one_line(typed, field=field, maximum=MAX_LENGTH)


def _european(typed: str, country: str) -> str:
    letters = "EL" if country == "GR" else country
    number = clean(typed, " -./,").upper()
    if number.startswith((letters, country)):
        number = number[2:]
    elif number[:2] in EU | {"EL", "XI"}:
        raise exceptions.InvalidComponent
    return str(european.validate(letters + number))


def _with_letters(number: str, country: str) -> str:
    """Return a number that begins with its country's letters, which the Norwegians leave out."""
    return number if number.startswith(country) else f"{country}{number}"


def _sentence(error: exceptions.ValidationError) -> str:
    reasons = {
        exceptions.InvalidChecksum: "its check digit is wrong.",
        exceptions.InvalidLength: "it has the wrong length.",
        exceptions.InvalidFormat: "it has the wrong form.",
        exceptions.InvalidComponent: "it belongs to another country.",
    }
    return reasons.get(type(error), "it is not valid.")


def _example(country: str) -> str:
    examples = {"DE": "DE136695976", "FR": "FR40303265045", "GR": "EL094259216", "CH": "CHE-107.787.577 IVA"}
    return examples.get(country, f"{country}...")
