"""What an operator can do with a VPS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domus.inventory.models import Dom0State
from domus.vps.models import SuspensionReason, Vps, VpsState
from domus.workflows import orders, power, removals
from domus_web.context import current_settings
from domus_web.operator.acts import Act, ActForm, Doing, ReasonForm, TypedForm
from domus_web.operator.forms import long_text, one_of, option

_SUSPENSION_LABELS = {
    SuspensionReason.UNPAID: "unpaid: lifted when the bill is paid",
    SuspensionReason.TRAFFIC: "traffic: more than the contract has",
    SuspensionReason.ABUSE: "abuse: complaints about it",
    SuspensionReason.OPERATOR: "operator: any other reason of ours",
    SuspensionReason.SECURITY: "security: it was broken into, or is about to be",
}


class SuspendForm(ActForm):
    """For which reason it may not run."""

    suspension = one_of(
        "Kind",
        SuspensionReason,
        _SUSPENSION_LABELS,
        description="Each kind is lifted on its own.",
        default="operator",
    )
    note = long_text(
        "Note",
        maximum=500,
        rows=2,
        description="Kept in the history, and shown to the customer with the suspension.",
    )


class ReleaseForm(ActForm):
    """Which reason does not hold any more."""

    suspension = one_of("Kind", SuspensionReason, description="Only this one is lifted; others stay.")
    note = long_text("Note", maximum=500, rows=2, description="Kept in the history.")


def _power(run: Callable[..., Any], said: str) -> Callable[[Doing], str]:
    def act(doing: Doing) -> str:
        run(doing.db, vps_id=doing.model.id, actor=doing.actor, reason=doing.reason, now=doing.now)
        return f"{doing.model} {said}."

    return act


def _suspend(doing: Doing) -> str:
    suspension = SuspensionReason(doing.form.suspension.data)
    note = str(doing.form.note.data)
    power.suspend(
        doing.db, vps_id=doing.model.id, suspension=suspension, note=note, actor=doing.actor, now=doing.now
    )
    return f"{doing.model} is suspended ({suspension.value}) and is being shut down."


def _release(doing: Doing) -> str:
    suspension = SuspensionReason(doing.form.suspension.data)
    note = str(doing.form.note.data)
    power.release(
        doing.db, vps_id=doing.model.id, suspension=suspension, note=note, actor=doing.actor, now=doing.now
    )
    return f"The suspension of {doing.model} for {suspension.value} is lifted."


def _forget(doing: Doing) -> str:
    removals.forget(
        doing.db,
        vps_id=doing.model.id,
        quarantine=current_settings().address_quarantine,
        actor=doing.actor,
        reason=doing.reason,
        now=doing.now,
    )
    return f"{doing.model} counts as removed."


def offer_standing_reasons(form: Any, vps: Vps) -> None:
    """Offer to lift only what stands."""
    form.suspension.choices = [option(s.reason.value) for s in vps.suspensions]


def _is_active(vps: Vps) -> bool:
    return vps.state is VpsState.ACTIVE


def _may_run(vps: Vps) -> bool:
    return _is_active(vps) and not vps.suspensions


VPS_ACTS = (
    Act(
        name="start",
        label="Start",
        run=_power(power.start, "is being started"),
        offered=_may_run,
        consequence=lambda vps: f"{vps} is started.",
        form=ActForm,
        direct=True,
    ),
    Act(
        name="shutdown",
        label="Shut down",
        run=_power(power.shutdown, "is asked to shut down"),
        offered=_is_active,
        consequence=lambda vps: (
            f"{vps} ({vps.hostname}) of {vps.account.name} is asked to shut down and stays off; "
            "when it does not in two minutes, it is switched off. Whatever it serves is down until it is started again."
        ),
    ),
    Act(
        name="reboot",
        label="Reboot",
        run=_power(power.reboot, "is being rebooted"),
        offered=_may_run,
        consequence=lambda vps: (
            f"{vps} ({vps.hostname}) of {vps.account.name} is asked to shut down and is started again: "
            "a minute or so of downtime."
        ),
    ),
    Act(
        name="power-off",
        label="Power off",
        run=_power(power.power_off, "is being switched off"),
        offered=_is_active,
        dangerous=True,
        consequence=lambda vps: (
            f"{vps} ({vps.hostname}) of {vps.account.name} is switched off as if the plug were pulled. "
            "What it had not written to disk is lost. Shut it down instead if it still answers."
        ),
    ),
    Act(
        name="suspend",
        label="Suspend",
        run=_suspend,
        offered=_is_active,
        dangerous=True,
        form=SuspendForm,
        consequence=lambda vps: (
            f"{vps} ({vps.hostname}) of {vps.account.name} is shut down, and the customer cannot start it "
            "until the suspension is lifted. Nothing is deleted."
        ),
    ),
    Act(
        name="release",
        label="Lift a suspension",
        run=_release,
        offered=lambda vps: bool(vps.suspensions),
        form=ReleaseForm,
        prepare=offer_standing_reasons,
        consequence=lambda vps: (
            f"With the last suspension gone, {vps} returns to the power it was wanted to have."
        ),
    ),
    Act(
        name="retry",
        label="Install again",
        run=_power(orders.retry, "is being installed again"),
        offered=lambda vps: vps.state is VpsState.PROVISION_FAILED,
        form=ReasonForm,
        consequence=lambda vps: (
            f"The installation of {vps} is begun anew on {vps.dom0}. "
            "What the failed attempt left on its own volumes is overwritten; nothing of the customer's is there yet."
        ),
    ),
    Act(
        name="forget",
        label="Forget",
        run=_forget,
        offered=lambda vps: vps.state is VpsState.REMOVING and vps.dom0.state is Dom0State.LOST,
        dangerous=True,
        form=TypedForm,
        typed=lambda vps: vps.name,
        consequence=lambda vps: (
            f"{vps.dom0} is lost and cannot remove {vps} ({vps.hostname}) of {vps.account.name} any more. It counts as "
            "removed: its place is given back, and its addresses are sold again after their rest. Be sure that the "
            "machine does not run: a guest that still did would answer under an address that is somebody else's by then."
        ),
    ),
)
