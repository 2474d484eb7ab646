"""Products: the sizes of VPS that are sold. Their prices are edited on the product's page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, selectinload
from wtforms import BooleanField

from domus.accounts.actor import Actor
from domus.catalog.models import Addon, Price, Product, Virtualization
from domus.catalog.services import ProductFields
from domus.db.engine import Database
from domus.placement.obstacles import standing
from domus.workflows import catalog
from domus_web.admin.addons import piece
from domus_web.admin.catalog_file import CatalogFile
from domus_web.filters import money, traffic
from domus_web.operator.choices import yes_or_no
from domus_web.operator.columns import NOTHING, size, status, yes_no
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.fields import QuantityField, TrafficField
from domus_web.operator.forms import OperatorForm, one_of, text
from domus_web.operator.reading import reading
from domus_web.operator.searching import begins_with, parse_number


class ProductForm(OperatorForm):
    """A size of VPS."""

    aliases = {"traffic_bytes": "traffic"}

    name = text("Name", maximum=120, description="What customers read, for instance Advanced VPS.")
    description = text("Description", maximum=500, required=False, description="One line under the name.")
    memory_mib = QuantityField("RAM", unit="MiB", default=1024, description="From 64.")
    disk_mib = QuantityField(
        "Disk", unit="MiB", default=20480, description="The root volume; from 512. 10240 is 10 GiB."
    )
    swap_mib = QuantityField(
        "Swap", unit="MiB", default=512, description="A volume of its own beside the disk; 0 for none."
    )
    vcpus = QuantityField("vCPUs", unit="vCPU", default=1)
    cpu_weight = QuantityField(
        "CPU weight",
        default=256,
        description="Share of the CPUs when they are short; 256 is normal, 512 gets twice as much.",
    )
    cpu_cap_percent = QuantityField(
        "CPU cap", unit="% of one CPU", default=0, description="0 is no cap; 150 is one and a half CPUs."
    )
    traffic = TrafficField(
        "Traffic", default=0, description="In and out together, in a calendar month; 0 is unmetered."
    )
    virtualization = one_of("Virtualisation", Virtualization, {Virtualization.PV: "Paravirtual (PV)"})
    private = BooleanField("Private", description="Sold by operators only; not on the order page.")
    active = BooleanField(
        "On sale", default=True, description="Off: nobody can order it; what was sold goes on."
    )

    def fields(self) -> ProductFields:
        """Return what was entered, in the house's form."""
        values = {k: v for k, v in self.data.items() if k not in {"csrf_token", "traffic", "virtualization"}}
        return ProductFields(
            **values,
            traffic_bytes=self.traffic.bytes,
            virtualization=Virtualization(self.virtualization.data),
        )


def _prices(_view: Any, _context: Any, row: Product, _name: str) -> Markup:
    lines = [
        Markup("{} <span class='muted'>/ {}</span>").format(money(price.amount), price.period.describe())
        for price in row.prices
        if price.renewal_of_id is None and price.active
    ]
    return Markup("<br>").join(lines) or Markup("<span class='problem'>no price yet</span>")


def _unpriced(product: Product) -> Iterator[str]:
    """Yield what is sold or renewed without a price of an add-on that could be ordered with it."""
    for price in product.prices:
        for addon in product.addons:
            is_priced = addon.price_for(price.period_text, price.currency) is not None
            if is_priced or not (price.active and addon.active):
                continue
            what = (
                f"cannot be ordered with price {price.id}"
                if price.renewal_of_id is None
                else f"keeps its contracts from renewal {price.id}"
            )
            yield f"{addon} {what}: it has no price for {price.period.describe()} in {price.currency}."


def _traffic(_view: Any, _context: Any, row: Product, _name: str) -> str:
    return traffic(row.traffic_bytes)


def _sale(_view: Any, _context: Any, row: Product, _name: str) -> Markup:
    if not row.active:
        return status("off", "not on sale")
    return status("private", "private", "") if row.private else status("active", "on sale", "ok")


class ProductView(CatalogFile, Deletable, EditableView):
    """The catalogue."""

    singular = "Product"
    form = ProductForm
    intro = "What customers can order. A product needs a price to be on the order page."
    create_intro = "Sizes first; prices and their renewals are added on the product's page."
    list_template = "operator/products.html"
    empty_message = "Make the first one: a size of VPS, then its prices."
    details_template = "operator/product.html"
    delete_consequence = (
        "The product and its prices are deleted. This is refused once anything was ordered at one of them."
    )
    column_list = ("name", "id", "prices", "memory_mib", "disk_mib", "vcpus", "traffic_bytes", "active")
    column_details_list = (
        "id", "description", "memory_mib", "disk_mib", "swap_mib", "vcpus", "cpu_weight", "cpu_cap_percent",
        "traffic_bytes", "virtualization", "private", "active",
    )  # fmt: skip
    column_labels = {
        "id": "Id", "memory_mib": "RAM", "disk_mib": "Disk", "swap_mib": "Swap", "vcpus": "vCPUs", "active": "Sale",
        "traffic_bytes": "Traffic a month", "cpu_weight": "CPU weight", "cpu_cap_percent": "CPU cap (% of one CPU)",
        "virtualization": "Virtualisation",
    }  # fmt: skip
    column_formatters = {
        "prices": _prices,
        "memory_mib": size("memory_mib"),
        "disk_mib": size("disk_mib"),
        "swap_mib": size("swap_mib"),
        "traffic_bytes": _traffic,
        "private": yes_no("private"),
        "active": _sale,
        "description": lambda _v, _c, row, _n: row.description or NOTHING,
    }
    right_columns = ("id", "memory_mib", "disk_mib", "vcpus", "traffic_bytes")
    default_order = ("name", False)
    sorts = {"name": "name", "id": "id"}
    list_options = (selectinload(Product.prices),)
    details_options = (
        selectinload(Product.prices).selectinload(Price.renewals),
        selectinload(Product.addons).selectinload(Addon.prices),
    )
    choices = (yes_or_no(Product.active, name="active", label="Sale", yes="on sale", no="not on sale"),)
    search_hint = "Name or id"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find products by the beginning of the name, or by id."""
        number = parse_number(text)
        by_id = sa.false() if number is None else Product.id == number
        return query.where(begins_with(session, Product.name, text) | by_id)

    def details_arguments(self, model: Any) -> dict[str, Any]:
        """Add whether it can be ordered now, and what is in the way."""
        return {
            **super().details_arguments(model),
            "standing": standing(reading(), model),
            "piece": piece,
            "unpriced": list(_unpriced(model)),
        }

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; traffic is entered in another unit than it is stored in."""
        form = super().edit_form(obj)
        if obj is not None and not form.is_submitted():
            form.traffic.process_data(obj.traffic_bytes)
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a product."""
        product_id = None if model is None else model.id
        return catalog.save_product(db, product_id=product_id, fields=form.fields(), actor=actor, now=now)

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a product that was never sold."""
        catalog.delete_product(db, product_id=model.id, actor=actor, now=now)
