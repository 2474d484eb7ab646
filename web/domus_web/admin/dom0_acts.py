"""What an operator lets a dom0 do."""

from __future__ import annotations

from collections.abc import Callable

from domus.inventory.models import Dom0, Dom0State
from domus.workflows import inventory
from domus_web.operator.acts import Act, Doing, TypedForm


def _become(state: Dom0State, said: str) -> Callable[[Doing], str]:
    def act(doing: Doing) -> str:
        inventory.set_dom0_state(
            doing.db,
            dom0_id=doing.model.id,
            state=state,
            actor=doing.actor,
            reason=doing.reason,
            now=doing.now,
        )
        return f"{doing.model} {said}."

    return act


def _unless(state: Dom0State) -> Callable[[Dom0], bool]:
    return lambda dom0: dom0.state is not state


DOM0_ACTS = (
    Act(
        name="activate",
        label="Activate",
        run=_become(Dom0State.ACTIVE, "takes new VPSs"),
        offered=_unless(Dom0State.ACTIVE),
        consequence=lambda dom0: f"New VPSs are placed on {dom0}, and whatever waited for it is done now.",
    ),
    Act(
        name="drain",
        label="Drain",
        run=_become(Dom0State.DRAINING, "takes nothing new"),
        offered=_unless(Dom0State.DRAINING),
        consequence=lambda dom0: f"{dom0} runs what it has and takes no new VPS.",
    ),
    Act(
        name="maintenance",
        label="Maintenance",
        run=_become(Dom0State.MAINTENANCE, "is left alone"),
        offered=_unless(Dom0State.MAINTENANCE),
        consequence=lambda dom0: (
            f"{dom0} takes nothing new, and Domus leaves it alone: what customers ask of their VPSs there "
            "waits until it is active again. The guests go on running."
        ),
    ),
    Act(
        name="lost",
        label="Mark as lost",
        run=_become(Dom0State.LOST, "counts as lost"),
        offered=_unless(Dom0State.LOST),
        dangerous=True,
        form=TypedForm,
        typed=lambda dom0: dom0.minion_id,
        consequence=lambda dom0: (
            f"{dom0} counts as gone for good. Its VPSs cannot be started, stopped or looked at any more, and "
            "nothing is sent to it. For a machine that comes back, choose maintenance."
        ),
    ),
)
