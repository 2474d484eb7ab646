"""Orders: from the form to the handed-over VPS, and the money between."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload

from domus.accounts.models import Account
from domus.billing.models import Invoice, Order, OrderState
from domus.catalog.models import Price
from domus.vps.models import Vps
from domus.workflows import orders
from domus_web.admin.addons import piece
from domus_web.filters import money
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, Doing, TypedForm
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import link, state, when
from domus_web.operator.reading import reading
from domus_web.operator.searching import parse_number, parse_uuid


def _mark_paid(doing: Doing) -> str:
    orders.mark_paid(doing.db, order_id=doing.model.id, actor=doing.actor, reason=doing.reason, now=doing.now)
    return f"Order {doing.model.number} is paid; its VPS is being made."


def _cancel(doing: Doing) -> str:
    orders.cancel(doing.db, order_id=doing.model.id, actor=doing.actor, reason=doing.reason, now=doing.now)
    return f"Order {doing.model.number} is cancelled; its place and addresses are free."


def _refund(doing: Doing) -> str:
    orders.refund(doing.db, order_id=doing.model.id, actor=doing.actor, reason=doing.reason, now=doing.now)
    return f"Order {doing.model.number} is refunded; its VPS is being removed."


def _sum_of(order: Order) -> str:
    return str(order.invoice.gross)


ORDER_ACTS = (
    Act(
        name="mark-paid",
        label="Mark as paid",
        run=_mark_paid,
        offered=lambda order: order.state is OrderState.PLACED,
        consequence=lambda order: (
            f"{_sum_of(order)} is booked as received from {order.account.name}, the invoice gets its "
            "number, and the VPS is made at once. Do it when the money is really there."
        ),
    ),
    Act(
        name="cancel",
        label="Cancel the order",
        run=_cancel,
        offered=lambda order: order.state is OrderState.PLACED,
        dangerous=True,
        consequence=lambda order: (
            f"Order {order.number} of {order.account.name} is withdrawn. Its place and addresses can be "
            "sold to somebody else at once; the customer would have to order again."
        ),
    ),
    Act(
        name="refund",
        label="Refund",
        run=_refund,
        offered=lambda order: order.state in (OrderState.PAID, OrderState.FULFILLED),
        dangerous=True,
        form=TypedForm,
        typed=lambda order: f"refund {order.number}",
        consequence=lambda order: (
            f"{_sum_of(order)} is booked as given back to {order.account.name}, the contract ends, and the "
            "VPS is shut down and removed with its disk: at once if it was never handed over, after the grace "
            "time otherwise. Stripe and PayPal are asked to send the money back; what came another way is yours to send."
        ),
    ),
)


def _wish(_view: Any, _context: Any, row: Order, _name: str) -> Markup:
    return Markup('{} <span class="sub">{}</span>').format(row.price.product, row.price.period.describe())


def _total(_view: Any, _context: Any, row: Order, _name: str) -> Markup:
    return money(row.invoice.gross)


class OrderView(ActingView):
    """All orders."""

    singular = "Order"
    has_name = False
    intro = "An order holds its place until it is paid or its time is over."
    empty_message = (
        "Customers can order as soon as there is a product with a price, a dom0 and a free address."
    )
    details_template = "operator/order.html"
    acts = ORDER_ACTS
    column_list = (
        "number",
        "state",
        "account",
        "wish",
        "total",
        "placed_at",
        "hold_until",
        "paid_at",
        "fulfilled_at",
    )
    column_details_list = (*column_list, "id")
    column_labels = {
        "number": "Order", "wish": "What", "placed_at": "Placed", "hold_until": "Held until", "paid_at": "Paid",
        "fulfilled_at": "Handed over", "id": "Id",
    }  # fmt: skip
    column_formatters = {
        "state": state("state"),
        "account": lambda _v, _c, row, _n: link(
            "operator_accounts.details_view", row.account.name, id=row.account_id
        ),
        "wish": _wish,
        "total": _total,
        "placed_at": when("placed_at"),
        "hold_until": when("hold_until"),
        "paid_at": when("paid_at", "not yet"),
        "fulfilled_at": when("fulfilled_at", "not yet"),
        "id": lambda _v, _c, row, _n: Markup("<code>{}</code>").format(row.id),
    }
    right_columns = ("total",)
    default_order = ("number", True)
    sorts = {"number": "number"}
    list_options = (
        joinedload(Order.account),
        joinedload(Order.price).joinedload(Price.product),
        selectinload(Order.invoices),
    )
    details_options = (
        joinedload(Order.account),
        joinedload(Order.price).joinedload(Price.product),
        selectinload(Order.addons),
        selectinload(Order.invoices).options(selectinload(Invoice.lines), selectinload(Invoice.payments)),
    )
    choices = (by_state(Order.state, OrderState), Of("account", "account", Order.account_id))
    search_hint = "Order number, uuid, or the account's e-mail"

    def title_of(self, model: Order) -> str:
        """Name an order by its number."""
        return f"Order {model.number}"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find orders by number, by uuid (also of the VPS), or by the account's e-mail address."""
        key, number = parse_uuid(text), parse_number(text)
        if number is not None:
            return query.where(Order.number == number)
        if key is not None:
            own = sa.select(Vps.order_id).where(Vps.id == key)
            return query.where(sa.or_(Order.id == key, Order.id.in_(own)))
        accounts = sa.select(Account.id).where(Account.email == text.lower())
        return query.where(Order.account_id.in_(accounts))

    def details_arguments(self, model: Order) -> dict[str, Any]:
        """Add the VPS that the order is for."""
        machine = sa.select(Vps).where(Vps.order_id == model.id).options(joinedload(Vps.dom0))
        return {**super().details_arguments(model), "machine": reading().scalar(machine), "piece": piece}
