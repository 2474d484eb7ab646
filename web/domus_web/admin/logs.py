"""What happened: the audit history, the messages to Salt and the state runs. To be read only."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload

from domus.accounts.models import AuditEvent
from domus.provisioning.models import Dom0Run, OutboxMessage
from domus_web.operator.choices import Choice, Of
from domus_web.operator.columns import NOTHING, by_whom, code, link, machine, plain, status, when
from domus_web.operator.searching import parse_uuid
from domus_web.operator.view import OperatorView

#: Where the page of an audited thing is.
_PAGES = {
    "account": "accounts", "user": "users", "vps": "vps", "order": "orders", "product": "products",
    "price": "prices", "template": "templates", "location": "locations", "dom0": "dom0s",
    "pool": "pools", "address": "addresses", "company": "companies", "invoicing": "invoicing",
    "rate": "tax-rates", "mail": "mails",
    "gateway_event": "gateway-events", "bank_line": "transfers", "payment": "payments",
}  # fmt: skip


def _object(_view: Any, _context: Any, row: AuditEvent, _name: str) -> Markup:
    page = _PAGES.get(row.object_type)
    # A uuid is known by its beginning, as everywhere; the whole of it is in the title and on the event's page.
    short = row.object_id[:8] if parse_uuid(row.object_id) else row.object_id
    label = Markup('<span title="{}">{} {}</span>').format(row.object_id, row.object_type, code(short))
    if page is None:
        return label
    return link(f"operator_{page}.details_view", label, id=row.object_id)


class AuditView(OperatorView):
    """Everything that anybody did."""

    singular = "Event"
    has_name = False
    intro = "What was done, by whom, to what and why. Kept for ever; the database refuses changes."
    empty_message = "Nothing was done yet."
    column_list = ("at", "action", "object", "actor", "reason")
    column_details_list = ("id", *column_list, "object_id", "recorded_actor", "details")
    column_labels = {
        "id": "Id", "at": "When", "actor": "By", "object": "What", "object_id": "Its id", "recorded_actor": "Recorded as",
    }  # fmt: skip
    column_formatters = {
        "at": when("at"),
        "action": machine("action"),
        "object": _object,
        "actor": by_whom(),
        "object_id": machine("object_id"),
        "recorded_actor": machine("actor"),
        "reason": plain("reason"),
        "details": lambda _v, _c, row, _n: (
            code(json.dumps(row.details, sort_keys=True)) if row.details else NOTHING
        ),
    }
    default_order = ("id", True)
    choices = (Of("account", "account", AuditEvent.account_id),)
    search_hint = "A kind and an id, such as vps 6f1b2c3d-…"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find what was done to one thing. A uuid is enough: no two things share one."""
        kind, _, key = text.partition(" ")
        if parse_uuid(text) is not None:
            kinds, key = ["vps", "order"], text
        else:
            kinds = [kind.lower()]
        given = parse_uuid(key)
        object_id = str(given) if given is not None else key.strip()
        return query.where(AuditEvent.object_type.in_(kinds), AuditEvent.object_id == object_id)

    def title_of(self, model: AuditEvent) -> str:
        """Name an event by its id."""
        return f"Event {model.id}"


def _outbox_state(_view: Any, _context: Any, row: OutboxMessage, _name: str) -> Markup:
    return status("done") if row.done_at is not None else status("waiting", tone="busy")


class OutboxView(OperatorView):
    """Messages to Salt."""

    singular = "Message"
    has_name = False
    intro = (
        "What Salt is told. A message is repeated until its outcome is known, so one that waits is not lost."
    )
    empty_message = "Nothing was sent yet; paying an order sends the first message."
    column_list = (
        "id",
        "tag",
        "state",
        "payload",
        "attempts",
        "created_at",
        "next_attempt_at",
        "done_at",
        "outcome",
    )
    column_details_list = column_list
    column_labels = {
        "id": "Id",
        "created_at": "Written",
        "next_attempt_at": "Next attempt",
        "done_at": "Done",
    }
    column_formatters = {
        "tag": machine("tag"),
        "state": _outbox_state,
        "payload": lambda _v, _c, row, _n: code(json.dumps(row.payload, sort_keys=True)),
        "created_at": when("created_at"),
        "next_attempt_at": when("next_attempt_at"),
        "done_at": when("done_at", "not yet"),
        "outcome": plain("outcome"),
    }
    right_columns = ("attempts",)
    default_order = ("id", True)
    choices = (
        Choice(
            "state", "State", (("waiting", "waiting"), ("done", "done")),
            lambda value: OutboxMessage.done_at.is_(None) if value == "waiting" else OutboxMessage.done_at.is_not(None),
        ),
    )  # fmt: skip

    def title_of(self, model: OutboxMessage) -> str:
        """Name a message by its id."""
        return f"Message {model.id}"


def _run_state(_view: Any, _context: Any, row: Dom0Run, _name: str) -> Markup:
    if row.ended_at is None:
        return status("running", tone="busy")
    return status("done") if row.outcome == "done" else status("failed", row.outcome or "failed")


class RunView(OperatorView):
    """State runs on the dom0s."""

    singular = "Run"
    has_name = False
    intro = "Each brings everything that is wanted on one dom0 about. At most one is under way per dom0."
    empty_message = "No dom0 was ever told to do something."
    column_list = ("id", "dom0", "state", "started_at", "ended_at", "lease_until", "jid")
    column_details_list = (*column_list, "outcome")
    column_labels = {
        "id": "Id", "started_at": "Started", "ended_at": "Ended", "lease_until": "Counts as lost after", "jid": "Salt job",
    }  # fmt: skip
    column_formatters = {
        "dom0": lambda _v, _c, row, _n: link("operator_dom0s.details_view", row.dom0, id=row.dom0_id),
        "state": _run_state,
        "started_at": when("started_at"),
        "ended_at": when("ended_at", "not yet"),
        "lease_until": when("lease_until"),
        "jid": machine("jid"),
        "outcome": plain("outcome"),
    }
    default_order = ("id", True)
    list_options = details_options = (joinedload(Dom0Run.dom0),)
    choices = (Of("dom0", "dom0", Dom0Run.dom0_id),)
    search_hint = "Salt job id (jid)"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find the run of a Salt job."""
        return query.where(Dom0Run.jid == text)

    def title_of(self, model: Dom0Run) -> str:
        """Name a run by its id."""
        return f"Run {model.id}"
