"""Views in which things are made, edited and deleted. What is right and what is recorded, the workflows decide."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from flask import request
from flask.typing import ResponseReturnValue
from flask_admin.model import BaseModelView

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.core.errors import DomusError, InvalidInput
from domus.db.engine import Database
from domus_web.context import current_actor, current_db
from domus_web.errors import status_of
from domus_web.forms import ConfirmForm, Form
from domus_web.operator.fields import LookupField, NameLoader
from domus_web.operator.reading import stop_reading
from domus_web.operator.view import OperatorView, go, route, say

UNPROCESSABLE = 422


class EditableView(OperatorView):
    """A list whose rows can be made and edited."""

    can_create = can_edit = True
    form: type[Form]
    #: What stands above the form of a new row.
    create_intro: ClassVar[str] = ""

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save through the workflow and return the row; *model* is None for a new one."""
        raise NotImplementedError

    def create_model(self, form: Any) -> Any:
        """Make a row; return None when it was refused, with the reason in the form."""
        return self._saved(form, None)

    def update_model(self, form: Any, model: Any) -> bool:
        """Save a row; return False when it was refused, with the reason in the form."""
        return self._saved(form, model) is not None

    def _saved(self, form: Any, model: Any | None) -> Any:
        stop_reading()
        try:
            return self.save(form, model, db=current_db(), actor=current_actor(), now=utc_now())
        except InvalidInput as error:
            form.refuse(error)
        except DomusError as error:
            form.form_errors.append(str(error))
        return None

    @route("/new/", methods=("GET", "POST"))
    def create_view(self) -> ResponseReturnValue:
        """Show the form of a new row, or make it."""
        form = self.create_form()
        if self.validate_form(form):
            model = self.create_model(form)
            if model is not None:
                say(f"{self.singular} {model} was made.")
                return go(self.get_save_return_url(model, is_created=True))
        return self._form_page(form, None)

    @route("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> ResponseReturnValue:
        """Show the form of a row, or save it."""
        model = self.get_one(request.args.get("id", ""))
        form = self.edit_form(obj=model)
        if self.validate_form(form) and self.update_model(form, model):
            say(f"{self.singular} {model} was saved.")
            return go(self.get_save_return_url(model))
        return self._form_page(form, model)

    def get_save_return_url(self, model: Any, is_created: bool = False) -> str:
        """Go to the page of what was saved."""
        return self.url_of(model)

    def back_url(self, model: Any | None) -> str:
        """Return where Cancel leads."""
        return str(self.get_url(".index_view")) if model is None else self.url_of(model)

    def _form_page(self, form: Any, model: Any | None) -> ResponseReturnValue:
        page = self.render(
            "operator/form.html",
            form=form,
            model=model,
            title=f"Edit {self.title_of(model)}" if model is not None else f"New {self.noun}",
            intro=self.create_intro if model is None else "",
            back_url=self.back_url(model),
        )
        return page, UNPROCESSABLE if form.is_submitted() else 200


class Deletable:
    """Adds deleting to a view, with a page that asks first. The workflow refuses what is in use."""

    can_delete = True
    #: Said before deleting.
    delete_consequence: ClassVar[str] = "It is gone afterwards; what was sold with it keeps its own record."

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete through the workflow; raises Conflict when the row is in use."""
        raise NotImplementedError

    @route("/delete/", methods=("GET", "POST"))
    def delete_view(self: Any) -> ResponseReturnValue:
        """Ask first; then delete."""
        model = self.get_one(request.args.get("id", ""))
        form, code = ConfirmForm(), 200
        if form.validate_on_submit():
            stop_reading()
            try:
                self.destroy(model, db=current_db(), actor=current_actor(), now=utc_now())
            except DomusError as error:
                form.form_errors.append(str(error))
                code = status_of(error)
            else:
                say(f"{self.title_of(model)} was deleted.")
                return go(self.after_delete(model))
        arguments = {"title": self.title_of(model), "consequence": self.delete_consequence}
        page = self.render(
            "operator/delete.html", form=form, model=model, back_url=self.url_of(model), **arguments
        )
        return page, code

    def after_delete(self: Any, _model: Any) -> str:
        """Return where to go when the row's page is gone."""
        return str(self.get_url(".index_view"))


class WithLookups:
    """Adds suggestions for the fields that name other things."""

    lookups: ClassVar[tuple[NameLoader, ...]]
    ajax_lookup = BaseModelView.ajax_lookup

    def _process_ajax_references(self) -> dict[str, NameLoader]:
        return {loader.name: loader for loader in self.lookups}

    def create_form(self: Any, obj: Any = None) -> Any:
        """Return the form of a new row, with suggestions."""
        return self._suggesting(super().create_form(obj))  # type: ignore[misc]

    def edit_form(self: Any, obj: Any = None) -> Any:
        """Return the form of a row, with suggestions."""
        return self._suggesting(super().edit_form(obj))  # type: ignore[misc]

    def _suggesting(self: Any, form: Any) -> Any:
        for field in form:
            if isinstance(field, LookupField):
                field.suggest_from(self.get_url(".ajax_lookup", name=field.lookup))
        return form

    def resolve(self: Any, field: Any) -> int:
        """Return the id of what a field names."""
        return int(self._form_ajax_refs[field.lookup].resolve(str(field.data), field=field.name))
