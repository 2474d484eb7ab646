"""Locations: where customers can have their VPS."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domus.accounts.actor import Actor
from domus.db.engine import Database
from domus.workflows import inventory
from domus_web.operator.columns import plain
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.forms import OperatorForm, text


class LocationForm(OperatorForm):
    """A place."""

    name = text("Name", maximum=120, description="What customers choose from, for instance Frankfurt.")
    country = text(
        "Country",
        maximum=2,
        required=False,
        description="Two letters, such as DE.",
        render_kw={"maxlength": 2},
    )
    debian_mirror = text(
        "Debian mirror",
        maximum=200,
        required=False,
        description=(
            "Where VPSs here are installed from and get their packages, such as http://ftp.de.debian.org/debian; empty is "
            "what the dom0 itself uses. It applies to installations and templates from now on."
        ),
    )


class LocationView(Deletable, EditableView):
    """The places."""

    singular = "Location"
    form = LocationForm
    intro = "Places that customers choose from. Dom0s and IP pools belong to one each."
    empty_message = "Make the first one; dom0s and IP pools come next."
    details_template = "operator/location.html"
    delete_consequence = "The location is deleted. This is refused while a dom0 or an IP pool is there."
    column_list = ("name", "country")
    column_details_list = ("id", "name", "country", "debian_mirror")
    column_labels = {"id": "Id", "debian_mirror": "Debian mirror"}
    column_formatters = {"country": plain("country"), "debian_mirror": plain("debian_mirror")}
    default_order = ("name", False)
    sorts = {"name": "name"}

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a location."""
        fields = inventory.LocationFields(
            name=str(form.name.data),
            country=str(form.country.data),
            debian_mirror=str(form.debian_mirror.data or ""),
        )
        location_id = None if model is None else model.id
        return inventory.save_location(db, location_id=location_id, fields=fields, actor=actor, now=now)

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a location where nothing is."""
        inventory.delete_location(db, location_id=model.id, actor=actor, now=now)
