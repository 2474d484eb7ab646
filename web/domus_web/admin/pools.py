"""IP pools: networks whose addresses are given to VPSs, with DTC's report of how many are used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload
from wtforms import BooleanField

from domus.accounts.actor import Actor
from domus.db.engine import Database
from domus.inventory.models import AddressState, IpAddress, IpPool, Location, ZoneType
from domus.workflows import inventory
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.choices import Of, yes_or_no
from domus_web.operator.columns import bar, link, machine, status
from domus_web.operator.editing import Deletable, EditableView, WithLookups
from domus_web.operator.fields import LookupField, NameLoader
from domus_web.operator.forms import OperatorForm, long_text, one_of, text
from domus_web.operator.reading import reading

_ZONES = {
    ZoneType.SUPPORT_TICKET: "support ticket: reverse names are asked for",
    ZoneType.IP_PER_IP: "one zone file per address",
    ZoneType.IP_PER_IP_CIDR: "one zone file per address, named net/cidr",
    ZoneType.ONE_ZONEFILE: "one zone file for the pool",
    ZoneType.ONE_ZONEFILE_WITH_MINUS: "one zone file, named net-cidr",
    ZoneType.ONE_ZONEFILE_WITH_NAME: "one zone file, named by name",
    ZoneType.ONE_ZONEFILE_WITH_SLASH: "one zone file, named net/cidr",
}

#: Not to be sold now: held, resting or withheld.
_USED = (AddressState.RESERVED, AddressState.ASSIGNED, AddressState.QUARANTINED, AddressState.WITHHELD)

Counts = Mapping[AddressState, int]


def counts_of(session: Session, pool_ids: Collection[int]) -> dict[int, dict[AddressState, int]]:
    """Return how many addresses of each pool are in which state."""
    query = sa.select(IpAddress.pool_id, IpAddress.state, sa.func.count())
    query = query.where(IpAddress.pool_id.in_(pool_ids)).group_by(IpAddress.pool_id, IpAddress.state)
    found = {pool_id: dict.fromkeys(AddressState, 0) for pool_id in pool_ids}
    for pool_id, state, count in session.execute(query):
        found[pool_id][state] = count
    return found


class PoolForm(OperatorForm):
    """A network."""

    location_id = LookupField("Location", lookup="location", description="The name of a location.")
    network = text(
        "Network",
        maximum=43,
        description="With its prefix, such as 192.0.2.0/24 or 2001:db8::/64.",
        render_kw={"class": "mono"},
    )
    gateway = text(
        "Gateway",
        maximum=39,
        description="An address of the network; it is never given to a VPS.",
        render_kw={"class": "mono"},
    )
    dns = long_text(
        "Name servers",
        maximum=200,
        rows=3,
        description="One to three addresses, one a line.",
        render_kw={"class": "mono"},
    )
    zone_type = one_of(
        "Reverse zone",
        ZoneType,
        _ZONES,
        default=ZoneType.ONE_ZONEFILE.value,
        description="How reverse names are written.",
    )
    custom_zone_text = long_text(
        "Text for the zone",
        maximum=20000,
        description="Appended to the reverse zone as it is; usually empty.",
    )
    active = BooleanField("In use", default=True, description="Off: its addresses are given to no new VPS.")


class RangeForm(ActForm):
    """From where to where."""

    first = text("First address", maximum=39, render_kw={"class": "mono"})
    last = text(
        "Last address",
        maximum=39,
        render_kw={"class": "mono"},
        description="At most 65,536 at once, without the gateway and the network's own first and last address.",
    )


def _add_range(doing: Doing) -> str:
    count = inventory.add_addresses(
        doing.db,
        pool_id=doing.model.id,
        first=str(doing.form.first.data),
        last=str(doing.form.last.data),
        actor=doing.actor,
        now=doing.now,
    )
    return f"{count:,} address{'es were' if count != 1 else ' was'} added."


def usage(counts: Counts) -> Markup:
    """Show how much of a pool is used."""
    size = sum(counts.values())
    used = sum(counts[state] for state in _USED)
    if not size:
        return Markup('<span class="problem">no addresses yet</span>')
    return bar(used, size, f"{size - used:,} of {size:,} free", "used addresses")


def _usage(view: Any, _context: Any, row: IpPool, _name: str) -> Markup:
    return usage(view.beside("counts", {}).get(row.id, dict.fromkeys(AddressState, 0)))


class PoolView(WithLookups, Deletable, EditableView, ActingView):
    """The networks."""

    singular = "IP pool"
    form = PoolForm
    page_size = 20
    intro = "Networks whose addresses are given to VPSs."
    create_intro = "The network first; its addresses are added as ranges on its page."
    empty_message = "Make the first one, then add a range of addresses to it."
    details_template = "operator/pool.html"
    delete_consequence = (
        "The pool and its free addresses are deleted. This is refused while a VPS holds one of them."
    )
    column_list = ("network", "location", "gateway", "dns", "usage", "zone_type", "active")
    column_details_list = (
        "id",
        "network",
        "location",
        "gateway",
        "dns",
        "zone_type",
        "custom_zone_text",
        "active",
    )
    column_labels = {
        "id": "Id", "dns": "DNS", "usage": "Addresses", "zone_type": "Reverse zone", "active": "Use",
        "custom_zone_text": "Text for the zone",
    }  # fmt: skip
    column_formatters = {
        "location": lambda _v, _c, row, _n: link(
            "operator_locations.details_view", row.location, id=row.location_id
        ),
        "gateway": machine("gateway"),
        "dns": lambda _v, _c, row, _n: Markup("<br>").join(row.dns),
        "usage": _usage,
        "zone_type": lambda _v, _c, row, _n: _ZONES[row.zone_type].partition(":")[0],
        "custom_zone_text": lambda _v, _c, row, _n: Markup("<pre>{}</pre>").format(
            row.custom_zone_text or "empty"
        ),
        "active": lambda _v, _c, row, _n: (
            status("active", "in use", "ok") if row.active else status("off", "not in use")
        ),
    }
    default_order = ("id", False)
    list_options = details_options = (joinedload(IpPool.location),)
    lookups = (NameLoader("location", "location", Location.name),)
    choices = (
        yes_or_no(IpPool.active, name="active", label="Use", yes="in use", no="not in use"),
        Of("location", "location", IpPool.location_id),
    )
    acts = (
        Act(
            name="add-range",
            label="Add addresses",
            run=_add_range,
            form=RangeForm,
            consequence=lambda pool: (
                f"The addresses can be given to new VPSs in {pool.location} at once. "
                f"The network is {pool.network}, its gateway {pool.gateway}."
            ),
        ),
    )

    def get_list(self, *arguments: Any, **options: Any) -> tuple[None, Sequence[IpPool]]:
        """Return one page, and count the addresses of all of its pools in one statement."""
        count, rows = super().get_list(*arguments, **options)
        keys = [row.id for row in rows]
        self._template_args["counts"] = counts_of(reading(), keys) if keys else {}
        return count, rows

    def details_arguments(self, model: IpPool) -> dict[str, Any]:
        """Add the report: used, size, by state, remaining."""
        counts = counts_of(reading(), [model.id])[model.id]
        return {**super().details_arguments(model), "counts": counts, "usage": usage(counts)}

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; the database holds an id and a list where people write a name and lines."""
        form = super().edit_form(obj)
        if not form.is_submitted():
            form.location_id.data = obj.location.name
            form.dns.data = "\n".join(obj.dns)
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a pool."""
        fields = inventory.PoolFields(
            location_id=self.resolve(form.location_id),
            network=str(form.network.data),
            gateway=str(form.gateway.data),
            dns=str(form.dns.data).replace(",", " ").split(),
            zone_type=ZoneType(form.zone_type.data),
            custom_zone_text=str(form.custom_zone_text.data),
            active=bool(form.active.data),
        )
        pool_id = None if model is None else model.id
        return inventory.save_pool(db, pool_id=pool_id, fields=fields, actor=actor, now=now)

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a pool that no VPS has an address of."""
        inventory.delete_pool(db, pool_id=model.id, actor=actor, now=now)
