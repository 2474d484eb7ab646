"""What all forms share: refusals of the house shown at the field they speak of."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import Field, SelectChoice  # type: ignore[attr-defined] # too new for its types

from domus.core.countries import country_names
from domus.core.errors import InvalidInput
from domus.core.languages import LANGUAGES


class Form(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types of its own
    """A form with a CSRF token."""

    def refuse(self, error: InvalidInput) -> None:
        """Show a refusal at its field, or above the form when it speaks of none that is here."""
        field = self._fields.get(error.field or "")
        if field is None:
            self.form_errors.append(str(error))
        else:
            field.errors = [*field.errors, str(error)]

    @property
    def problems(self) -> list[tuple[Field | None, str]]:
        """Return every error with its field, in the order of the form."""
        at_fields: list[tuple[Field | None, str]] = [(f, e) for f in self for e in f.errors]
        return [*((None, error) for error in self.form_errors), *at_fields]


class ConfirmForm(Form):
    """A form that has nothing but its CSRF token: a button."""


def strip(value: Any) -> Any:
    """Return text without white space at its ends, for a field's ``filters``."""
    return value.strip() if isinstance(value, str) else value


def country_choices() -> list[Any]:
    """Return all countries by name, and the choice of none before them."""
    named = sorted(country_names().items(), key=lambda item: item[1])
    return [SelectChoice("", "Not said"), *(SelectChoice(code, name) for code, name in named)]


def language_choices() -> list[Any]:
    """Return the languages of invoices and mails."""
    return [SelectChoice(code, name) for code, name in LANGUAGES.items()]
