"""The first page: what needs a hand, and how full everything is."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from flask_admin import BaseView

from domus.core.clock import utc_now
from domus_web.admin import dom0s
from domus_web.operator.figures import figures
from domus_web.operator.reading import reading
from domus_web.operator.view import Guarded, route


class Dashboard(Guarded, BaseView):  # type: ignore[misc] # Flask-Admin carries no types
    """What needs a hand first."""

    def __init__(self) -> None:
        super().__init__(name="Dashboard", endpoint="operator", url="/operator")

    @route("/")
    def index(self) -> ResponseReturnValue:
        """Show the dashboard."""
        page = self.render("operator/dashboard.html", figures=figures(reading()), bars=dom0s, now=utc_now())
        return str(page)
