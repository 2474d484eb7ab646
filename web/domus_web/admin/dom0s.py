"""Dom0s: the machines that run the VPSs, and how full they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload

from domus.accounts.actor import Actor
from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State, Hypervisor, Location, StorageBackend
from domus.provisioning.models import Dom0Run
from domus.vps.models import Reservation
from domus.workflows import inventory
from domus_web.admin.dom0_acts import DOM0_ACTS
from domus_web.filters import mib
from domus_web.operator.acting import ActingView
from domus_web.operator.choices import Choice, Of, by_state
from domus_web.operator.columns import bar, code, link, machine, moment, state, status, when
from domus_web.operator.editing import Deletable, EditableView, WithLookups
from domus_web.operator.fields import LookupField, NameLoader, QuantityField
from domus_web.operator.forms import OperatorForm, one_of, text
from domus_web.operator.reading import reading
from domus_web.operator.searching import begins_with, parse_number

RUNS_SHOWN = 10


class Dom0Form(OperatorForm):
    """A machine that runs VPSs."""

    minion_id = text(
        "Minion id",
        maximum=253,
        description="As salt-key -L shows it.",
        render_kw={"class": "mono"},
    )
    location_id = LookupField("Location", lookup="location", description="The name of a location.")
    hypervisor = one_of("Hypervisor", Hypervisor, default=Hypervisor.XEN.value)
    storage_backend = one_of(
        "Disks",
        StorageBackend,
        {
            StorageBackend.LVM: "LVM volumes",
            StorageBackend.LVM_THIN: "LVM thin volumes: installs by snapshot",
            StorageBackend.IMAGE: "image files",
        },
        default=StorageBackend.LVM.value,
    )
    volume_group = text("Volume group", maximum=64, required=False, description="For LVM, such as xenvg.")
    thin_pool = text("Thin pool", maximum=64, required=False, description="For thin volumes only.")
    image_dir = text(
        "Image folder",
        maximum=255,
        required=False,
        description="For image files only, such as /var/lib/domus/images.",
    )
    bridge = text(
        "Bridge", maximum=15, default="xenbr0", description="The guests' network cards are put on it."
    )
    memory_capacity_mib = QuantityField(
        "Memory for guests",
        unit="MiB",
        description="The machine's memory without what dom0 keeps for itself.",
    )
    disk_capacity_mib = QuantityField(
        "Disk for guests", unit="MiB", description="What may be given away of the volume group."
    )
    vcpus_capacity = QuantityField(
        "vCPUs for guests", unit="vCPU", description="Physical CPUs times the ratio you sell them at."
    )
    max_parallel_installs = QuantityField("Installs at once", default=2, description="1 to 64.")
    max_removals_per_run = QuantityField(
        "Removals per run",
        default=3,
        description="1 to 1000. When more are due at once, none is done until you raise this: a guard against accidents.",
    )

    def fields(self, location_id: int) -> inventory.Dom0Fields:
        """Return what was entered, in the house's form."""
        values = {k: v for k, v in self.data.items() if k != "csrf_token"}
        values |= {
            "location_id": location_id,
            "hypervisor": Hypervisor(self.hypervisor.data),
            "storage_backend": StorageBackend(self.storage_backend.data),
        }
        return inventory.Dom0Fields(**values)


def memory_bar(dom0: Any) -> Markup:
    """Show how much memory is given away."""
    used, total = dom0.memory_reserved_mib, dom0.memory_capacity_mib
    return bar(used, total, f"{mib(used)} of {mib(total)}", "memory given away")


def disk_bar(dom0: Any) -> Markup:
    """Show how much disk is given away."""
    used, total = dom0.disk_reserved_mib, dom0.disk_capacity_mib
    return bar(used, total, f"{mib(used)} of {mib(total)}", "disk given away")


def vcpu_bar(dom0: Any) -> Markup:
    """Show how many vCPUs are given away."""
    used, total = dom0.vcpus_reserved, dom0.vcpus_capacity
    return bar(used, total, f"{used:,} of {total:,}", "vCPUs given away")


def answers(dom0: Dom0) -> Markup:
    """Show whether a dom0 answers."""
    if dom0.failed_runs:
        runs = f"{dom0.failed_runs} unanswered"
        return Markup("{} <span class='sub'>last seen {}</span>").format(
            status("failed", runs, "danger"), moment(dom0.seen_at)
        )
    if dom0.problem:
        return status("problem", dom0.problem[:60], "warning")
    return moment(dom0.seen_at, "not seen yet")


class Dom0View(WithLookups, Deletable, EditableView, ActingView):
    """The machines."""

    singular = "Dom0"
    form = Dom0Form
    intro = "The machines that run the VPSs. The bars show what is given away, not what guests happen to use."
    create_intro = "The machine's Salt minion has to be accepted (salt-key -a) before anything happens on it."
    empty_message = "Add the first one: its minion id, its location, and what guests may have of it."
    details_template = "operator/dom0.html"
    delete_consequence = (
        "The dom0 is deleted. This is refused once a VPS was placed on it; mark it as lost instead."
    )
    acts = DOM0_ACTS
    column_list = ("minion_id", "state", "location", "memory", "disk", "vcpus", "answers", "hypervisor")
    column_details_list = (
        "id", "minion_id", "state", "location", "hypervisor", "storage", "bridge", "max_parallel_installs",
        "max_removals_per_run", "seen_at", "boot_id", "next_run_at", "failed_runs", "problem",
    )  # fmt: skip
    column_labels = {
        "id": "Id", "minion_id": "Dom0", "memory": "Memory", "vcpus": "vCPUs", "answers": "Last answer", "storage": "Disks",
        "max_parallel_installs": "Installs at once", "max_removals_per_run": "Removals per run", "seen_at": "Last answer",
        "boot_id": "Boot", "next_run_at": "Next look", "failed_runs": "Runs without an answer",
    }  # fmt: skip
    column_formatters = {
        "state": state("state"),
        "location": lambda _v, _c, row, _n: link(
            "operator_locations.details_view", row.location, id=row.location_id
        ),
        "memory": lambda _v, _c, row, _n: memory_bar(row),
        "disk": lambda _v, _c, row, _n: disk_bar(row),
        "vcpus": lambda _v, _c, row, _n: vcpu_bar(row),
        "answers": lambda _v, _c, row, _n: answers(row),
        "hypervisor": lambda _v, _c, row, _n: row.hypervisor.value,
        "storage": lambda _v, _c, row, _n: Markup("{} {}").format(
            row.storage_backend.value.replace("_", " "), code(row.volume_group or row.image_dir)
        ),
        "seen_at": when("seen_at"),
        "boot_id": machine("boot_id"),
        "next_run_at": when("next_run_at", "when something is wanted"),
        "problem": lambda _v, _c, row, _n: row.problem or "none",
    }
    default_order = ("minion_id", False)
    sorts = {"minion_id": "minion_id"}
    list_options = details_options = (joinedload(Dom0.location),)
    lookups = (NameLoader("location", "location", Location.name),)
    choices = (
        by_state(Dom0.state, Dom0State),
        Choice("trouble", "Trouble", (("yes", "does not answer"),), lambda _value: Dom0.failed_runs > 0),
        Of("location", "location", Dom0.location_id),
    )
    search_hint = "Minion id (its beginning)"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find dom0s by the beginning of the minion id, or by id."""
        number = parse_number(text)
        by_id = sa.false() if number is None else Dom0.id == number
        return query.where(begins_with(session, Dom0.minion_id, text.lower()) | by_id)

    def details_arguments(self, model: Dom0) -> dict[str, Any]:
        """Add how full it is, and the newest runs."""
        session = reading()
        runs = sa.select(Dom0Run).where(Dom0Run.dom0_id == model.id).order_by(Dom0Run.id.desc())
        held = sa.select(sa.func.count()).select_from(Reservation).where(Reservation.dom0_id == model.id)
        return {
            **super().details_arguments(model),
            "runs": session.scalars(runs.limit(RUNS_SHOWN)).all(),
            "vps_count": session.scalar(held),
            "bars": {"Memory": memory_bar(model), "Disk": disk_bar(model), "vCPUs": vcpu_bar(model)},
        }

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; the database holds an id where people write a name."""
        form = super().edit_form(obj)
        if not form.is_submitted():
            form.location_id.data = obj.location.name
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a dom0."""
        fields = form.fields(self.resolve(form.location_id))
        dom0_id = None if model is None else model.id
        return inventory.save_dom0(db, dom0_id=dom0_id, fields=fields, actor=actor, now=now)

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a dom0 that never had a VPS."""
        inventory.delete_dom0(db, dom0_id=model.id, actor=actor, now=now)
