"""Operating systems that can be installed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wtforms import BooleanField

from domus.accounts.actor import Actor
from domus.catalog.models import InstallMethod, OsTemplate
from domus.catalog.services import TemplateFields
from domus.db.engine import Database
from domus.workflows import catalog
from domus_web.operator.choices import by_state, yes_or_no
from domus_web.operator.columns import machine, size, status
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.fields import QuantityField
from domus_web.operator.forms import OperatorForm, one_of, text

_METHODS = {
    InstallMethod.BOOTSTRAP: "bootstrap: package by package, always up to date",
    InstallMethod.IMAGE: "image: an archive that was built once, quicker",
}


class TemplateForm(OperatorForm):
    """What a dom0 installs."""

    title = text("Title", maximum=120, description="What customers read, for instance Debian 12.")
    name = text(
        "Name",
        maximum=64,
        description="Becomes a file name on the dom0s: lower-case letters, digits, dots and hyphens, such as debian-12.",
        render_kw={"class": "mono", "spellcheck": "false"},
    )
    method = one_of("Method", InstallMethod, _METHODS)
    distribution = text(
        "Distribution", maximum=32, default="debian", description="As its installer calls it."
    )
    release = text("Release", maximum=32, default="bookworm", description="The code name, such as bookworm.")
    arch = text("Architecture", maximum=16, default="amd64", description="amd64, arm64 or i386.")
    version = text(
        "Version",
        maximum=32,
        default="1",
        description="Change it when the image was built anew; dom0s then fetch it again.",
    )
    min_disk_mib = QuantityField(
        "Least disk", unit="MiB", default=1024, description="Smaller products do not offer it."
    )
    min_memory_mib = QuantityField(
        "Least RAM", unit="MiB", default=128, description="Smaller products do not offer it."
    )
    active = BooleanField("On offer", default=True, description="Off: nobody can choose it for a new order.")


class OsTemplateView(Deletable, EditableView):
    """The operating systems on offer."""

    singular = "OS template"
    form = TemplateForm
    intro = "What customers can have installed."
    empty_message = "Add the first one, for instance Debian 12 by bootstrap."
    delete_consequence = "The template is deleted. This is refused once a VPS was installed from it."
    column_list = (
        "title",
        "name",
        "method",
        "release",
        "arch",
        "version",
        "min_memory_mib",
        "min_disk_mib",
        "active",
    )
    column_details_list = ("id", *column_list[1:4], "distribution", *column_list[4:])
    column_labels = {
        "id": "Id", "arch": "Architecture", "min_memory_mib": "Least RAM", "min_disk_mib": "Least disk", "active": "Offer",
    }  # fmt: skip
    column_formatters = {
        "name": machine("name"),
        "method": lambda _v, _c, row, _n: row.method.value,
        "min_memory_mib": size("min_memory_mib"),
        "min_disk_mib": size("min_disk_mib"),
        "active": lambda _v, _c, row, _n: (
            status("active", "on offer", "ok") if row.active else status("off", "not on offer")
        ),
    }
    right_columns = ("min_memory_mib", "min_disk_mib")
    default_order = ("name", False)
    sorts = {"name": "name"}
    choices = (
        by_state(OsTemplate.method, InstallMethod, name="method", label="Method"),
        yes_or_no(OsTemplate.active, name="active", label="Offer", yes="on offer", no="not on offer"),
    )

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a template."""
        values = {k: v for k, v in form.data.items() if k not in {"csrf_token", "method"}}
        fields = TemplateFields(**values, method=InstallMethod(form.method.data))
        template_id = None if model is None else model.id
        return catalog.save_template(db, template_id=template_id, fields=fields, actor=actor, now=now)

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a template that nothing was installed from."""
        catalog.delete_template(db, template_id=model.id, actor=actor, now=now)
