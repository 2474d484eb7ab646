"""The life of a VPS as a table; `services.transition` is the only code that walks it."""

from __future__ import annotations

from datetime import timedelta

from domus.core.state_machine import TransitionTable
from domus.vps.models import VpsState

#: A bootstrap over a slow line takes twenty minutes; what takes two hours will not end by itself.
PROVISIONING_LIMIT = timedelta(hours=2)

VPS_TRANSITIONS = TransitionTable(
    name="VPS",
    arrows={
        (VpsState.RESERVED, "provision"): VpsState.PROVISIONING,
        (VpsState.RESERVED, "cancel"): VpsState.CANCELLED,
        (VpsState.PROVISIONING, "activate"): VpsState.ACTIVE,
        (VpsState.PROVISIONING, "fail"): VpsState.PROVISION_FAILED,
        (VpsState.PROVISIONING, "remove"): VpsState.REMOVING,
        (VpsState.PROVISION_FAILED, "retry"): VpsState.PROVISIONING,
        # What was given up as overdue may still end well.
        (VpsState.PROVISION_FAILED, "activate"): VpsState.ACTIVE,
        (VpsState.PROVISION_FAILED, "remove"): VpsState.REMOVING,
        (VpsState.ACTIVE, "remove"): VpsState.REMOVING,
        # Paid after its contract had ended, and before anything was wiped.
        (VpsState.REMOVING, "restore"): VpsState.ACTIVE,
        (VpsState.REMOVING, "finish_removal"): VpsState.REMOVED,
    },
    limits={VpsState.PROVISIONING: PROVISIONING_LIMIT},
    failed={VpsState.PROVISIONING: VpsState.PROVISION_FAILED},
)

#: In these states a VPS stands in the pillar of its dom0, and the dom0's word about it counts.
ON_DOM0 = (VpsState.PROVISIONING, VpsState.PROVISION_FAILED, VpsState.ACTIVE, VpsState.REMOVING)

#: In these states it holds its place and its addresses.
HOLDING = (VpsState.RESERVED, *ON_DOM0)

#: In these states nothing is left of it but its history.
GONE = (VpsState.REMOVED, VpsState.CANCELLED)
