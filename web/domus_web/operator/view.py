"""What every list of the operator panel shares: who may see it, how it is read, and how changes reach the house.

Flask-Admin brings the registration, the menu, the list page and the forms. Its own database backends load every
row of a relation into a form, count whole tables, and commit by themselves. So the backend here is ours: reads go
through one read-only session, pages are found by key, and every change is a workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar, cast

import sqlalchemy as sa
from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.model import BaseModelView
from sqlalchemy.orm import InstrumentedAttribute, Session

from domus_web.auth.sessions import operator_refusal
from domus_web.context import user_or_none
from domus_web.forms import Form
from domus_web.operator import columns
from domus_web.operator.choices import Choice, Of
from domus_web.operator.keyset import Cursor, Ordering, Page, page_of
from domus_web.operator.reading import reading
from domus_web.operator.searching import parse_key

MAX_SEARCH = 100
_CURSOR_ARGUMENTS = ("after", "before")

View = TypeVar("View", bound=Callable[..., Any])


def route(url: str, *, methods: tuple[str, ...] = ("GET",)) -> Callable[[View], View]:
    """Give a method of a view an address below the view's own."""
    return cast("Callable[[View], View]", expose(url, methods))


class Guarded:
    """Who may see a page of the panel, for every kind of Flask-Admin view."""

    def is_accessible(self) -> bool:
        """Tell whether the request comes from an operator."""
        user = user_or_none()
        return user is not None and user.is_operator

    def inaccessible_callback(self, _name: str, **_arguments: Any) -> ResponseReturnValue:
        """Send visitors to log in; to customers the panel does not exist."""
        return operator_refusal() or abort(404)

    def render(self, template: str, **arguments: Any) -> Any:
        """Render a page of the panel; ``show`` has the looks of states and moments."""
        return super().render(template, show=columns, **arguments)  # type: ignore[misc]

    def _run_view(self, view: Any, *args: Any, **kwargs: Any) -> Any:
        # Flask-Admin calls the view a second time, with other arguments, when it raises a TypeError.
        return view(self, *args, **kwargs)


class OperatorView(Guarded, BaseModelView):  # type: ignore[misc] # Flask-Admin carries no types
    """A list of one model, and a page for each row of it. Nothing can be changed here unless a subclass says so."""

    can_create = can_edit = can_delete = can_export = False
    can_view_details = True
    page_size = 50
    list_template = "operator/list.html"
    details_template = "operator/details.html"
    form_base_class = Form
    # What no view here offers has no address either.
    create_view: Any = None
    edit_view: Any = None
    delete_view: Any = None
    action_view: Any = None
    export: Any = None
    ajax_lookup: Any = None
    ajax_update: Any = None

    singular: ClassVar[str]
    #: False where a row is known by its number only, so that its heading has to say what it is.
    has_name: ClassVar[bool] = True
    #: Loader options for the list, so that a page is one statement, and for the page of one row.
    list_options: ClassVar[Sequence[Any]] = ()
    details_options: ClassVar[Sequence[Any]] = ()
    default_order: ClassVar[tuple[str, bool]]
    #: Column of the list > attribute that an index is sorted by.
    sorts: ClassVar[dict[str, str]] = {}
    choices: ClassVar[Sequence[Choice | Of]] = ()
    search_hint: ClassVar[str] = ""
    right_columns: ClassVar[Sequence[str]] = ()
    #: False where a new row is begun on the page of what it belongs to.
    show_new_button: ClassVar[bool] = True
    empty_message: ClassVar[str] = "There is nothing here yet."
    #: A sentence under the title: what this list is for.
    intro: ClassVar[str] = ""

    # Reading

    @property
    def key(self) -> InstrumentedAttribute[Any]:
        """Return the primary key's attribute."""
        (column,) = sa.inspect(self.model).primary_key
        name = sa.inspect(self.model).get_property_by_column(column).key
        return cast("InstrumentedAttribute[Any]", getattr(self.model, name))

    def get_pk_value(self, model: Any) -> Any:
        """Return the primary key of a row."""
        return getattr(model, self.key.key)

    def scaffold_list_columns(self) -> list[str]:
        """Refuse to guess: each view names its columns."""
        raise NotImplementedError(f"{type(self).__name__} has no column_list")

    def scaffold_sortable_columns(self) -> dict[str, str]:
        """Return the sorts that an index answers."""
        return dict(self.sorts)

    def scaffold_form(self) -> type[Form]:
        """Return the form that the view names; a view without one changes nothing."""
        return Form

    def init_search(self) -> bool:
        """Tell whether there is a search box."""
        return bool(self.search_hint)

    def search_placeholder(self) -> str:
        """Return what can be searched for."""
        return self.search_hint

    def narrow(self, _session: Session, query: sa.Select[Any], _text: str) -> sa.Select[Any]:
        """Restrict the list to what was searched for; views with a search box override it."""
        return query

    def sort_by_match(self, attribute: str) -> None:
        """Sort what was found by the attribute that it was found by.

        A beginning such as ``www`` may match nearly all rows, and only in this order does the index give the first of them.
        """
        self._template_args.update(matched=attribute, sort_column=None, sortable_columns={})

    def get_list(
        self,
        page: int | None,
        sort_column: str | None,
        sort_desc: bool | None,
        search: str | None,
        filters: Any,
        page_size: int | None = None,
    ) -> tuple[None, Sequence[Any]]:
        """Return one page of rows, uncounted. Where it begins, the cursor in the address says, not a page number."""
        session = reading()
        query = sa.select(self.model).options(*self.list_options)
        for choice in self.choices:
            query = choice.narrow(query, request.args.get(choice.name, ""))
        text = "".join(c for c in (search or "")[:MAX_SEARCH] if c.isprintable()).strip()
        if text:
            query = self.narrow(session, query, text)
        ordering = self._ordering(sort_column, sort_desc)
        result = page_of(session, query, ordering, cursor=self._cursor(), size=self.page_size)
        self._template_args["pager"] = self._pager(result)
        return None, result.rows

    def _ordering(self, sort_column: str | None, sort_desc: bool | None) -> Ordering:
        name, descending = self.default_order
        matched = self.beside("matched", "")
        if matched:
            name, descending = matched, False
        elif sort_column in self.sorts:
            name, descending = self.sorts[sort_column], bool(sort_desc)
        return Ordering(getattr(self.model, name), self.key, descending)

    def _cursor(self) -> Cursor | None:
        for argument in _CURSOR_ARGUMENTS:
            key = parse_key(self.key, request.args.get(argument, ""))
            if key:
                return Cursor(key, backwards=argument == "before")
        return None

    def _pager(self, page: Page) -> dict[str, str]:
        names = {"search", "sort", "desc", *(choice.name for choice in self.choices)}
        kept = {name: value for name, value in request.args.items() if name in names}
        ends = {"before": page.before, "after": page.after}
        return {
            end: self.get_url(".index_view", **{**kept, end: key})
            for end, key in ends.items()
            if key is not None
        }

    def _get_list_extra_args(self) -> Any:
        # Flask-Admin puts every argument of the request into the addresses it makes. Only the filters belong there: another
        # sort or search begins at its own first page, and names such as _scheme mean something else to url_for.
        arguments = super()._get_list_extra_args()
        names = {choice.name for choice in self.choices}
        arguments.extra_args = {k: v for k, v in arguments.extra_args.items() if k in names}
        return arguments

    def get_one(self, id: str) -> Any:
        """Return one row with everything its page needs, or end the request with 404."""
        key = parse_key(self.key, id)
        query = sa.select(self.model).options(*self.details_options).where(self.key == key)
        row = None if key is None else reading().scalars(query).unique().one_or_none()
        return row if row is not None else abort(404)

    @property
    def noun(self) -> str:
        """Return what one row is called inside a sentence: abbreviations keep their capitals."""
        first, _, rest = self.singular.partition(" ")
        return self.singular if first[1:2].isupper() else f"{first.lower()} {rest}".strip()

    def url_of(self, model: Any) -> str:
        """Return the address of one row's page."""
        return str(self.get_url(".details_view", id=self.get_pk_value(model)))

    def title_of(self, model: Any) -> str:
        """Return what one row is called in a sentence."""
        return f"{self.singular} {model}"

    def heading_of(self, model: Any) -> str:
        """Return the heading of one row's page."""
        return str(model) if self.has_name else self.title_of(model)

    @route("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Show one row."""
        model = self.get_one(request.args.get("id", ""))
        return str(self.render(self.details_template, **self.details_arguments(model)))

    def beside(self, name: str, default: Any) -> Any:
        """Return what this request put beside the rows, for formatters."""
        return self._template_args.get(name, default)

    def details_arguments(self, model: Any) -> dict[str, Any]:
        """Return what the page of one row shows; views with more than columns add to it."""
        return {
            "model": model,
            "title": self.heading_of(model),
            "details_columns": self._details_columns,
            "get_value": self.get_detail_value,
        }

    # What Flask-Admin asks of a backend and this panel does otherwise.

    def create_model(self, _form: Any) -> Any:
        """Refuse: see EditableView."""
        abort(404)

    def update_model(self, _form: Any, _model: Any) -> bool:
        """Refuse: see EditableView."""
        abort(404)

    def delete_model(self, _model: Any) -> bool:
        """Refuse: see EditableView."""
        abort(404)


def say(message: str) -> None:
    """Show a sentence on the next page."""
    flash(message, "success")


def go(url: str) -> ResponseReturnValue:
    """Redirect after a POST, so that reloading the page repeats nothing."""
    return redirect(url, 303)
