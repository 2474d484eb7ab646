"""Prices: what a product costs for a period, to order it or to renew it. The columns are those of DTC's editor."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import abort, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import joinedload
from wtforms import BooleanField, HiddenField, SelectField

from domus.accounts.actor import Actor
from domus.catalog.models import Price, Product
from domus.catalog.services import PriceFields
from domus.core.money import CURRENCY_DECIMALS
from domus.db.engine import Database
from domus.workflows import catalog
from domus_web.filters import mib, money, traffic
from domus_web.operator.choices import Of, yes_or_no
from domus_web.operator.columns import status
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.forms import MoneyField, OperatorForm, option, text
from domus_web.operator.reading import reading
from domus_web.operator.searching import parse_number


class RenewalForm(OperatorForm):
    """What a product costs for a period. What the price belongs to is fixed when it is made."""

    aliases = {"amount_minor": "amount", "setup_fee_minor": "setup_fee"}

    product_id = HiddenField()
    renewal_of_id = HiddenField()
    period_text = text(
        "Period",
        maximum=10,
        default="0000-01-00",
        description="YYYY-MM-DD: 0000-01-00 is one month, 0001-02-03 a year, two months and three days.",
        render_kw={"class": "mono", "placeholder": "0000-01-00"},
    )
    currency = SelectField("Currency", choices=[option(code) for code in CURRENCY_DECIMALS], default="USD")
    amount = MoneyField("Price", description="For one period, such as 59 or 59.90.")
    active = BooleanField("On sale", default=True, description="Off: no new order or renewal at this price.")

    def minor(self) -> dict[str, int]:
        """Return the amounts in minor units of the currency."""
        currency = str(self.currency.data)
        money_fields = {"amount_minor": self.amount, "setup_fee_minor": self._fields.get("setup_fee")}
        return {name: field.minor(currency) for name, field in money_fields.items() if field is not None}


class PriceForm(RenewalForm):
    """A price to order something at: only then is there a set-up fee."""

    setup_fee = MoneyField(
        "Set-up fee", default="0", description="Added once, on the first order; 0 for none."
    )


def _of_product(show: Any) -> Any:
    return lambda _view, _context, row, _name: show(row.product)


def _renewal_of(_view: Any, _context: Any, row: Price, _name: str) -> Markup | str:
    if row.renewal_of_id is None:
        return Markup('<span class="muted">not a renewal</span>')
    return Markup('<a href="{}">price {}</a>').format(
        url_for("operator_prices.details_view", id=row.renewal_of_id), row.renewal_of_id
    )


def _sale(_view: Any, _context: Any, row: Price, _name: str) -> Markup:
    return status("active", "on sale", "ok") if row.active else status("off", "not on sale")


class PriceView(Deletable, EditableView):
    """All prices. New ones are added on a product's page."""

    singular = "Price"
    has_name = False
    form = PriceForm
    intro = "Every price with the size it buys. New prices are added on the page of their product."
    empty_message = "Prices are added on the page of a product."
    delete_consequence = (
        "The price is deleted. This is refused once something was ordered or is renewed at it."
    )
    show_new_button = False
    column_list = (
        "id", "renewal_of_id", "name", "period_text", "amount_minor", "setup_fee_minor", "disk", "ram", "traffic",
        "private", "active",
    )  # fmt: skip
    column_details_list = column_list
    column_labels = {
        "id": "Id", "renewal_of_id": "Renewal of", "period_text": "Period", "amount_minor": "Price",
        "setup_fee_minor": "Set-up fee", "ram": "RAM", "traffic": "Traffic a month", "active": "Sale",
    }  # fmt: skip
    column_formatters = {
        "renewal_of_id": _renewal_of,
        "name": lambda _v, _c, row, _n: Markup('<a href="{}">{}</a>').format(
            url_for("operator_products.details_view", id=row.product_id), row.product.name
        ),
        "period_text": lambda _v, _c, row, _n: Markup(
            '<span class="mono">{}</span> <span class="sub">{}</span>'
        ).format(row.period_text, row.period.describe()),
        "amount_minor": lambda _v, _c, row, _n: money(row.amount),
        "setup_fee_minor": lambda _v, _c, row, _n: money(row.setup_fee),
        "disk": _of_product(lambda product: mib(product.disk_mib)),
        "ram": _of_product(lambda product: mib(product.memory_mib)),
        "traffic": _of_product(lambda product: traffic(product.traffic_bytes)),
        "private": _of_product(lambda product: "yes" if product.private else "no"),
        "active": _sale,
    }
    right_columns = ("amount_minor", "setup_fee_minor", "disk", "ram", "traffic")
    default_order = ("id", False)
    sorts = {"id": "id"}
    list_options = details_options = (joinedload(Price.product),)
    choices = (
        yes_or_no(Price.active, name="active", label="Sale", yes="on sale", no="not on sale"),
        Of("product", "product", Price.product_id),
    )

    def title_of(self, model: Any) -> str:
        """Name a price by its number and what it buys."""
        return f"Price {model.id}: {model.product}, {model.amount} for {model.period.describe()}"

    def create_form(self, obj: Any = None) -> Any:
        """Return the form for a price of the product (and renewal of the price) that the address names."""
        given = request.form if request.method == "POST" else request.args
        product = self._named(Product, given.get("product_id")) or abort(404)
        renewed = self._named(Price, given.get("renewal_of_id"))
        if renewed is not None and renewed.product_id != product.id:
            abort(404)
        form_class = PriceForm if renewed is None else RenewalForm
        form = form_class(product_id=product.id, renewal_of_id="" if renewed is None else renewed.id)
        if renewed is not None and not form.is_submitted():
            form.currency.data = renewed.currency
        self._template_args["intro"] = (
            f"To order {product}."
            if renewed is None
            else f"To renew what was ordered at price {renewed.id}: {renewed}."
        )
        return form

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; a renewal has no set-up fee."""
        return (PriceForm if obj.renewal_of_id is None else RenewalForm)(obj=obj)

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a price. What it belongs to comes from the row itself once there is one."""
        source = model if model is not None else form.data
        fields = PriceFields(
            product_id=_owner(source, "product_id"),  # type: ignore[arg-type] # create_form made sure of it
            renewal_of_id=_owner(source, "renewal_of_id"),
            period_text=str(form.period_text.data),
            currency=str(form.currency.data),
            **form.minor(),
            active=bool(form.active.data),
        )
        return catalog.save_price(
            db, price_id=None if model is None else model.id, fields=fields, actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a price that nothing was sold at."""
        catalog.delete_price(db, price_id=model.id, actor=actor, now=now)

    def get_save_return_url(self, model: Any, is_created: bool = False) -> str:
        """Go back to the product, where all its prices stand."""
        return url_for("operator_products.details_view", id=model.product_id)

    def back_url(self, model: Any | None) -> str:
        """Return to the product."""
        product_id = request.values.get("product_id") if model is None else model.product_id
        return url_for("operator_products.details_view", id=product_id)

    def after_delete(self, model: Any) -> str:
        """Return to the product."""
        return url_for("operator_products.details_view", id=model.product_id)

    def _named(self, model: type[Any], text: str | None) -> Any:
        number = parse_number(text or "")
        return None if number is None else reading().get(model, number)


def _owner(source: Any, name: str) -> int | None:
    value = source.get(name) if isinstance(source, dict) else getattr(source, name)
    return value if isinstance(value, int) or value is None else parse_number(str(value))
