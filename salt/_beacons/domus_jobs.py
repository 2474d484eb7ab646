"""Report installations on this dom0 while they proceed and when they have ended.

.. code-block:: yaml

    beacons:
      domus_jobs:
        - interval: 1

The first report after a start of the minion repeats what is under way and what ended within the
last hour, as the event that told it may have been lost.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    __salt__: dict[str, Callable[..., Any]]

__virtualname__ = "domus_jobs"


def __virtual__() -> str:
    return __virtualname__


def validate(config: Any) -> tuple[bool, str]:
    """Check the beacon's configuration: it has no options of its own."""
    if not isinstance(config, list) or not all(isinstance(item, dict) for item in config):
        return False, "The configuration of domus_jobs is a list of maps, such as - interval: 1"
    known = {"interval", "disable_during_state_run", "enabled"}
    unknown = sorted({key for item in config for key in item if key not in known})
    if unknown:
        return False, f"domus_jobs does not know {', '.join(unknown)}; allowed: interval"
    return True, "The configuration of domus_jobs is valid"


def beacon(config: Any) -> list[dict[str, Any]]:
    """Return one event for up to twenty jobs that changed; none when nothing did."""
    # Salt loads beacons without the way to our utils, so the work is done by a module.
    changes = __salt__["os_template.job_changes"]()
    return [__salt__["dom0.sealed"]("jobs", {"jobs": jobs}) for jobs in changes]
