"""What the commands share: the database they open, and who is at the keyboard."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

from domus.accounts.actor import Actor
from domus.core.errors import PreconditionFailed
from domus.core.settings import database_url
from domus.db import migrate
from domus.db.engine import Database


def url() -> str:
    """Return where the database is."""
    return database_url(os.environ)


@contextmanager
def opened_database() -> Iterator[Database]:
    """Yield the database; raise PreconditionFailed when its schema is not the one of this release."""
    revision, newest = migrate.current(url()), migrate.newest()
    if revision != newest:
        raise PreconditionFailed(
            f"The database is at revision {revision or 'none'} and this release needs {newest}; run `domus db upgrade`."
        )
    database = Database(url())
    try:
        yield database
    finally:
        database.dispose()


def shell_actor() -> Actor:
    """Return who is logged in on this machine."""
    try:
        return Actor.shell(getpass.getuser())
    except (KeyError, OSError):  # a uid without a name, as in some containers
        return Actor.shell(f"uid {os.getuid()}")
