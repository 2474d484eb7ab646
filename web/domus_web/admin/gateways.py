"""What gateways and the bank said: events, deliveries that were turned away, transfers, refunds, disputes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, defer, joinedload
from wtforms import IntegerField
from wtforms.validators import InputRequired

from domus.gateways.models import (
    AttemptState,
    BankLine,
    Dispute,
    DisputeState,
    EventState,
    GatewayEvent,
    GatewayRefund,
    GatewayRefusal,
    LineState,
    PaymentAttempt,
    RefundState,
)
from domus.workflows.payments import bank, events
from domus_web.context import current_gateways
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, Doing, ReasonForm
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, amount, code, link, machine, plain, state, to, when
from domus_web.operator.searching import parse_number
from domus_web.operator.view import OperatorView


class InvoiceForm(ReasonForm):
    """Which invoice a transfer pays."""

    invoice = IntegerField(
        "Invoice",
        [InputRequired("Enter the id of an invoice.")],
        description="Its id, as on the invoice's page here; an open invoice has no number yet.",
    )


class AccountForm(ReasonForm):
    """Whose balance a transfer goes to."""

    account = IntegerField("Account", [InputRequired("Enter the id of an account.")])


def _repeat(doing: Doing) -> str:
    events.repeat(doing.db, event_id=doing.model.id, actor=doing.actor, reason=doing.reason, now=doing.now)
    outcome = events.process(doing.db, current_gateways(), doing.model.id, now=doing.now)
    return f"The event was processed again: {outcome}."


def _to_invoice(doing: Doing) -> str:
    return f"{_assign(doing, invoice_id=doing.form.invoice.data)}."


def _to_balance(doing: Doing) -> str:
    return f"{_assign(doing, account_id=doing.form.account.data)}."


def _assign(doing: Doing, **where: int) -> str:
    return bank.assign(
        doing.db, line_id=doing.model.id, reason=doing.reason, actor=doing.actor, now=doing.now, **where
    )


def _set_aside(doing: Doing) -> str:
    bank.set_aside(doing.db, line_id=doing.model.id, reason=doing.reason, actor=doing.actor, now=doing.now)
    return "The transfer is set aside."


def _is_unmatched(line: BankLine) -> bool:
    return line.state is LineState.UNMATCHED


def _payment(_view: Any, _context: Any, row: Any, _name: str) -> Markup:
    if row.payment_id is None:
        return NOTHING
    return link("operator_payments.details_view", row.payment_id, id=row.payment_id)


def _account(_view: Any, _context: Any, row: Any, _name: str) -> Markup:
    return link("operator_accounts.details_view", row.account.name, id=row.account_id)


class GatewayEventView(ActingView):
    """All events of gateways."""

    singular = "Event"
    has_name = False
    intro = (
        "What gateways delivered, or answered when they were asked. An event is stored once and booked once."
    )
    empty_message = "No gateway has said anything yet."
    column_list = ("received_at", "gateway", "kind", "subject", "state", "outcome")
    column_details_list = (
        "id", *column_list, "event_id", "attempts", "next_attempt_at", "done_at", "body",
    )  # fmt: skip
    column_labels = {
        "id": "Id", "received_at": "Received", "event_id": "Its id there", "next_attempt_at": "Next attempt",
        "done_at": "Done",
    }  # fmt: skip
    column_formatters = {
        "received_at": when("received_at"),
        "kind": machine("kind"),
        "subject": machine("subject"),
        "state": state("state"),
        "outcome": plain("outcome"),
        "event_id": machine("event_id"),
        "next_attempt_at": when("next_attempt_at"),
        "done_at": when("done_at", "not yet"),
        "body": lambda _v, _c, row, _n: code(row.body[:4000]),
    }
    default_order = ("id", True)
    list_options = (defer(GatewayEvent.body), defer(GatewayEvent.headers))
    choices = (by_state(GatewayEvent.state, EventState),)
    search_hint = "The gateway's name of the event, or of what it is about"
    acts = (
        Act(
            name="repeat",
            label="Process again",
            run=_repeat,
            offered=lambda event: event.state is not EventState.WAITING,
            consequence=lambda event: (
                f"{event.gateway} is asked how {event.subject or 'it'} stands now, and that is booked. "
                "What is booked already is not booked again."
            ),
        ),
    )

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find events by their id or by what they are about."""
        return query.where(sa.or_(GatewayEvent.event_id == text, GatewayEvent.subject == text))

    def title_of(self, model: GatewayEvent) -> str:
        """Name an event by its id."""
        return f"Event {model.id}"


class RefusalView(OperatorView):
    """Deliveries that were turned away."""

    singular = "Refusal"
    has_name = False
    intro = (
        "Deliveries that no gateway made, or that came too late, by day and reason. Nothing of them was booked. Many at "
        "once mean that a secret is set wrongly, or that somebody is trying."
    )
    empty_message = "Nothing was turned away yet."
    column_list = column_details_list = ("day", "gateway", "reason", "count", "last_at", "last_from")
    column_labels = {"last_at": "Last", "last_from": "From"}
    column_formatters = {"last_at": when("last_at"), "last_from": machine("last_from")}
    right_columns = ("count",)
    default_order = ("id", True)

    def title_of(self, model: GatewayRefusal) -> str:
        """Name a row by its id."""
        return f"Refusal {model.id}"


class BankLineView(ActingView):
    """Transfers on our bank account."""

    singular = "Transfer"
    has_name = False
    intro = "What arrived on the bank account, from the statements that were read. Unmatched ones are to be assigned."
    empty_message = "No statement was read yet: domus bank import reads them."
    column_list = ("id", "booked_on", "state", "amount_minor", "payer", "text", "note", "payment")
    column_details_list = (
        *column_list, "payer_iban", "bank_reference", "statement", "decided_at",
    )  # fmt: skip
    column_labels = {
        "id": "Id", "booked_on": "Day", "amount_minor": "Amount", "payer_iban": "Payer's IBAN", "statement": "File",
        "decided_at": "Decided",
    }  # fmt: skip
    column_formatters = {
        "state": state("state"),
        "amount_minor": amount("amount_minor"),
        "payer": plain("payer"),
        "text": plain("text"),
        "note": plain("note"),
        "payment": _payment,
        "payer_iban": machine("payer_iban"),
        "bank_reference": machine("bank_reference"),
        "statement": lambda _v, _c, row, _n: str(row.statement),
        "decided_at": when("decided_at", "not yet"),
    }
    right_columns = ("amount_minor",)
    default_order = ("id", True)
    details_options = (joinedload(BankLine.statement),)
    choices = (by_state(BankLine.state, LineState),)
    search_hint = "Id"
    acts = (
        Act(
            name="invoice",
            label="Assign to an invoice",
            run=_to_invoice,
            offered=_is_unmatched,
            form=InvoiceForm,
            consequence=lambda line: (
                f"{line.amount} are booked for the invoice. What does not fit it goes to the balance of its account."
            ),
        ),
        Act(
            name="account",
            label="Assign to a balance",
            run=_to_balance,
            offered=_is_unmatched,
            form=AccountForm,
            consequence=lambda line: f"{line.amount} are booked to the balance of the account.",
        ),
        Act(
            name="set-aside",
            label="Set aside",
            run=_set_aside,
            offered=_is_unmatched,
            consequence=lambda line: f"{line.amount} are not from a customer; nothing is booked here.",
        ),
    )

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find a transfer by its id."""
        number = parse_number(text)
        return query.where(sa.false() if number is None else BankLine.id == number)

    def title_of(self, model: BankLine) -> str:
        """Name a transfer by its id."""
        return f"Transfer {model.id}"


class AttemptView(OperatorView):
    """Attempts to pay."""

    singular = "Attempt"
    has_name = False
    intro = "Each try of a customer, or of a renewal, to have an invoice paid, and why it was not."
    empty_message = "Nobody has begun to pay at a gateway yet."
    column_list = ("created_at", "account", "gateway", "kind", "state", "amount_minor", "problem", "ended_at")
    column_details_list = ("id", *column_list, "invoice", "method", "reference", "next_look_at")
    column_labels = {
        "id": "Id", "created_at": "Begun", "amount_minor": "Amount", "ended_at": "Ended", "method": "Saved card",
        "next_look_at": "Asked about again",
    }  # fmt: skip
    column_formatters = {
        "id": machine("id"),
        "created_at": when("created_at"),
        "account": _account,
        "kind": state("kind"),
        "state": state("state"),
        "amount_minor": amount("amount_minor"),
        "problem": plain("problem"),
        "ended_at": when("ended_at", "not yet"),
        "invoice": to("invoice", "operator_invoices"),
        "method": lambda _v, _c, row, _n: NOTHING if row.method is None else row.method.label,
        "reference": machine("reference"),
        "next_look_at": when("next_look_at"),
    }
    right_columns = ("amount_minor",)
    default_order = ("created_at", True)
    list_options = (joinedload(PaymentAttempt.account),)
    details_options = (
        *list_options,
        joinedload(PaymentAttempt.invoice),
        joinedload(PaymentAttempt.method),
    )
    choices = (
        by_state(PaymentAttempt.state, AttemptState),
        Of("account", "account", PaymentAttempt.account_id),
    )

    def title_of(self, model: PaymentAttempt) -> str:
        """Name an attempt by the beginning of its id."""
        return f"Attempt {str(model.id)[:8]}"


class RefundView(OperatorView):
    """Refunds at gateways."""

    singular = "Refund"
    has_name = False
    intro = "What gateways were asked to send back, or sent back by themselves."
    empty_message = "Nothing was sent back yet."
    column_list = ("created_at", "state", "amount_minor", "payment", "from_outside", "problem", "done_at")
    column_details_list = ("id", *column_list, "reference", "attempts", "next_attempt_at")
    column_labels = {
        "id": "Id", "created_at": "Asked", "amount_minor": "Amount", "from_outside": "Made at the gateway",
        "done_at": "Done", "next_attempt_at": "Next attempt",
    }  # fmt: skip
    column_formatters = {
        "id": machine("id"),
        "created_at": when("created_at"),
        "state": state("state"),
        "amount_minor": amount("amount_minor"),
        "payment": _payment,
        "from_outside": lambda _v, _c, row, _n: "yes" if row.from_outside else "no",
        "problem": plain("problem"),
        "done_at": when("done_at", "not yet"),
        "reference": machine("reference"),
        "next_attempt_at": when("next_attempt_at"),
    }
    right_columns = ("amount_minor",)
    default_order = ("created_at", True)
    choices = (by_state(GatewayRefund.state, RefundState),)

    def title_of(self, model: GatewayRefund) -> str:
        """Name a refund by its payment."""
        return f"Refund of payment {model.payment_id}"


class DisputeView(OperatorView):
    """Disputes."""

    singular = "Dispute"
    has_name = False
    intro = (
        "Payments that their payer contests. The gateway holds the money until it is decided; what is lost is owed again, "
        "in the customer's balance. Nobody is suspended by it: that is yours to do."
    )
    empty_message = "No payment was contested yet."
    column_list = ("opened_at", "state", "amount_minor", "account", "payment", "reason", "closed_at")
    column_details_list = ("id", *column_list, "gateway", "reference")
    column_labels = {"id": "Id", "opened_at": "Opened", "amount_minor": "Amount", "closed_at": "Decided"}
    column_formatters = {
        "opened_at": when("opened_at"),
        "state": state("state"),
        "amount_minor": amount("amount_minor"),
        "account": _account,
        "payment": _payment,
        "reason": plain("reason"),
        "closed_at": when("closed_at", "not yet"),
        "reference": machine("reference"),
    }
    right_columns = ("amount_minor",)
    default_order = ("id", True)
    list_options = details_options = (joinedload(Dispute.account),)
    choices = (by_state(Dispute.state, DisputeState), Of("account", "account", Dispute.account_id))

    def title_of(self, model: Dispute) -> str:
        """Name a dispute by its id."""
        return f"Dispute {model.id}"
