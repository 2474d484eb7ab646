"""
The pillar of a dom0, from Domus's database.

A minion that the database knows as a dom0 gets what is wanted on it, under the key ``domus``; it never gets
anything about another dom0. Any other minion gets nothing. Enable it in the master's configuration:

.. code-block:: yaml

    pillar_dirs: [/opt/domus/salt/pillar]
    ext_pillar:
    - domus: {}
    domus:
      database_url_file: /etc/domus/database_url
"""

import logging
import os
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from domus.core.clock import utc_now
from domus.core.errors import DomusError
from domus.db.shared import shared_database
from domus.pillar.services import pillar_for

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}

__virtualname__ = "domus"

# A minion waits for its pillar, and the master has few workers: a slow database must not take them all.
TIMEOUT_SECONDS = 10

log = logging.getLogger(__name__)


class PillarUnavailable(Exception):
    """The pillar cannot be made now. Salt shows this text on the minion, so it says nothing about the database."""


def __virtual__() -> str:
    return __virtualname__


def ext_pillar(minion_id: str, pillar: dict[str, Any]) -> dict[str, Any]:
    """
    Return ``{"domus": ...}`` for a dom0 and nothing for any other minion.

    It raises when the database does not answer. An empty pillar instead would tell the dom0 that nothing is
    known of its VPSs; a failing one changes nothing.
    """
    try:
        with shared_database(__opts__.get("domus"), os.environ).reading() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.execute(sa.text(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'"))
            wanted = pillar_for(session, minion_id, now=utc_now())
    except (DomusError, sa.exc.SQLAlchemyError):
        log.exception("no pillar for %s", minion_id)
        raise PillarUnavailable("domus database unavailable") from None
    if wanted is None:
        log.debug("%s is no dom0 that the database knows; it gets no pillar", minion_id)
        return {}
    return {"domus": wanted}
