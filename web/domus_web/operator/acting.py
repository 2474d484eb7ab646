"""Views whose things can be acted on: the page before the act, the act, and what is said afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from flask import abort, request
from flask.typing import ResponseReturnValue

from domus.core.clock import utc_now
from domus.core.errors import DomusError, InvalidInput
from domus_web.context import current_actor, current_db
from domus_web.errors import status_of
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.reading import stop_reading
from domus_web.operator.view import OperatorView, go, route, say


class ActingView(OperatorView):
    """A list of things with buttons."""

    acts: ClassVar[Sequence[Act]] = ()

    def details_arguments(self, model: Any) -> dict[str, Any]:
        """Add the buttons that make sense for this row."""
        offered = [act for act in self.acts if act.offered(model)]
        return {**super().details_arguments(model), "acts": offered}

    @route("/do/<act>/", methods=("GET", "POST"))
    def act_view(self, act: str) -> ResponseReturnValue:
        """Say what an act will do, or do it. Whether it may be done, the workflow decides, not the button."""
        wanted = next((one for one in self.acts if one.name == act), None) or abort(404)
        key = request.args.get("id", "")
        model = self.get_one(key)
        form, code = wanted.form(), 200
        wanted.prepare(form, model)
        if request.method == "POST":
            said, code = self._do(wanted, model, form)
            if said:
                say(said)
                return go(self.url_of(model))
        # After a refusal it is read again: most likely it changed meanwhile.
        return self._act_page(wanted, self.get_one(key), form, code)

    def _do(self, act: Act, model: Any, form: ActForm) -> tuple[str, int]:
        """Return what to say afterwards, or nothing and the status when it was refused, with the reason in the form."""
        if not form.validate():
            return "", 422
        stop_reading()
        try:
            act.check_typed(form, model)
            doing = Doing(db=current_db(), model=model, form=form, actor=current_actor(), now=utc_now())
            return act.run(doing), 303
        except InvalidInput as error:
            form.refuse(error)
            return "", 422
        except DomusError as error:
            form.form_errors.append(str(error))
            return "", status_of(error)

    def _act_page(self, act: Act, model: Any, form: ActForm, code: int) -> ResponseReturnValue:
        page = self.render(
            "operator/act.html",
            act=act,
            model=model,
            form=form,
            title=self.title_of(model),
            consequence=act.consequence(model),
            typed=act.typed(model),
            offered=act.offered(model),
            back_url=self.url_of(model),
        )
        return page, code
