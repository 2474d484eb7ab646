"""The operator panel: Flask-Admin over the house's workflows, in the look of the customer panel."""

from __future__ import annotations

from flask import Flask
from flask_admin import Admin

from domus_web.operator import reading
from domus_web.operator.dashboard import Dashboard
from domus_web.operator.registry import SECTIONS

URL = "/operator"


def init_app(app: Flask) -> None:
    """Put the panel under ``/operator/``. Flask-Admin's own static files are not served: nothing here uses them."""
    reading.register(app)
    admin = Admin(app, name="Operator panel", url=URL, endpoint="operator", index_view=Dashboard())
    for category, views in SECTIONS:
        for label, model, view, slug in views:
            admin.add_view(
                view(
                    model,
                    name=label,
                    category=category,
                    endpoint=f"operator_{slug}",
                    url=f"{URL}/{slug}",
                )
            )
