"""What a request is served with: the database, the settings, and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app, g

from domus.accounts.actor import Actor
from domus.accounts.models import User
from domus.core.settings import Settings
from domus.db.engine import Database
from domus.gateways.registry import Gateways

EXTENSION = "domus"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application was built from."""

    settings: Settings
    db: Database
    gateways: Gateways


def _parts() -> Parts:
    return cast("Parts", current_app.extensions[EXTENSION])


def current_db() -> Database:
    """Return the database of the running application."""
    return _parts().db


def current_settings() -> Settings:
    """Return the settings of the running application."""
    return _parts().settings


def current_gateways() -> Gateways:
    """Return the gateways that are switched on in the running application."""
    return _parts().gateways


def user_or_none() -> User | None:
    """Return who is logged in, if anybody."""
    return cast("User | None", g.get("user"))


def current_user() -> User:
    """Return who is logged in; only for views that require it."""
    user = user_or_none()
    if user is None:
        raise RuntimeError("a view that needs a user has no customer_required or operator_required")
    return user


def current_actor() -> Actor:
    """Return the actor for who is logged in."""
    return Actor.of(current_user())


def current_account_id() -> int:
    """Return the account of the customer who is logged in."""
    account_id = current_user().account_id
    if account_id is None:
        raise RuntimeError("operators have no account: the view needs customer_required")
    return account_id
