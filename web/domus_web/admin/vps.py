"""VPSs: what is wanted of each, what was seen of it, and everything that belongs to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.accounts.models import Account
from domus.billing.models import Subscription
from domus.catalog.models import Price
from domus.inventory.models import Dom0, IpAddress
from domus.provisioning.models import Job
from domus.provisioning.queries import jobs_of, newest_jobs
from domus.vps import queries
from domus.vps.models import Vps, VpsState
from domus.vps.shown import Shown, shown
from domus_web.admin.vps_acts import VPS_ACTS
from domus_web.customer.history import sentence
from domus_web.operator.acting import ActingView
from domus_web.operator.choices import Choice, Of, by_state
from domus_web.operator.columns import NOTHING, link, status, when
from domus_web.operator.reading import reading
from domus_web.operator.searching import HAS_PROBLEM, begins_with, on_lost_dom0, parse_address, parse_uuid

HISTORY_SHOWN = 50
_DOMU_NAME = re.compile(r"vps-[0-9a-f]{8,}")
JOBS_SHOWN = 10


def shown_of(vps: Vps, job: Job | None) -> Shown:
    """Return what is shown of a VPS whose suspensions are loaded."""
    return shown(
        vps.state,
        vps.wanted_power,
        vps.observed_power,
        suspended=bool(vps.suspensions),
        problem=vps.problem,
        job=job,
    )


def _state(view: Any, _context: Any, row: Vps, _name: str) -> Markup:
    seen = shown_of(row, view.beside("newest", {}).get(row.id))
    return Markup('<span title="{}">{}</span>').format(
        seen.sentence, status(seen.label, tone=seen.tone.value)
    )


def _addresses(view: Any, _context: Any, row: Vps, _name: str) -> Markup | str:
    return Markup("<br>").join(view.beside("addresses", {}).get(row.id, ())) or NOTHING


def _revision(_view: Any, _context: Any, row: Vps, _name: str) -> Markup | str:
    if row.applied_revision == row.revision:
        return f"{row.revision}"
    return Markup('<span title="the newest that holds / the newest that is wanted">{} / {}</span>').format(
        row.applied_revision, row.revision
    )


def _in_trouble(value: str) -> sa.ColumnElement[bool]:
    return on_lost_dom0() if value == "lost" else HAS_PROBLEM


class VpsView(ActingView):
    """All VPSs."""

    singular = "VPS"
    intro = "Every VPS that was ever ordered, with what is wanted of it and what its dom0 saw last."
    empty_message = "A VPS appears here as soon as somebody orders one."
    details_template = "operator/vps.html"
    acts = VPS_ACTS
    column_list = ("name", "shown", "hostname", "addresses", "account", "dom0", "revision", "created_at")
    column_details_list = ("name",)
    column_labels = {
        "shown": "State", "hostname": "Host name", "dom0": "Dom0", "created_at": "Ordered",
    }  # fmt: skip
    column_formatters = {
        "shown": _state,
        "addresses": _addresses,
        "account": lambda _v, _c, row, _n: link(
            "operator_accounts.details_view", row.account.name, id=row.account_id
        ),
        "dom0": lambda _v, _c, row, _n: link("operator_dom0s.details_view", row.dom0, id=row.dom0_id),
        "hostname": lambda _v, _c, row, _n: Markup('{}<span class="sub">{}</span>').format(
            row.hostname, row.product
        ),
        "revision": _revision,
        "created_at": when("created_at"),
    }
    right_columns = ("revision",)
    default_order = ("created_at", True)
    sorts = {"name": "name", "hostname": "hostname", "created_at": "created_at"}
    list_options = (
        joinedload(Vps.account),
        joinedload(Vps.product),
        joinedload(Vps.dom0),
        selectinload(Vps.suspensions),
    )
    details_options = (
        joinedload(Vps.account),
        joinedload(Vps.product),
        joinedload(Vps.template),
        joinedload(Vps.order),
        joinedload(Vps.dom0).joinedload(Dom0.location),
        joinedload(Vps.disks),
        joinedload(Vps.nics),
        joinedload(Vps.suspensions),
    )
    choices = (
        by_state(Vps.state, VpsState),
        Choice("trouble", "Trouble", (("yes", "has a problem"), ("lost", "on a lost dom0")), _in_trouble),
        Of("dom0", "dom0", Vps.dom0_id),
        Of("account", "account", Vps.account_id),
    )
    search_hint = "Host name, name, address, uuid, or the account's e-mail"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find VPSs by whatever the operator has at hand; each kind has its index."""
        key, address = parse_uuid(text), parse_address(text)
        if key is not None:
            return query.where(sa.or_(Vps.id == key, Vps.order_id == key))
        if address is not None:
            return query.where(Vps.id.in_(sa.select(IpAddress.vps_id).where(IpAddress.address == address)))
        if "@" in text:
            accounts = sa.select(Account.id).where(Account.email == text.lower())
            return query.where(Vps.account_id.in_(accounts))
        lowered = text.lower()
        if _DOMU_NAME.fullmatch(lowered):
            return query.where(Vps.name == lowered)
        self.sort_by_match("hostname")
        return query.where(begins_with(session, Vps.hostname, lowered))

    def get_list(self, *arguments: Any, **options: Any) -> tuple[None, Sequence[Vps]]:
        """Return one page, and read the jobs and addresses of all of its rows in two statements."""
        count, rows = super().get_list(*arguments, **options)
        keys = [row.id for row in rows]
        self._template_args["newest"] = newest_jobs(reading(), keys) if keys else {}
        self._template_args["addresses"] = queries.addresses_of(reading(), keys) if keys else {}
        return count, rows

    def details_arguments(self, model: Vps) -> dict[str, Any]:
        """Add all that belongs to the VPS."""
        session = reading()
        jobs = jobs_of(session, model.id, limit=JOBS_SHOWN)
        addresses = (
            sa.select(IpAddress).where(IpAddress.vps_id == model.id).options(joinedload(IpAddress.pool))
        )
        contract = sa.select(Subscription).where(Subscription.order_id == model.order_id)
        contract = contract.options(joinedload(Subscription.price).joinedload(Price.product))
        return {
            **super().details_arguments(model),
            "shown": shown_of(model, jobs[0] if jobs else None),
            "jobs": jobs,
            "addresses": session.scalars(addresses.order_by(IpAddress.position)).all(),
            "subscription": session.scalar(contract),
            "history": queries.history(session, model.id, limit=HISTORY_SHOWN),
            "sentence": sentence,
        }
