"""What an operator can do with a contract."""

from __future__ import annotations

from typing import Any

from wtforms import DateField
from wtforms.validators import InputRequired

from domus.billing.models import Subscription
from domus.core.errors import Conflict, NotFound
from domus.core.money import Money
from domus.renewals import queries
from domus.vps.models import Vps
from domus.workflows.renewals import dunning, paying
from domus_web.operator.acts import Act, ActForm, Doing, ReasonForm
from domus_web.operator.reading import reading


class HoldForm(ReasonForm):
    """Until when it is left in peace."""

    until = DateField(
        "Until",
        [InputRequired("Enter a day, such as 2027-01-31.")],
        description="The first day on which steps are taken again.",
    )


def _vps(contract: Subscription) -> Vps:
    vps = queries.vps_of(reading(), contract.id)
    if vps is None:
        raise NotFound("This contract has no VPS.")
    return vps


def _hold(doing: Doing) -> str:
    until = doing.form.until.data
    dunning.hold(
        doing.db, vps_id=_vps(doing.model).id, until=until, reason=doing.reason, actor=doing.actor,
        now=doing.now,
    )  # fmt: skip
    return f"No steps are taken before {until:%Y-%m-%d}."


def _end_hold(doing: Doing) -> str:
    dunning.end_hold(
        doing.db, vps_id=_vps(doing.model).id, reason=doing.reason, actor=doing.actor, now=doing.now
    )
    return "Steps are taken again from the next run on."


def _ask(doing: Doing) -> str:
    renewal = paying.ask(doing.db, vps_id=_vps(doing.model).id, actor=doing.actor, now=doing.now)
    return f"The next period is asked for, until {renewal.ends_on:%Y-%m-%d}."


def _mark_paid(doing: Doing) -> str:
    renewal = queries.open_renewal(reading(), doing.model.id)
    if renewal is None:
        raise Conflict("Nothing is asked for, so nothing can be paid.")
    paid = paying.mark_paid(
        doing.db, invoice_id=renewal.invoice_id, actor=doing.actor, reason=doing.reason, now=doing.now
    )
    return f"Invoice {paid.invoice} is paid; the contract is paid until {paid.ends_on:%Y-%m-%d}."


def _goes_on(contract: Subscription) -> bool:
    return contract.ended_on is None


def _is_held(contract: Subscription) -> bool:
    return queries.hold_of(reading(), contract.id) is not None


def _is_asked(contract: Subscription) -> bool:
    return queries.open_renewal(reading(), contract.id) is not None


def _sum(contract: Subscription) -> Money | Any:
    renewal = queries.open_renewal(reading(), contract.id)
    return "nothing" if renewal is None else renewal.invoice.gross


CONTRACT_ACTS = (
    Act(
        name="mark-paid",
        label="Mark as paid",
        run=_mark_paid,
        offered=_is_asked,
        consequence=lambda contract: (
            f"{_sum(contract)} is booked as received from {contract.account.name}. The contract goes on from "
            f"{contract.paid_until:%Y-%m-%d}; a VPS that is down or ended for want of it comes back."
        ),
    ),
    Act(
        name="ask",
        label="Ask for the next period",
        run=_ask,
        offered=lambda contract: _goes_on(contract) and not _is_asked(contract),
        consequence=lambda contract: "The invoice of the next period is opened.",
        form=ActForm,
        direct=True,
    ),
    Act(
        name="hold",
        label="Hold",
        run=_hold,
        offered=_goes_on,
        form=HoldForm,
        consequence=lambda contract: (
            "Until that day it is neither reminded nor suspended nor ended. Its invoice stays open, and a suspension "
            "that stands is not lifted: do that on the page of the VPS."
        ),
    ),
    Act(
        name="end-hold",
        label="End the hold",
        run=_end_hold,
        offered=_is_held,
        consequence=lambda contract: "Steps are taken again from the next run on.",
    ),
)
