"""Add-ons: what can be ordered beside a product. New ones are added on the product's page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import abort, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import joinedload, selectinload
from wtforms import BooleanField, HiddenField

from domus.accounts.actor import Actor
from domus.catalog.models import Addon, AddonKind, Product
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.core.periods import Period
from domus.db.engine import Database
from domus.workflows import addons
from domus.workflows.addons import AddonFields, AddonPriceFields
from domus_web.filters import mib, money
from domus_web.operator.choices import Of, yes_or_no
from domus_web.operator.columns import status
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.fields import QuantityField
from domus_web.operator.forms import OperatorForm, long_text, one_of, text
from domus_web.operator.reading import reading
from domus_web.operator.searching import parse_key

KINDS = {
    AddonKind.IPV4: "IPv4 addresses",
    AddonKind.DISK: "disk",
    AddonKind.MEMORY: "memory",
    AddonKind.VCPU: "vCPUs",
}

_ONE = {AddonKind.IPV4: "IPv4 address", AddonKind.VCPU: "vCPU"}


class AddonForm(OperatorForm):
    """An add-on with its prices."""

    product_id = HiddenField()
    name = text(
        "Name",
        maximum=120,
        description="What customers read, also on invoices, for instance Extra IPv4 address.",
    )
    kind = one_of("What it adds", AddonKind, KINDS)
    unit = QuantityField(
        "One piece",
        default=1,
        description="MiB of disk or memory (1024 is 1 GiB); vCPUs or addresses otherwise.",
    )
    minimum = QuantityField(
        "At least",
        unit="pieces",
        default=0,
        description="0: nobody has to take it. More: every order has so many.",
    )
    maximum = QuantityField("At most", unit="pieces", default=1)
    prices = long_text(
        "Prices",
        maximum=5000,
        description="Of one piece; one a line: period, currency, amount, such as 0000-01-00 USD 2.50. "
        "It is offered for the periods that stand here, and contracts are renewed at these.",
        render_kw={"class": "mono", "placeholder": "0000-01-00 USD 2.50"},
    )
    active = BooleanField(
        "On sale", default=True, description="Off: no new order has it; contracts go on with it."
    )

    def price_fields(self) -> list[AddonPriceFields]:
        """Return the prices; raise InvalidInput that names the line of what is none."""
        lines = [line for line in str(self.prices.data).splitlines() if line.strip()]
        return [_price(line, number) for number, line in enumerate(lines, start=1)]


def _price(line: str, number: int) -> AddonPriceFields:
    words = line.split()
    try:
        period, currency, amount = words
    except ValueError:
        raise InvalidInput(
            f"Line {number} has {len(words)} words; needed are a period, a currency and an amount.",
            field="prices",
        ) from None
    try:
        Period.parse(period)
        minor = Money.parse(amount, currency).minor
    except InvalidInput as error:
        raise InvalidInput(f"Line {number}: {error}", field="prices") from error
    return AddonPriceFields(period_text=period, currency=currency, amount_minor=minor)


def price_lines(row: Addon) -> str:
    """Return the prices as the form takes them."""
    return "\n".join(
        f"{price.period_text} {price.currency} {str(price.amount).partition(' ')[0]}" for price in row.prices
    )


def piece(row: Any) -> str:
    """Return what one piece is, in words."""
    if row.kind in (AddonKind.DISK, AddonKind.MEMORY):
        return f"{mib(row.unit)} {KINDS[row.kind]}"
    return f"{row.unit} {KINDS[row.kind] if row.unit != 1 else _ONE[row.kind]}"


def _prices(_view: Any, _context: Any, row: Addon, _name: str) -> Markup:
    lines = [
        Markup("{} <span class='muted'>/ {}</span>").format(
            money(price.amount), Period.parse(price.period_text).describe()
        )
        for price in row.prices
    ]
    return Markup("<br>").join(lines) or Markup("<span class='problem'>no price yet</span>")


class AddonView(Deletable, EditableView):
    """All add-ons. New ones are added on a product's page."""

    singular = "Add-on"
    form = AddonForm
    intro = "What can be ordered beside a product, and is renewed with it. New ones are added on the page of their product."
    empty_message = "Add-ons are added on the page of a product."
    delete_consequence = "The add-on and its prices are deleted. This is refused once it was ordered."
    show_new_button = False
    column_list = ("name", "product", "kind", "minimum", "maximum", "prices", "active")
    column_details_list = ("id", "product", "kind", "minimum", "maximum", "prices", "active")
    column_labels = {
        "id": "Id", "kind": "One piece", "minimum": "At least", "maximum": "At most", "active": "Sale",
    }  # fmt: skip
    column_formatters = {
        "product": lambda _v, _c, row, _n: Markup('<a href="{}">{}</a>').format(
            url_for("operator_products.details_view", id=row.product_id), row.product.name
        ),
        "kind": lambda _v, _c, row, _n: piece(row),
        "prices": _prices,
        "active": lambda _v, _c, row, _n: (
            status("active", "on sale", "ok") if row.active else status("off", "not on sale")
        ),
    }
    right_columns = ("minimum", "maximum")
    default_order = ("id", False)
    sorts = {"name": "name"}
    list_options = details_options = (joinedload(Addon.product), selectinload(Addon.prices))
    choices = (
        yes_or_no(Addon.active, name="active", label="Sale", yes="on sale", no="not on sale"),
        Of("product", "product", Addon.product_id),
    )

    def create_form(self, obj: Any = None) -> Any:
        """Return the form for an add-on of the product that the address names."""
        given = request.form if request.method == "POST" else request.args
        key = parse_key(Product.id, given.get("product_id", ""))
        product = (None if key is None else reading().get(Product, key)) or abort(404)
        self._template_args["intro"] = f"To be ordered with {product}."
        return AddonForm(product_id=product.id)

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; the prices are written as lines."""
        form = super().edit_form(obj)
        if obj is not None and not form.is_submitted():
            form.prices.data = price_lines(obj)
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save an add-on. What it belongs to comes from the row itself once there is one."""
        fields = AddonFields(
            product_id=int(form.product_id.data) if model is None else model.product_id,
            name=str(form.name.data),
            kind=AddonKind(form.kind.data),
            unit=form.unit.data,
            minimum=form.minimum.data,
            maximum=form.maximum.data,
            active=bool(form.active.data),
        )
        addon_id = None if model is None else model.id
        return addons.save(
            db, addon_id=addon_id, fields=fields, prices=form.price_fields(), actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete an add-on that was never ordered."""
        addons.delete(db, addon_id=model.id, actor=actor, now=now)

    def get_save_return_url(self, model: Any, is_created: bool = False) -> str:
        """Go back to the product, where all its add-ons stand."""
        return url_for("operator_products.details_view", id=model.product_id)

    def back_url(self, model: Any | None) -> str:
        """Return to the product."""
        product_id = request.values.get("product_id") if model is None else model.product_id
        return url_for("operator_products.details_view", id=product_id)

    def after_delete(self, model: Any) -> str:
        """Return to the product."""
        return url_for("operator_products.details_view", id=model.product_id)
