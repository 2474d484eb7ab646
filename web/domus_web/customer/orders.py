"""Ordering: the form, the page to pay on, and giving an order up."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from domus.billing.models import Order, OrderState
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.catalog.queries import sellable_prices
from domus.core.clock import utc_now
from domus.core.errors import Conflict, InvalidInput, NoCapacity, NotFound
from domus.core.money import Money
from domus.core.periods import Period
from domus.gateways.play_money import PlayMoney
from domus.workflows import billing_data, orders
from domus.workflows.coupons import CouponQuote
from domus.workflows.orders import OrderRequest
from domus.workflows.payments import paying
from domus_web.auth.sessions import customer_required
from domus_web.context import (
    current_account_id,
    current_actor,
    current_db,
    current_gateways,
    current_settings,
)
from domus_web.customer import coupons, queries
from domus_web.customer.availability import Free, free_places
from domus_web.customer.coupons import Totals
from domus_web.customer.forms import OrderForm, order_form
from domus_web.customer.payments import pay_placed, return_urls
from domus_web.forms import ConfirmForm
from domus_web.pagination import page_number

blueprint = Blueprint("orders", __name__, url_prefix="/orders")


@dataclass(frozen=True, slots=True)
class Choice:
    """What there is to choose from on the order page."""

    prices: Sequence[Price]
    templates: Sequence[OsTemplate]
    free: Mapping[int, Sequence[Free]]
    """By product id."""
    currency: str = ""
    """The one that the customer wants to see prices in; empty for all."""

    @property
    def currencies(self) -> list[str]:
        """Return what there are prices in."""
        return sorted({price.currency for price in self.prices})

    @property
    def offers(self) -> list[tuple[Product, list[Price]]]:
        """Return each product with its prices, in the currency that the customer wants to see."""
        found: dict[int, tuple[Product, list[Price]]] = {}
        for price in self.prices:
            if self.currency in ("", price.currency):
                found.setdefault(price.product_id, (price.product, []))[1].append(price)
        return list(found.values())

    @property
    def addons(self) -> list[Addon]:
        """Return what can be ordered beside the products."""
        products = {price.product_id: price.product for price in self.prices}
        return [addon for product in products.values() for addon in self.addons_of(product)]

    def addons_of(self, product: Product) -> list[Addon]:
        """Return what can be ordered beside a product, at one of its prices at least."""
        sold = {(one.period_text, one.currency) for one in self.prices if one.product_id == product.id}
        return [
            addon
            for addon in product.addons
            if addon.active and any((price.period_text, price.currency) in sold for price in addon.prices)
        ]

    def prices_of(self, addon: Addon) -> list[tuple[Period, Money]]:
        """Return what one piece costs for each period that the product is on offer for."""
        prices = [price for price in self.prices if price.product_id == addon.product_id]
        costs = ((price.period, addon.price_for(price.period_text, price.currency)) for price in prices)
        return list(dict.fromkeys((period, cost) for period, cost in costs if cost is not None))

    def why_not(self, product: Product) -> str:
        """Return why a product cannot be had at the moment; empty when it can."""
        if not any(place.places > 0 for place in self.free[product.id]):
            return "Sold out at the moment: there is no room for it anywhere."
        if not any(template.fits(product) for template in self.templates):
            return "Not to be had at the moment: no operating system on offer fits into it."
        return ""

    def price(self, price_id: int | None) -> Price | None:
        """Return the price with this id, if it is offered."""
        return next((price for price in self.prices if price.id == price_id), None)


def _choice(session: Session) -> Choice:
    prices = sellable_prices(session)
    products = {price.product_id: price.product for price in prices}
    currency = request.args.get("currency", "")
    return Choice(
        prices,
        queries.templates(session),
        free_places(session, list(products.values())),
        currency if any(price.currency == currency for price in prices) else "",
    )


@blueprint.get("")
@customer_required
def index() -> str:
    """List the account's orders."""
    with current_db().reading() as session:
        page = queries.order_page_list(session, current_account_id(), page_number())
    return render_template("customer/orders.html", page=page)


@blueprint.route("/new", methods=["GET", "POST"])
@customer_required
def new() -> ResponseReturnValue:
    """Order a VPS."""
    with current_db().reading() as session:
        choice = _choice(session)
    form = _order_form(choice)
    quote = coupons.look(form, choice.prices, choice.price(form.price_id.data))
    status = 200
    if coupons.is_asked_about() or "show_total" in request.form or form.coupon.errors:
        status = 422 if form.coupon.errors else 200
    elif form.validate_on_submit():
        if quote is not None and form.coupon_shown.data != quote.code:
            return _order_page(form, choice, status, quote, is_new_to_customer=True)
        try:
            order = _place(form, choice)
            if order.state is OrderState.PLACED:
                pay_placed(order.invoice.id)
            return redirect(url_for("orders.show", order_id=order.id), 303)
        except InvalidInput as error:
            form.refuse(error)
            status = 422
        except NoCapacity as error:
            form.form_errors.append(f"{error} Nothing was reserved and nothing is charged.")
            status = 409
        except Conflict as error:
            form.form_errors.append(str(error))
            status = 409
    elif form.is_submitted():
        status = 422
    return _order_page(form, choice, status, quote)


def _order_form(choice: Choice) -> OrderForm:
    form = order_form(choice.addons)
    form.price_id.choices = [(price.id, str(price.product)) for price in choice.prices]
    places = next(iter(choice.free.values()), ())
    form.location_id.choices = [(place.location.id, place.location.name) for place in places]
    form.template_id.choices = [(template.id, template.title) for template in choice.templates]
    if not form.is_submitted():
        wanted = choice.price(request.args.get("price", type=int))
        form.price_id.data = wanted.id if wanted else None
        if len(choice.templates) == 1:
            form.template_id.data = choice.templates[0].id
    return form


def _order_page(
    form: OrderForm,
    choice: Choice,
    status: int,
    quote: CouponQuote | None,
    *,
    is_new_to_customer: bool = False,
) -> ResponseReturnValue:
    """Show the form; with a coupon that the customer did not see the effect of yet, ask to look and press once more."""
    chosen = choice.price(form.price_id.data)
    tax = billing_data.quote(
        current_db(), account_id=current_account_id(), actor=current_actor(), now=utc_now()
    )
    balances = paying.balances(current_db(), account_id=current_account_id(), actor=current_actor())
    totals = Totals(tax, quote)
    to_pay = None if chosen is None else totals.total(chosen, *_extra(form, choice, chosen))
    prepaid = [amount for amount in balances if amount.minor > 0]
    form.coupon_shown.data = "" if quote is None else quote.code
    page = render_template(
        "customer/order_new.html", form=form, choice=choice, chosen=chosen, tax=tax, prepaid=prepaid,
        totals=totals, to_pay=to_pay, is_new_to_customer=is_new_to_customer,
    )  # fmt: skip
    return page, status


def _pieces(form: OrderForm, choice: Choice) -> dict[int, int]:
    """Return how many pieces of the add-ons of the chosen product are wanted; raise InvalidInput for others' pieces."""
    price = choice.price(form.price_id.data)
    found = {}
    for addon in choice.addons:
        count = form[f"addon_{addon.id}"].data
        count = addon.minimum if count is None else count
        if price is not None and addon.product_id == price.product_id:
            # What the form offers for another period or currency of the product is not there for this one.
            if addon.price_for(price.period_text, price.currency) is not None or count > addon.minimum:
                found[addon.id] = count
        elif count > addon.minimum:
            product = next(one for one, _ in choice.offers if one.id == addon.product_id)
            raise InvalidInput(
                f"This goes with {product}, which was not chosen; set it back to {addon.minimum}.",
                field=f"addon_{addon.id}",
            )
    return found


def _extra(form: OrderForm, choice: Choice, price: Price) -> list[Money]:
    """Return what the add-ons on the form cost, as far as that can be told before the order is checked."""
    found = []
    for addon in choice.addons_of(price.product):
        count, each = form[f"addon_{addon.id}"].data, addon.price_for(price.period_text, price.currency)
        if each is not None and count is not None and 0 < count <= addon.maximum:
            found.append(each.times(count))
    return found


def _place(form: OrderForm, choice: Choice) -> Order:
    return orders.place(
        current_db(),
        OrderRequest(
            account_id=current_account_id(),
            price_id=form.price_id.data,
            location_id=form.location_id.data,
            template_id=form.template_id.data,
            hostname=str(form.hostname.data),
            ssh_keys=form.ssh_keys.data or "",
            root_password=form.root_password.data or None,
            request_token=str(form.request_token.data),
            coupon=str(form.coupon.data or ""),
            addons=_pieces(form, choice),
        ),
        actor=current_actor(),
        now=utc_now(),
        hold=current_settings().order_hold,
        max_unpaid=current_settings().max_unpaid_orders,
    )


@blueprint.get("/<uuid:order_id>")
@customer_required
def show(order_id: uuid.UUID) -> str:
    """Show an order: what to pay, how far it is, or how it ended."""
    with current_db().reading() as session:
        page = queries.order_page(session, current_account_id(), order_id)
    ways = None
    if page.order.state is OrderState.PLACED:
        ways = paying.page(
            current_db(), current_gateways(), invoice_id=page.order.invoice.id, actor=current_actor()
        )
    return render_template("customer/order.html", page=page, order=page.order, ways=ways, now=utc_now())


@blueprint.post("/<uuid:order_id>/pay")
@customer_required
def pay(order_id: uuid.UUID) -> ResponseReturnValue:
    """Pay with play money, where the operator has switched that on."""
    if PlayMoney.name not in current_gateways():
        raise NotFound("There is no such page.")
    order = orders.get(current_db(), order_id=order_id, actor=current_actor())
    paying.begin(
        current_db(),
        current_gateways(),
        invoice_id=order.invoice.id,
        gateway=PlayMoney.name,
        actor=current_actor(),
        now=utc_now(),
        urls=return_urls,
    )
    return redirect(url_for("orders.show", order_id=order_id), 303)


@blueprint.route("/<uuid:order_id>/cancel", methods=["GET", "POST"])
@customer_required
def cancel(order_id: uuid.UUID) -> ResponseReturnValue:
    """Ask whether to give up an unpaid order, and do it."""
    with current_db().reading() as session:
        page = queries.order_page(session, current_account_id(), order_id)
    if request.method == "GET":
        if page.order.state is not OrderState.PLACED:
            return redirect(url_for("orders.show", order_id=order_id))
        return render_template("customer/order_cancel.html", order=page.order, form=ConfirmForm())
    orders.cancel(
        current_db(), order_id=order_id, actor=current_actor(), reason="by the customer", now=utc_now()
    )
    flash(f"Order {page.order} is cancelled. Nothing was charged.")
    return redirect(url_for("orders.index"), 303)
