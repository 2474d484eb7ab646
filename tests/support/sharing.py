"""How tests are shared between workers that run at a time."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

LAB = "tests/lab/"


class WholeFiles(LoadScopeScheduling):
    """Gives each worker whole files, for what a file shares is made once. The lab is one piece: it has one machine."""

    def _split_scope(self, nodeid: str) -> str:
        return LAB if nodeid.startswith(LAB) else nodeid.partition("::")[0]
