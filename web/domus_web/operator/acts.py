"""What an operator can do with one thing besides editing it: each has a page that says what will happen, and a button."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from domus.accounts.actor import Actor
from domus.core.errors import InvalidInput
from domus.db.engine import Database
from domus_web.forms import Form, strip

MAX_REASON = 500


class ActForm(Form):
    """Nothing but the button."""


class ReasonForm(ActForm):
    """Why it is done: history keeps it."""

    reason = TextAreaField(
        "Reason",
        [DataRequired("Say why: history keeps it."), Length(max=MAX_REASON)],
        filters=[strip],
        description="Kept in the history, with your name and the time. "
        "The customer of a VPS reads the reason, not the name.",
        render_kw={"rows": 2, "maxlength": MAX_REASON},
    )


class TypedForm(ReasonForm):
    """A reason, and something to be typed so that no hurried click does it."""

    typed = StringField(
        "Confirmation",
        [DataRequired("Type the text above exactly.")],
        filters=[strip],
        render_kw={"autocomplete": "off", "spellcheck": "false"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """One act being done: to what, with which answers, by whom and when."""

    db: Database
    model: Any
    form: Any
    actor: Actor
    now: datetime

    @property
    def reason(self) -> str:
        """Return the reason that was given, or nothing where none is asked for."""
        given = getattr(self.form, "reason", None)
        return "" if given is None else str(given.data)


def _always(_model: Any) -> bool:
    return True


def _nothing_to_type(_model: Any) -> str:
    return ""


def _as_it_is(_form: Any, _model: Any) -> None:
    """Leave the form as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A button of a thing's page.

    ``run`` calls the workflow and returns the sentence that is shown afterwards. ``consequence`` is said before it happens.
    ``direct`` acts do no harm, so their button does it without the page in between.
    """

    name: str
    label: str
    run: Callable[[Doing], str]
    consequence: Callable[[Any], str]
    offered: Callable[[Any], bool] = _always
    form: type[ActForm] = ReasonForm
    #: Adapts the form to the thing, before it is shown and before it is checked.
    prepare: Callable[[Any, Any], None] = _as_it_is
    #: What has to be typed; needs a TypedForm.
    typed: Callable[[Any], str] = _nothing_to_type
    dangerous: bool = False
    direct: bool = False

    def check_typed(self, form: ActForm, model: Any) -> None:
        """Raise InvalidInput unless what had to be typed was."""
        expected = self.typed(model)
        if expected and str(getattr(form, "typed").data) != expected:  # noqa: B009 - only TypedForm has it
            raise InvalidInput(f"Type {expected} to confirm.", field="typed")
