"""A whole Domus whose only dom0 is still a bare Debian, which Domus's states are to change."""

from dataclasses import dataclass
from typing import Any

from domus_lab.bare_machine import BareMachine
from domus_lab.errors import LabError
from domus_lab.machine import VOLUME_GROUP
from domus_lab.world import MINION_ID, MINION_LIMIT_SECONDS, LabWorld
from domus_stack import StackError
from domus_stack.waiting import wait_until

STATES_LIMIT_SECONDS = 1800
PING_LIMIT_SECONDS = 30
# What the lab's operator decides: guests reach the world through dom0, which is their gateway.
GATEWAY = "192.0.2.1/24"

States = dict[str, dict[str, Any]]
"""What each state said, by its id."""


@dataclass(frozen=True)
class Made:
    """What was seen while a dom0 was made of a Debian."""

    foretold: States
    untouched: str
    """The packages, folders and interfaces of the Debian after all was foretold, and before it was done."""
    first: States
    second: States
    """After the operator made the volume group, and the machine booted into Xen."""


class BareWorld(LabWorld):
    """See `LabWorld`; its minion is there from the start, its dom0 when one was made of it."""

    def __init__(self, machine: BareMachine, **wishes: Any) -> None:
        super().__init__(dom0=machine, **wishes)
        self._machine = machine

    def make_dom0(self) -> Made:
        """Do what `docs/install.md` says, once it has the minion's key accepted."""
        self._say("Applying the states of a dom0, at first in test mode.")
        foretold = self.apply_dom0(test=True)
        look = "dpkg-query -Wf '${Package} '; ls /var/lib /sys/class/net /etc/network/interfaces.d"
        untouched = self._machine.run(["sh", "-c", look]).stdout
        self._say("Applying them.")
        first = self.apply_dom0()
        self._machine.make_volume_group(VOLUME_GROUP)
        self._say("Rebooting into Xen.")
        self._machine.reboot_into_xen()
        self.stack.wait_for_dom0(MINION_ID, MINION_LIMIT_SECONDS)
        second = self.apply_dom0()
        self._machine.run(["ip", "address", "add", GATEWAY, "dev", "xenbr0"])
        return Made(foretold, untouched, first, second)

    def apply_dom0(self, *, test: bool = False) -> States:
        """Apply the states of a dom0."""
        mode = {"test": True} if test else {}
        returned = self.stack.salt.call(
            MINION_ID, "state.apply", "dom0", seconds=STATES_LIMIT_SECONDS, **mode
        )
        if not isinstance(returned, dict):
            raise LabError(f"state.apply dom0 said: {returned}")
        return {state["__id__"]: state for state in returned.values()}

    def _wait_for_minion(self) -> None:
        """Wait until the minion has our modules. It is no dom0 yet, so it has no report by which one could tell."""
        self._say("Waiting for the bare Debian's minion.")
        wait_until(self._answers, "an answer of the minion", MINION_LIMIT_SECONDS, explain=self.stack.explain)
        self.stack.salt.call(MINION_ID, "saltutil.sync_all", seconds=STATES_LIMIT_SECONDS)

    def _answers(self) -> bool:
        # Pings that pile up are all that an emulated minion would ever do.
        try:
            return self.stack.salt.call(MINION_ID, "test.ping", seconds=PING_LIMIT_SECONDS) is True
        except StackError:
            return False
