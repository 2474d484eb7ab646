"""
What reactions do. Each function takes an id, asks the database what is true, and acts on that alone.

An event may be forged, doubled or late: any minion can put any tag on the bus. So nothing of an event but its
id is used, and a repeated call finds that there is nothing to do.
"""

import logging
import os
import threading
import uuid
from typing import TYPE_CHECKING, Any

import salt.client
import salt.exceptions
import salt.utils.jid

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.workflows import listings, work

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}

log = logging.getLogger(__name__)

CONVERGE = "dom0.converge"
CONSOLE = "dom0.console"
CONSOLE_LINES = 200

# The reactor calls runners from several threads of one process. A client is dear to make and not made for threads.
_publishing = threading.Lock()
_clients: list[salt.client.LocalClient] = []


def order_paid(message_id: int, order_id: str) -> str:
    """
    See to it that a paid order's dom0 sets to work.

    message_id
        The outbox message that the event came from.

    order_id
        The order. When the database does not say that it is paid, nothing happens.

    CLI Example:

    .. code-block:: bash

        salt-run domus_work.order_paid 17 6f1b2c3d-0000-4000-8000-000000000000
    """
    order = uuid.UUID(order_id)
    return _call(work.order_paid(_database(), message_id=message_id, order_id=order, now=utc_now()))


def vps_changed(message_id: int, vps_id: str) -> str:
    """
    See to it that the dom0 of a VPS learns what is wanted of it now.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_work.vps_changed 18 0b9e2c3d-0000-4000-8000-000000000000
    """
    vps = uuid.UUID(vps_id)
    return _call(work.vps_changed(_database(), message_id=message_id, vps_id=vps, now=utc_now()))


def dom0_due(dom0_id: int) -> str:
    """
    Start a state run on a dom0, unless one is on or nothing is due there.

    dom0_id
        Its number in the database.

    CLI Example:

    .. code-block:: bash

        salt-run domus_work.dom0_due 1
    """
    return _start_run(dom0_id=dom0_id)


def run_now(minion_id: str) -> str:
    """
    Start a state run on a dom0 although nothing is due there, unless one is on.

    minion_id
        Its minion id.

    CLI Example:

    .. code-block:: bash

        salt-run domus_work.run_now dom0-a
    """
    return _start_run(minion_id=minion_id, force=True)


def console_wanted(message_id: int, vps_id: str) -> str:
    """
    Ask a dom0 for the last lines of a VPS's console. The engine stores the answer.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_work.console_wanted 19 0b9e2c3d-0000-4000-8000-000000000000
    """
    vps = uuid.UUID(vps_id)
    found = work.console_wanted(_database(), message_id=message_id, vps_id=vps, now=utc_now())
    if found is None:
        return "nothing to do"
    minion_id, _name = found
    _publish(minion_id, CONSOLE, [str(vps), CONSOLE_LINES])
    return f"asked {minion_id}"


def minion_started(minion_id: str) -> str:
    """
    Bring Domus's modules to a minion that has just started. The engine then makes its dom0 due.

    minion_id
        The minion. One that the database does not know as a dom0 is left alone.

    CLI Example:

    .. code-block:: bash

        salt-run domus_work.minion_started dom0-a
    """
    known = {dom0["dom0"] for dom0 in listings.dom0s(_database())}
    if minion_id not in known:
        return "no dom0 that the database knows"
    _publish(minion_id, "saltutil.sync_all", [])
    return f"told {minion_id} to fetch its modules"


def _call(minion_id: str | None) -> str:
    return "nothing to do" if minion_id is None else _start_run(minion_id=minion_id)


def _start_run(**which: Any) -> str:
    """Begin a run in the database first, then publish it: should we die between the two, its lease ends it."""
    db = _database()
    ticket = work.begin_run(db, **which, now=utc_now())
    if ticket is None:
        return "nothing to do: a run is on, or nothing is due"
    jid = salt.utils.jid.gen_jid(__opts__)
    work.run_published(db, run_id=ticket.run_id, jid=jid, now=utc_now())
    try:
        _publish(ticket.minion_id, CONVERGE, [], jid=jid)
    except salt.exceptions.SaltException as error:
        work.run_failed(
            db, run_id=ticket.run_id, problem=f"The master could not call it: {error}", now=utc_now()
        )
        raise
    return f"run {jid} on {ticket.minion_id}"


def _publish(minion_id: str, function: str, arguments: list[Any], **options: Any) -> None:
    """Call a function on exactly one minion and do not wait for it."""
    with _publishing:
        if not _clients:
            _clients.append(salt.client.LocalClient(mopts=dict(__opts__)))
        jid = _clients[0].cmd_async([minion_id], function, arguments, tgt_type="list", **options)
    if not jid:
        raise salt.exceptions.SaltClientError(f"this master has accepted no key of {minion_id}")


def _database() -> Database:
    return shared_database(__opts__.get("domus"), os.environ)
