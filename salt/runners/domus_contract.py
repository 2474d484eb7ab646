"""
What reactions do when something became of a contract: renewed, changed, suspended, released, ended.

Each takes an id, asks the database what is true, and starts a state run on the dom0 when it has something to do. An
event may be forged, doubled or late; a repeated call finds that there is nothing to do, and may be made by hand.
"""

import os
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from domus.core.clock import utc_now
from domus.db.shared import shared_database
from domus.provisioning import outbox
from domus.workflows import work

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}
    __salt__: dict[str, Callable[..., Any]] = {}


def renewal_paid(message_id: int, vps_id: str) -> str:
    """
    See to it that the dom0 of a VPS whose renewal was paid brings it back, should it be down for want of that.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_contract.renewal_paid 20 0b9e2c3d-0000-4000-8000-000000000000
    """
    return _told(outbox.RENEWAL_PAID, message_id, vps_id)


def subscription_suspended(message_id: int, vps_id: str) -> str:
    """
    See to it that the dom0 of a VPS that was suspended shuts it down.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_contract.subscription_suspended 21 0b9e2c3d-0000-4000-8000-000000000000
    """
    return _told(outbox.SUBSCRIPTION_SUSPENDED, message_id, vps_id)


def subscription_released(message_id: int, vps_id: str) -> str:
    """
    See to it that the dom0 of a VPS whose suspension was lifted starts it, should it be wanted running.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_contract.subscription_released 22 0b9e2c3d-0000-4000-8000-000000000000
    """
    return _told(outbox.SUBSCRIPTION_RELEASED, message_id, vps_id)


def subscription_ended(message_id: int, vps_id: str) -> str:
    """
    See to it that the dom0 of a VPS whose contract ended stops it, and removes it when its grace time is over.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_contract.subscription_ended 23 0b9e2c3d-0000-4000-8000-000000000000
    """
    return _told(outbox.SUBSCRIPTION_ENDED, message_id, vps_id)


def subscription_changed(message_id: int, vps_id: str) -> str:
    """
    See to it that the dom0 of a VPS whose contract was changed gives it its new size.

    message_id
        The outbox message that the event came from.

    vps_id
        The VPS.

    CLI Example:

    .. code-block:: bash

        salt-run domus_contract.subscription_changed 24 0b9e2c3d-0000-4000-8000-000000000000
    """
    return _told(outbox.SUBSCRIPTION_CHANGED, message_id, vps_id)


def _told(tag: str, message_id: int, vps_id: str) -> str:
    db = shared_database(__opts__.get("domus"), os.environ)
    vps = uuid.UUID(vps_id)
    dom0_id = work.contract_changed(db, tag=tag, message_id=message_id, vps_id=vps, now=utc_now())
    return "nothing to do" if dom0_id is None else str(__salt__["domus_work.dom0_due"](dom0_id))
