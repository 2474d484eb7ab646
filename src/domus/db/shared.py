"""One database per process for the doors that Salt loads: its loaders make modules anew, and its master forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domus.core.errors import ConfigurationError
from domus.db.engine import Database

_lock = threading.Lock()
_databases: dict[tuple[int, str, tuple[tuple[str, Any], ...]], Database] = {}


def shared_database(
    options: Mapping[str, Any] | None, env: Mapping[str, str], **engine_options: Any
) -> Database:
    """Return this process's database as a Salt configuration's ``domus:`` map or else the environment names it.

    In the map stands ``database_url_file`` (better, it keeps the password out of configuration) or ``database_url``; in
    the environment the same in capitals, with ``DOMUS_`` before it.
    """
    url = database_url(options, env)
    # A forked child must not talk on its parent's connections, so the process is part of the key.
    key = (os.getpid(), url, tuple(sorted(engine_options.items())))
    with _lock:
        if key not in _databases:
            _databases[key] = Database(url, **engine_options)
        return _databases[key]


def database_url(options: Mapping[str, Any] | None, env: Mapping[str, str]) -> str:
    """Return the database's URL; raise ConfigurationError that names what to set."""
    named = dict(options or {})
    path = named.get("database_url_file") or (
        "" if named.get("database_url") else env.get("DOMUS_DATABASE_URL_FILE")
    )
    if path:
        try:
            return Path(str(path)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read the database URL from {path}: {error}.") from error
    url = named.get("database_url") or env.get("DOMUS_DATABASE_URL")
    if not url:
        raise ConfigurationError(
            "No database is named: set domus:database_url_file in the Salt master's configuration, "
            "or DOMUS_DATABASE_URL_FILE."
        )
    return str(url)
