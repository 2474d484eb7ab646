"""What the operator's forms share."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from wtforms import SelectChoice, SelectField, StringField, TextAreaField  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, Length, Optional

from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus_web.forms import Form, strip


class OperatorForm(Form):
    """A form whose fields are named like the columns they fill; ``aliases`` names those that are not."""

    aliases: ClassVar[dict[str, str]] = {}

    def refuse(self, error: InvalidInput) -> None:
        """Show a refusal at its field, also where the house calls the field otherwise."""
        name = self.aliases.get(error.field or "", error.field)
        super().refuse(InvalidInput(str(error), field=name))


class MoneyField(StringField):
    """An amount as people type it; the form's currency says how many decimals it may have."""

    def __init__(self, label: str, **options: Any) -> None:
        options.setdefault(
            "validators", [DataRequired("Enter an amount, such as 59 or 59.90; 0 for nothing.")]
        )
        options.setdefault("render_kw", {"inputmode": "decimal"})
        super().__init__(label, filters=[strip], **options)

    def process_data(self, value: Any) -> None:
        """Show an amount without its currency, which has a field of its own."""
        self.data = str(value).partition(" ")[0] if isinstance(value, Money) else value

    def minor(self, currency: str) -> int:
        """Return the amount in minor units; raise InvalidInput for what is no amount of *currency*."""
        return Money.parse(str(self.data), currency, field=self.name).minor


def tidy(value: Any) -> Any:
    """Return text without white space at its ends; a field that a crafted request left out is empty text."""
    return "" if value is None else strip(value)


def text(label: str, *, maximum: int, required: bool = True, **options: Any) -> StringField:
    """Return a field for one line of text."""
    first = DataRequired("This is needed.") if required else Optional()
    return StringField(label, validators=[first, Length(max=maximum)], filters=[tidy], **options)


def long_text(label: str, *, maximum: int, rows: int = 4, **options: Any) -> TextAreaField:
    """Return a field for several lines of text that may be empty."""
    options["render_kw"] = {"rows": rows, "spellcheck": "false", **options.get("render_kw", {})}
    return TextAreaField(label, validators=[Length(max=maximum)], filters=[tidy], **options)


def option(value: str, label: str = "") -> Any:
    """Return one choice of a select. (The type stubs do not know WTForms 3.3's class for it yet.)"""
    return SelectChoice(value, label or value)


def one_of(
    label: str, enum: type[StrEnum], labels: dict[Any, str] | None = None, **options: Any
) -> SelectField:
    """Return a field for one of a StrEnum's few values."""
    named = labels or {}
    choices = [option(member.value, named.get(member, member.value.replace("_", " "))) for member in enum]
    return SelectField(
        label, choices=choices, coerce=str, validators=[DataRequired("Choose one.")], **options
    )
