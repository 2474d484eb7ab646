"""Mails to customers: what waits and what went out, and the words of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Response, abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session, joinedload
from wtforms import HiddenField

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.core.errors import DomusError
from domus.core.languages import LANGUAGES
from domus.db.engine import Database
from domus.mail.composing import Sender
from domus.mail.events import COMMON_EXAMPLE, EVENTS
from domus.mail.models import MailState, MailTemplate, OutgoingMail
from domus.workflows import mail, mail_templates
from domus_web.context import current_actor, current_db, current_settings, current_user
from domus_web.forms import ConfirmForm
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.choices import Choice, Of, by_state
from domus_web.operator.columns import NOTHING, plain, state, to, when
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.forms import OperatorForm, long_text, text
from domus_web.operator.reading import reading, stop_reading
from domus_web.operator.searching import begins_with
from domus_web.operator.view import go, route, say


def _event(_view: Any, _context: Any, row: Any, _name: str) -> str:
    known = EVENTS.get(row.event)
    return row.event if known is None else known.title


def _send_again(doing: Doing) -> str:
    sent = mail.send_again(doing.db, mail_id=doing.model.id, actor=doing.actor, now=doing.now)
    return f"The mail to {sent.recipient} waits to be sent again."


def _give_up(doing: Doing) -> str:
    given_up = mail.give_up(doing.db, mail_id=doing.model.id, actor=doing.actor, now=doing.now)
    return f"The mail to {given_up.recipient} is not tried any more."


class MailView(ActingView):
    """The outbox."""

    singular = "Mail"
    has_name = False
    intro = "What customers are told. A mail waits here until a server takes it; domus mail run sends what is due."
    empty_message = "The first order makes the first mail."
    details_template = "operator/mail.html"
    column_list = (
        "id",
        "state",
        "event",
        "recipient",
        "account",
        "subject",
        "created_at",
        "sent_at",
        "problem",
    )
    column_details_list = (
        *column_list,
        "language",
        "attempts",
        "next_attempt_at",
        "attachments",
        "message_id",
    )
    column_labels = {
        "id": "Id", "event": "About", "created_at": "Written", "sent_at": "Sent", "next_attempt_at": "Next attempt",
        "message_id": "Message id",
    }  # fmt: skip
    column_formatters = {
        "state": state("state"),
        "event": _event,
        "account": to("account", "operator_accounts"),
        "subject": plain("subject"),
        "created_at": when("created_at"),
        "sent_at": when("sent_at", "not yet"),
        "next_attempt_at": when("next_attempt_at"),
        "problem": plain("problem"),
        "attachments": lambda _v, _c, row, _n: ", ".join(row.attachments) or NOTHING,
    }
    default_order = ("id", True)
    list_options = details_options = (joinedload(OutgoingMail.account),)
    choices = (by_state(OutgoingMail.state, MailState), Of("account", "account", OutgoingMail.account_id))
    search_hint = "Recipient (its beginning)"
    acts = (
        Act(
            name="send-again",
            label="Send again",
            run=_send_again,
            consequence=lambda _model: "It waits to be sent again, as if it were new.",
            offered=lambda model: model.state is MailState.GIVEN_UP,
            form=ActForm,
            direct=True,
        ),
        Act(
            name="give-up",
            label="Give up",
            run=_give_up,
            consequence=lambda _model: "It is not sent. It can be sent again later.",
            offered=lambda model: model.state is MailState.WAITING,
            form=ActForm,
        ),
    )

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find the mails to an address by its beginning."""
        return query.where(begins_with(session, OutgoingMail.recipient, text.lower()))

    def title_of(self, model: OutgoingMail) -> str:
        """Name a mail by its id."""
        return f"Mail {model.id}"


class TemplateForm(OperatorForm):
    """Words for an event in a language; both are fixed when they are made."""

    event = HiddenField()
    language = HiddenField()
    subject = text("Subject", maximum=300)
    text = long_text(
        "Text", maximum=20_000, rows=16, render_kw={"spellcheck": "true"},
        description="Names in double braces are filled in. A name that there is not is refused when you save.",
    )  # fmt: skip
    html = long_text(
        "HTML",
        maximum=20_000,
        rows=6,
        description="Leave it empty: the HTML part is then made from the text.",
    )


class MailTemplateView(Deletable, EditableView):
    """The words of mails."""

    singular = "Words"
    form = TemplateForm
    intro = "What mails say. Domus comes with words for each event in each language; yours take their place."
    details_template = "operator/mail_words.html"
    show_new_button = False
    delete_consequence = "The words that Domus comes with are used again."
    column_list = column_details_list = ("event", "language", "changed_at")
    column_formatters = {
        "event": _event,
        "language": lambda _v, _c, row, _n: LANGUAGES.get(row.language, row.language),
        "changed_at": when("changed_at"),
    }
    column_labels = {"changed_at": "Made"}
    default_order = ("id", True)
    choices = (
        Choice(
            "language", "Language", tuple(LANGUAGES.items()), lambda value: MailTemplate.language == value
        ),
    )

    @route("/")
    def index_view(self) -> ResponseReturnValue:
        """Show every event in every language, and which of them have own words."""
        own = {(row.event, row.language): row for row in reading().scalars(sa.select(MailTemplate))}
        arguments = {"own": own, "events": EVENTS.values(), "languages": LANGUAGES}
        return str(self.render("operator/mail_templates.html", **arguments))

    @route("/words/")
    def words_view(self) -> ResponseReturnValue:
        """Show what a mail says now, filled in with an example."""
        event, language = self._asked()
        own = reading().scalar(
            sa.select(MailTemplate).where(MailTemplate.event == event, MailTemplate.language == language)
        )
        if own is not None:
            return go(self.url_of(own))
        title = f"{EVENTS[event].title} ({LANGUAGES[language]})"
        return str(self.render("operator/mail_words.html", title=title, **self._shown(event, language)))

    @route("/html/")
    def html_view(self) -> ResponseReturnValue:
        """Show the HTML part as a mail program would, in a page that can run and load nothing."""
        event, language = self._asked()
        response = Response(self._preview(event, language).html, mimetype="text/html")
        response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
        return response

    @route("/test/", methods=("POST",))
    def test_view(self) -> ResponseReturnValue:
        """Send the mail with its example to who asks for it."""
        event, language = self._asked()
        if not ConfirmForm().validate_on_submit():
            abort(400)
        recipient = current_user().email
        stop_reading()
        mail_templates.send_test(
            current_db(),
            event=event,
            language=language,
            recipient=recipient,
            actor=current_actor(),
            now=utc_now(),
        )
        say(f"A test is on its way to {recipient}.")
        return go(self.get_url(".words_view", event=event, language=language))

    def details_arguments(self, model: MailTemplate) -> dict[str, Any]:
        """Add the mail as it would be sent."""
        return {**super().details_arguments(model), **self._shown(model.event, model.language)}

    def title_of(self, model: MailTemplate) -> str:
        """Name words by their event and language."""
        return f"{EVENTS[model.event].title if model.event in EVENTS else model.event} ({model.language})"

    def heading_of(self, model: MailTemplate) -> str:
        """Return the heading of the page."""
        return self.title_of(model)

    def create_form(self, obj: Any = None) -> Any:
        """Return the form for the event and language that the address names, with the words that they have now."""
        event, language = self._asked()
        form = TemplateForm(event=event, language=language)
        if not form.is_submitted():
            words = mail_templates.words(current_db(), event=event, language=language, actor=current_actor())
            form.subject.data, form.text.data = words.subject, words.text
        self._template_args["intro"] = self._names(event)
        return form

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form with the names that may be filled in above it."""
        self._template_args["intro"] = self._names(obj.event)
        return super().edit_form(obj)

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save the words; what they are for comes from the row itself once there is one."""
        event, language = (model.event, model.language) if model is not None else self._asked()
        fields = mail_templates.TemplateFields(
            event=event,
            language=language,
            subject=str(form.subject.data),
            text=str(form.text.data),
            html=str(form.html.data or ""),
        )
        return mail_templates.save(
            db, template_id=None if model is None else model.id, fields=fields, actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Go back to the words that Domus comes with."""
        mail_templates.delete(db, template_id=model.id, actor=actor, now=now)

    def _asked(self) -> tuple[str, str]:
        event, language = request.values.get("event", ""), request.values.get("language", "")
        if event not in EVENTS or language not in LANGUAGES:
            abort(404)
        return event, language

    def _names(self, event: str) -> str:
        names = sorted({*COMMON_EXAMPLE, *EVENTS[event].example} if event in EVENTS else COMMON_EXAMPLE)
        return f"These names can be filled in: {', '.join(names)}."

    def _preview(self, event: str, language: str) -> Any:
        settings = current_settings()
        sender = Sender(
            address="",
            company_name=settings.company_name,
            support_email=settings.support_email or "",
            panel_url=settings.panel_url,
        )
        return mail_templates.preview(
            current_db(), event=event, language=language, sender=sender, actor=current_actor()
        )

    def _shown(self, event: str, language: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"event": event, "language": language, "letter": None, "fault": ""}
        try:
            shown["letter"] = self._preview(event, language)
        except DomusError as error:
            # Kept by an earlier release that had other names.
            shown["fault"] = str(error)
        return shown
