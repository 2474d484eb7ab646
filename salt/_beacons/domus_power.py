"""Tell the master when the power of a VPS changed, whoever changed it.

.. code-block:: yaml

    beacons:
      domus_power:
        - interval: 10

The event is ``salt/beacon/<minion>/domus_power/`` with ``changes``, a list of maps with ``uuid``, ``name``,
``power``, ``power_reason`` and ``at``. The beacon also starts VPSs again that went down for a reboot, and
pulls the plug of those that did not go down in time. On a minion that is no dom0 it does nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    __salt__: dict[str, Callable[..., Any]]


def validate(config: Any) -> tuple[bool, str]:
    """Accept the configuration, which has nothing but Salt's own settings such as the interval."""
    if not isinstance(config, list) or not all(isinstance(item, dict) for item in config):
        return False, "The configuration of the beacon domus_power is a list, such as `- interval: 10`"
    return True, "Valid beacon configuration"


def beacon(config: Any) -> list[dict[str, Any]]:
    """Return one event when something changed since the last look."""
    changes = __salt__["dom0.power_changes"]()
    return [__salt__["dom0.sealed"]("power", {"changes": changes})] if changes else []
