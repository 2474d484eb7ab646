"""Contracts: until when each is paid, what was done about those that are not, and what a run would do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload

from domus.accounts.models import Account
from domus.billing.models import Subscription
from domus.catalog.models import Price
from domus.core.clock import utc_now
from domus.core.errors import Conflict
from domus.coupons import running
from domus.renewals import queries
from domus.renewals.addons import cost_of
from domus.renewals.models import SubscriptionHold
from domus.renewals.prices import price_list
from domus.vps.models import Vps, VpsState
from domus.workflows.contracts import offering
from domus.workflows.renewals import preview
from domus_web.admin.contract_acts import CONTRACT_ACTS
from domus_web.context import current_db
from domus_web.filters import day
from domus_web.operator.acting import ActingView
from domus_web.operator.choices import Choice, Of
from domus_web.operator.columns import NOTHING, link, status
from domus_web.operator.reading import reading, stop_reading
from domus_web.operator.searching import begins_with, parse_uuid
from domus_web.operator.view import route

#: Contracts that run out within so many days are worth a word.
SOON = timedelta(days=10)

_STANDINGS = (
    ("overdue", "not paid for today"),
    ("soon", "runs out within ten days"),
    ("held", "held"),
    ("cancelled", "cancelled, not ended yet"),
    ("ended", "ended"),
)

WORDS = {
    "invoiced": "to be asked for their next period",
    "paid": "to be paid from the balance",
    "reminded": "to be reminded",
    "warned": "to be warned for the last time",
    "suspended": "to be suspended",
    "ended": "to be ended",
    "closed": "gone, so that nothing is asked for any more",
}


def standing(contract: Subscription, vps: Vps | None, hold: SubscriptionHold | None) -> Markup:
    """Return how a contract stands, as a dot and words."""
    today = utc_now().date()
    if contract.ended_on is not None:
        return status("off", f"ended on {contract.ended_on:%Y-%m-%d}", "off")
    if contract.cancel_on is not None:
        return status("cancelled", f"cancelled, ends on {contract.cancel_on:%Y-%m-%d}", "warning")
    if contract.paid_until > today:
        soon = contract.paid_until <= today + SOON
        return status("ok", "runs out soon" if soon else "paid", "warning" if soon else "ok")
    days = (today - contract.paid_until).days
    text = f"{days} day{'' if days == 1 else 's'} overdue"
    if hold is not None and hold.until > today:
        return status("held", f"{text}, held until {hold.until:%Y-%m-%d}", "warning")
    down = vps is not None and any(one.reason.value == "unpaid" for one in vps.suspensions)
    return status("overdue", f"{text}, suspended" if down else text, "danger")


def _condition(value: str) -> sa.ColumnElement[bool]:
    today = utc_now().date()
    goes_on = Subscription.ended_on.is_(None)
    if value == "ended":
        return Subscription.ended_on.is_not(None)
    if value == "cancelled":
        return sa.and_(goes_on, Subscription.cancel_on.is_not(None))
    if value == "held":
        held = sa.select(SubscriptionHold.subscription_id).where(SubscriptionHold.until > today)
        return Subscription.id.in_(held)
    if value == "overdue":
        return sa.and_(goes_on, Subscription.paid_until <= today)
    return sa.and_(goes_on, Subscription.paid_until > today, Subscription.paid_until <= today + SOON)


def _vps(view: Any, _context: Any, row: Subscription, _name: str) -> Markup | str:
    vps = view.beside("machines", {}).get(row.order_id)
    return NOTHING if vps is None else Markup('{}<span class="sub">{}</span>').format(vps.name, vps.hostname)


def _standing(view: Any, _context: Any, row: Subscription, _name: str) -> Markup:
    vps = view.beside("machines", {}).get(row.order_id)
    return standing(row, vps, view.beside("holds", {}).get(row.id))


class ContractView(ActingView):
    """All contracts."""

    singular = "Contract"
    has_name = False
    intro = "What is renewed, until when it is paid, and what was done where it is not."
    empty_message = "The first order that is paid makes the first contract."
    list_template = "operator/contracts.html"
    details_template = "operator/contract.html"
    acts = CONTRACT_ACTS
    column_list = ("vps", "standing", "paid_until", "account", "price", "started_on")
    column_details_list = ("id",)
    column_labels = {"vps": "VPS", "paid_until": "Paid until", "price": "Ordered at", "started_on": "Began"}
    column_formatters = {
        "vps": _vps,
        "standing": _standing,
        "paid_until": lambda _v, _c, row, _n: day(row.paid_until),
        "account": lambda _v, _c, row, _n: link(
            "operator_accounts.details_view", row.account.name, id=row.account_id
        ),
        "price": lambda _v, _c, row, _n: str(row.price),
        "started_on": lambda _v, _c, row, _n: day(row.started_on),
    }
    default_order = ("id", True)
    sorts = {"paid_until": "paid_until"}
    list_options = details_options = (
        joinedload(Subscription.account),
        joinedload(Subscription.order),
        joinedload(Subscription.price).joinedload(Price.product),
    )
    choices = (
        Choice("standing", "Standing", _STANDINGS, _condition),
        Of("account", "account", Subscription.account_id),
    )
    search_hint = "Host name, name or uuid of the VPS, or the account's e-mail"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find contracts by their VPS or account."""
        key, lowered = parse_uuid(text), text.lower()
        if "@" in text:
            accounts = sa.select(Account.id).where(Account.email == lowered)
            return query.where(Subscription.account_id.in_(accounts))
        if key is not None:
            which: sa.ColumnElement[bool] = sa.or_(Vps.id == key, Vps.order_id == key)
        else:
            which = sa.or_(Vps.name == lowered, begins_with(session, Vps.hostname, lowered))
        return query.where(Subscription.order_id.in_(sa.select(Vps.order_id).where(which)))

    def get_list(self, *arguments: Any, **options: Any) -> tuple[None, Sequence[Subscription]]:
        """Return one page, and read the VPSs and holds of all of its rows beside it."""
        count, rows = super().get_list(*arguments, **options)
        self._template_args["machines"] = _machines(reading(), [row.order_id for row in rows])
        held = sa.select(SubscriptionHold).where(
            SubscriptionHold.subscription_id.in_([row.id for row in rows])
        )
        self._template_args["holds"] = {one.subscription_id: one for one in reading().scalars(held)}
        return count, rows

    def details_arguments(self, model: Subscription) -> dict[str, Any]:
        """Add what was asked for, what was done, and the VPS."""
        session = reading()
        vps = _machines(session, [model.order_id]).get(model.order_id)
        hold = queries.hold_of(session, model.id)
        return {
            **super().details_arguments(model),
            "vps": vps,
            "hold": hold,
            "coupon": running.of_order(session, model.order_id),
            "standing": standing(model, vps, hold),
            "terms": queries.terms_of(session, model),
            "renewals": queries.renewals_of(session, model.id),
            "changes": offering.history(session, model.id),
            "pieces": model.addons,
            "cost": _cost(session, model),
            "steps": queries.steps_of(session, model.id),
            "is_removing": vps is not None and vps.state is VpsState.REMOVING,
        }

    def title_of(self, model: Any) -> str:
        """Name a contract by its number."""
        return f"Contract {model.id}"

    @route("/preview/")
    def preview_view(self) -> ResponseReturnValue:
        """Show what a run would do now."""
        stop_reading()
        now = utc_now()
        plans = preview.preview(current_db(), now=now)
        return str(self.render("operator/renewals_preview.html", plans=plans, words=WORDS, now=now))


def _cost(session: Session, contract: Subscription) -> str:
    """Return what the next period costs by itself, or why it cannot be asked for."""
    offer = price_list(session).offers.get(contract.price_id)
    price = None if offer is None else session.get(Price, offer.price_id)
    if price is None:
        return "nothing: its price cannot be read"
    try:
        return f"{cost_of(session, contract, price)} for {price.period.describe()}"
    except Conflict as error:
        return str(error)


def _machines(session: Session, order_ids: Sequence[Any]) -> dict[Any, Vps]:
    query = sa.select(Vps).where(Vps.order_id.in_(order_ids)).options(joinedload(Vps.suspensions))
    return {vps.order_id: vps for vps in session.scalars(query).unique()}
