"""Form fields of the operator panel: whole numbers with a unit, traffic, and names of other things."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_admin.model.ajax import AjaxModelLoader
from sqlalchemy.orm import InstrumentedAttribute
from wtforms import DecimalField, IntegerField, StringField
from wtforms.validators import DataRequired, InputRequired, Length

from domus.core.errors import InvalidInput
from domus_web.context import current_db
from domus_web.forms import strip
from domus_web.operator.reading import reading
from domus_web.operator.searching import begins_with

SUGGESTIONS = 20
_GIBIBYTE = 2**30


class QuantityField(IntegerField):
    """A whole number with its unit beside it."""

    def __init__(self, label: str, *, unit: str = "", **options: Any) -> None:
        options.setdefault("validators", [InputRequired(f"Enter a whole number{unit and f' of {unit}'}.")])
        options.setdefault("render_kw", {"inputmode": "numeric"})
        super().__init__(label, **options)
        self.unit = unit


class TrafficField(DecimalField):
    """Bytes a month, entered in gibibytes."""

    unit = "GiB a month"

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(label, validators=[InputRequired("Enter 0 for unmetered.")], places=None, **options)

    def process_data(self, value: Any) -> None:
        """Show what the database holds, without zeros at its end."""
        self.data = None if value is None else Decimal(f"{Decimal(value) / _GIBIBYTE:f}")

    @property
    def bytes(self) -> int:
        """Return the amount in bytes; raise InvalidInput for what is none."""
        amount = self.data
        if amount is None or not amount.is_finite() or not 0 <= amount < Decimal(10) ** 9:
            raise InvalidInput("Enter 0 or more gibibytes.", field=self.name)
        return int(amount * _GIBIBYTE)


class LookupField(StringField):
    """The name of another thing. A select of all of them would not scale, so names are suggested while one types."""

    def __init__(self, label: str, *, lookup: str, required: bool = True, **options: Any) -> None:
        checks: list[Any] = [Length(max=253)]
        if required:
            checks.insert(0, DataRequired("Enter a name."))
        super().__init__(label, validators=checks, filters=[strip], **options)
        self.lookup = lookup
        self.suggestions_url = ""

    def suggest_from(self, url: str) -> None:
        """Let the script of the page ask *url* for names."""
        self.suggestions_url = url
        self.render_kw = {**(self.render_kw or {}), "list": f"{self.id}-known", "autocomplete": "off"}


class NameLoader(AjaxModelLoader):  # type: ignore[misc] # Flask-Admin carries no types
    """Finds things by the beginning of their name, a few at a time, and by their whole name."""

    def __init__(self, name: str, label: str, column: InstrumentedAttribute[str]) -> None:
        super().__init__(name, {})
        self.label = label
        self.column = column

    def format(self, model: Any) -> tuple[int, str]:
        """Return what the form needs of a thing."""
        return model.id, getattr(model, self.column.key)

    def get_list(
        self, query: str | None, _offset: int | None = 0, _limit: int = SUGGESTIONS
    ) -> Sequence[Any]:
        """Return the first few whose names begin with *query*."""
        session = reading()
        statement = sa.select(self.column.class_).order_by(self.column).limit(SUGGESTIONS)
        if query:
            statement = statement.where(begins_with(session, self.column, query.replace("\x00", "")))
        return session.scalars(statement).all()

    def resolve(self, name: str, *, field: str) -> int:
        """Return the id of the thing of that name; raise InvalidInput when there is none."""
        with current_db().reading() as session:
            found = session.scalar(sa.select(self.column.class_.id).where(self.column == name))
        if found is None:
            raise InvalidInput(f"There is no {self.label} called {name!r}.", field=field)
        return int(found)
