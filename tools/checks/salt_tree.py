"""What minions can fetch: the folder ``salt/states`` with links to what is synced, and nothing beside it.

A ``file_roots`` of ``salt/`` itself would serve ``salt/pillar`` to every minion, whatever a regular expression hides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SYNCED = ("_beacons", "_grains", "_modules", "_states", "_utils")


def problems(repository: Path = REPOSITORY) -> Iterator[str]:
    """Yield a line for every link that is missing, points elsewhere, or should not be there."""
    states = repository / "salt" / "states"
    for name in SYNCED:
        link = states / name
        if not link.is_symlink() or link.readlink() != Path("..") / name:
            yield f"salt/states/{name}: must be a symbolic link to ../{name}"
    for path in sorted(states.rglob("*")):
        if path.is_symlink() and path.name not in SYNCED:
            yield f"{path.relative_to(repository)}: no other link may lead out of salt/states"
