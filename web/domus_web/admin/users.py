"""Users: who logs in, customers and operators."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload

from domus.accounts.models import LoginSession, Role, User
from domus.workflows import accounts
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, link, status, when, yes_no
from domus_web.operator.reading import reading
from domus_web.operator.searching import parse_number

SESSIONS_SHOWN = 50


def _disable(doing: Doing) -> str:
    accounts.set_user_disabled(
        doing.db, user_id=doing.model.id, disabled=True, actor=doing.actor, now=doing.now
    )
    return f"{doing.model} was disabled and logged out everywhere."


def _enable(doing: Doing) -> str:
    accounts.set_user_disabled(
        doing.db, user_id=doing.model.id, disabled=False, actor=doing.actor, now=doing.now
    )
    return f"{doing.model} can log in again."


def _state(_view: Any, _context: Any, row: User, _name: str) -> Markup:
    return (
        status("active", "may log in", "ok") if row.disabled_at is None else status("disabled", tone="danger")
    )


def _account(_view: Any, _context: Any, row: User, _name: str) -> Markup:
    if row.account is None:
        return NOTHING
    return link("operator_accounts.details_view", row.account.name, id=row.account_id)


class UserView(ActingView):
    """Everybody who can log in."""

    singular = "User"
    intro = "Who can log in. A user who is disabled is logged out everywhere at once."
    empty_message = "Operators are added by the command domus operator add; customers sign up themselves."
    details_template = "operator/user.html"
    column_list = ("email", "role", "account", "state", "created_at")
    column_details_list = ("id", *column_list, "disabled_at", "must_change_password")
    column_labels = {
        "id": "Id", "email": "E-mail", "state": "Log-in", "created_at": "Since", "disabled_at": "Disabled",
        "must_change_password": "Must change the password",
    }  # fmt: skip
    column_formatters = {
        "state": _state,
        "account": _account,
        "role": lambda _v, _c, row, _n: row.role.value,
        "created_at": when("created_at"),
        "disabled_at": when("disabled_at", "no"),
        "must_change_password": yes_no("must_change_password"),
    }
    default_order = ("id", True)
    sorts = {"email": "email"}
    list_options = details_options = (joinedload(User.account),)
    choices = (
        by_state(User.role, Role, name="role", label="Role"),
        Of("account", "account", User.account_id),
    )
    search_hint = "E-mail or id"
    acts = (
        Act(
            name="disable",
            label="Disable",
            run=_disable,
            offered=lambda user: user.disabled_at is None,
            consequence=lambda user: (
                f"{user} is logged out everywhere and cannot log in until enabled again. "
                "The VPSs of the account go on running."
            ),
            form=ActForm,
            dangerous=True,
        ),
        Act(
            name="enable",
            label="Enable",
            run=_enable,
            offered=lambda user: user.disabled_at is not None,
            consequence=lambda user: f"{user} can log in again.",
            form=ActForm,
            direct=True,
        ),
    )

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find a user by e-mail address or id."""
        number = parse_number(text)
        return query.where(User.email == text.lower() if number is None else User.id == number)

    def details_arguments(self, model: User) -> dict[str, Any]:
        """Add where the user is logged in."""
        sessions = sa.select(LoginSession).where(LoginSession.user_id == model.id)
        sessions = sessions.order_by(LoginSession.seen_at.desc()).limit(SESSIONS_SHOWN)
        return {**super().details_arguments(model), "sessions": reading().scalars(sessions).all()}
