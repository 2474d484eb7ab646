"""What an operator can do with a contract."""

from __future__ import annotations

from typing import Any

from wtforms import BooleanField, DateField, SelectField, StringField
from wtforms.validators import InputRequired

from domus.billing.models import Subscription
from domus.contracts.models import ChangeState, ContractChange
from domus.contracts.quotes import Quote
from domus.core.clock import utc_now
from domus.core.errors import Conflict, NotFound
from domus.core.money import Money
from domus.renewals import queries
from domus.vps.models import Vps
from domus.workflows.contracts import cancelling, changing, handing_over, offering
from domus.workflows.renewals import dunning, paying
from domus_web.context import current_actor, current_db, current_settings
from domus_web.forms import strip
from domus_web.operator.acts import Act, ActForm, Doing, ReasonForm, TypedForm
from domus_web.operator.forms import option
from domus_web.operator.reading import reading


class HoldForm(ReasonForm):
    """Until when it is left in peace."""

    until = DateField(
        "Until",
        [InputRequired("Enter a day, such as 2027-01-31.")],
        description="The first day on which steps are taken again.",
    )


class HandOverForm(TypedForm):
    """Who gets it; the name of the VPS is typed."""

    email = StringField(
        "New owner", [InputRequired("Enter the e-mail address of an account.")], filters=[strip],
        description="The e-mail address of an account that there is.",
    )  # fmt: skip


class CancelNowForm(TypedForm):
    """The name of the VPS, typed, and what becomes of the unused days."""

    credit = BooleanField("Put what the unused days are worth into the balance")


class ChangeForm(ReasonForm):
    """To what it is changed."""

    to = SelectField(
        "To", [InputRequired("Choose one.")], description="With all that is to be paid, tax included."
    )
    restart = BooleanField(
        "Restart it at once, if more memory or CPUs need that",
        description="Otherwise they come with its next restart.",
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


def _choices(contract: Subscription) -> list[Any]:
    """Return what it can be changed to, each with its amounts: the value has the amount that was shown in it."""
    try:
        found = offering.options(current_db(), vps_id=_vps(contract).id, actor=current_actor(), now=utc_now())
    except Conflict:
        return []
    return [
        option(f"{one.price.id}:{one.quote.answer.minor}", _label(one.quote))
        for one in found
        if one.quote is not None
    ]


def _label(offer: Quote) -> str:
    name = f"{offer.price.product.name}, {offer.price.period.describe()}"
    if offer.to_pay:
        now = f"{offer.to_pay} to pay now"
    else:
        now = f"{offer.gives_back} to the balance" if offer.gives_back else "nothing to pay now"
    return f"{name}: {now}, then {offer.renewal.amount} for {offer.renewal.period.describe()}"


def _prepare_change(form: ChangeForm, contract: Subscription) -> None:
    form.to.choices = _choices(contract)


def _change(doing: Doing) -> str:
    price_id, _, minor = str(doing.form.to.data).partition(":")
    currency = doing.model.price.currency
    change = changing.agree(
        doing.db, vps_id=_vps(doing.model).id, price_id=int(price_id), shown=Money(int(minor), currency),
        restart=bool(doing.form.restart.data), hold=current_settings().order_hold, actor=doing.actor,
        reason=doing.reason, now=doing.now,
    )  # fmt: skip
    if change.state is ChangeState.DONE:
        return f"It is a {change.to_price.product.name} now; the machine follows."
    return f"The change waits for invoice {change.invoice} to be paid."


def _open_change(contract: Subscription) -> ContractChange | None:
    return offering.open_change(reading(), contract.id)


def _mark_change_paid(doing: Doing) -> str:
    change = _open_change(doing.model)
    if change is None:
        raise Conflict("No change waits to be paid.")
    changing.mark_paid(doing.db, change_id=change.id, actor=doing.actor, reason=doing.reason, now=doing.now)
    return "The change is paid; the machine follows."


def _withdraw_change(doing: Doing) -> str:
    change = _open_change(doing.model)
    if change is not None:
        changing.withdraw(
            doing.db, change_id=change.id, actor=doing.actor, reason=doing.reason, now=doing.now
        )
    return "The change is withdrawn."


def _change_sum(contract: Subscription) -> str:
    change = _open_change(contract)
    amount = "nothing" if change is None or change.invoice is None else change.invoice.gross
    return f"{amount} is booked as received from {contract.account.name}, and the change is carried out."


def _cancel(doing: Doing) -> str:
    on = cancelling.cancel_at_end(
        doing.db, vps_id=_vps(doing.model).id, reason=doing.reason, actor=doing.actor, now=doing.now
    )
    return f"It ends on {on:%Y-%m-%d}."


def _keep(doing: Doing) -> str:
    cancelling.take_back(
        doing.db, vps_id=_vps(doing.model).id, reason=doing.reason, actor=doing.actor, now=doing.now
    )
    return "The contract goes on."


def _cancel_now(doing: Doing) -> str:
    given = cancelling.cancel_now(
        doing.db, vps_id=_vps(doing.model).id, credit=bool(doing.form.credit.data), reason=doing.reason,
        actor=doing.actor, now=doing.now,
    )  # fmt: skip
    return f"The contract has ended; {given} went to the balance." if given else "The contract has ended."


def _ending(contract: Subscription) -> str:
    """Return what ending it now means, in sentences."""
    try:
        seen = cancelling.look(current_db(), vps_id=_vps(contract).id, actor=current_actor(), now=utc_now())
    except Conflict as error:
        return str(error)
    return (
        f"The VPS stops at once and is wiped after {seen.grace_days} days. What is asked for and not paid is withdrawn. Its "
        f"unused days are worth {seen.worth} with tax; they go to the balance by credit notes only if you choose so."
    )


def _hand_over(doing: Doing) -> str:
    new = handing_over.hand_over(
        doing.db, vps_id=_vps(doing.model).id, email=str(doing.form.email.data), reason=doing.reason,
        actor=doing.actor, now=doing.now,
    )  # fmt: skip
    return f"It is {new}'s now."


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
        name="change",
        label="Change size or period",
        run=_change,
        offered=lambda contract: _goes_on(contract) and _open_change(contract) is None,
        form=ChangeForm,
        prepare=_prepare_change,
        consequence=lambda contract: (
            f"The days left until {contract.paid_until:%Y-%m-%d} are settled to the day. What is to be paid opens an "
            "invoice, and the change waits for it; what comes back goes to the balance by a credit note at once. A disk "
            "only grows, and the guest grows its file system itself."
        ),
    ),
    Act(
        name="change-paid",
        label="Mark the change as paid",
        run=_mark_change_paid,
        offered=lambda contract: _open_change(contract) is not None,
        consequence=_change_sum,
    ),
    Act(
        name="change-withdraw",
        label="Withdraw the change",
        run=_withdraw_change,
        offered=lambda contract: _open_change(contract) is not None,
        consequence=lambda contract: "Its invoice is cancelled, and the room that was held for it is free.",
    ),
    Act(
        name="hand-over",
        label="Give it another owner",
        run=_hand_over,
        offered=_goes_on,
        form=HandOverForm,
        typed=lambda contract: _vps(contract).name,
        dangerous=True,
        consequence=lambda contract: (
            f"From now on {contract.account.name} neither sees the VPS nor can do anything with it. Invoices and balance "
            "stay where they are, what waits to be paid is withdrawn, and the next period is asked of the new owner. Keys "
            "and passwords inside the VPS stay: whoever knows them still gets in, so the new owner should change them."
        ),
    ),
    Act(
        name="cancel",
        label="Cancel at the end",
        run=_cancel,
        offered=lambda contract: _goes_on(contract) and contract.cancel_on is None,
        consequence=lambda contract: (
            f"It ends on {contract.paid_until:%Y-%m-%d}, or today if that is over. Nothing more is asked for, and it can "
            "be taken back until then. The customer is told."
        ),
    ),
    Act(
        name="keep",
        label="Take the cancellation back",
        run=_keep,
        offered=lambda contract: _goes_on(contract) and contract.cancel_on is not None,
        consequence=lambda contract: (
            "It goes on, and is asked for again when its day comes. The customer is told."
        ),
    ),
    Act(
        name="cancel-now",
        label="Cancel now",
        run=_cancel_now,
        offered=_goes_on,
        form=CancelNowForm,
        typed=lambda contract: _vps(contract).name,
        dangerous=True,
        consequence=_ending,
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
