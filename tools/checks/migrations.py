"""The migrations make exactly the tables that the models describe."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from domus.core.errors import DomusError
from domus.db import migrate


def problems() -> Iterator[str]:
    """Yield a line when a fresh database by the migrations differs from the models."""
    with tempfile.TemporaryDirectory(prefix="domus-check-") as folder:
        url = f"sqlite:///{Path(folder) / 'check.sqlite'}"
        migrate.upgrade(url)
        try:
            migrate.check(url)
        except DomusError as error:
            yield f"src/domus/db/migrations: {error}"
