"""Coupons: what they take off, for whom and how often, and which orders used them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload, selectinload
from wtforms import BooleanField, DateField, IntegerField
from wtforms.validators import Optional

from domus.accounts.actor import Actor
from domus.catalog.models import Product
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.coupons.models import Coupon, CouponProduct, CouponUse
from domus.db.engine import Database
from domus.tax.services import parse_percent
from domus.workflows import coupons
from domus.workflows.coupons import CouponFields, parse_amounts
from domus_web.context import current_db
from domus_web.filters import day
from domus_web.operator.choices import yes_or_no
from domus_web.operator.columns import NOTHING, status, yes_no
from domus_web.operator.editing import Deletable, EditableView
from domus_web.operator.forms import OperatorForm, long_text, text
from domus_web.operator.reading import reading
from domus_web.operator.searching import begins_with

#: So many orders are listed on a coupon's page, the latest first.
SHOWN_USES = 100


def _number(label: str, description: str, *, default: int | None = None) -> IntegerField:
    return IntegerField(
        label, validators=[Optional()], default=default, description=description,
        render_kw={"inputmode": "numeric"},
    )  # fmt: skip


class CouponForm(OperatorForm):
    """A coupon. What is left empty limits nothing."""

    aliases = {"millipercent": "percent", "product_ids": "products"}

    code = text(
        "Code",
        maximum=40,
        description="What customers type, in capitals or not.",
        render_kw={"class": "mono"},
    )
    description = text("Note", maximum=200, required=False, description="For operators only.")
    percent = text("Per cent off", maximum=8, required=False, description="Such as 20 or 12.5.")
    amounts = text(
        "Or amounts off", maximum=200, required=False,
        description="Such as 5 EUR, 6 USD: prices in other currencies are refused. As prices are, with tax or without.",
    )  # fmt: skip
    covers_setup_fee = BooleanField("Off the set-up fee, too")
    payments = _number(
        "Payments", "So many of a contract's, the first among them. Empty: all there will be.", default=1
    )
    max_uses = _number("Uses in all", "Orders, of everybody together. Empty: no limit.")
    max_uses_per_account = _number("Uses by one account", "Empty: no limit.")
    first_order_only = BooleanField("Only for an account's first order")
    valid_from = DateField("First day", validators=[Optional()])
    valid_until = DateField("Last day", validators=[Optional()])
    products = long_text(
        "Only these products", maximum=4000, rows=3, description="One name a line. Empty: all."
    )
    periods = text(
        "Only these periods", maximum=200, required=False,
        description="Such as 0001-00-00 for a year; several with commas. Empty: all.", render_kw={"class": "mono"},
    )  # fmt: skip
    active = BooleanField(
        "Accepted", default=True, description="Off: no new order; contracts that have it keep it."
    )

    def fields(self) -> CouponFields:
        """Return what was entered, in the house's form; raise InvalidInput for what cannot be read."""
        return CouponFields(
            code=str(self.code.data),
            description=str(self.description.data or ""),
            millipercent=parse_percent(self.percent.data, field="percent") if self.percent.data else 0,
            amounts=parse_amounts(str(self.amounts.data or "")),
            covers_setup_fee=bool(self.covers_setup_fee.data),
            payments=self.payments.data,
            max_uses=self.max_uses.data,
            max_uses_per_account=self.max_uses_per_account.data,
            valid_from=self.valid_from.data,
            valid_until=self.valid_until.data,
            product_ids=_products(str(self.products.data or "")),
            periods=[part.strip() for part in str(self.periods.data or "").split(",") if part.strip()],
            first_order_only=bool(self.first_order_only.data),
            active=bool(self.active.data),
        )


def _products(lines: str) -> list[int]:
    names = [line.strip() for line in lines.splitlines() if line.strip()]
    query = sa.select(Product.name, Product.id).where(Product.name.in_(names))
    with current_db().reading() as session:
        found: dict[str, int] = {row.name: row.id for row in session.execute(query)}
    missing = next((name for name in names if name not in found), None)
    if missing is not None:
        raise InvalidInput(f"There is no product called {missing!r}.", field="products")
    return sorted(found.values())


def _percent_text(coupon: Coupon) -> str:
    """Return the percentage as it is typed, or nothing."""
    return coupon.worth.removesuffix(" %") if coupon.millipercent else ""


def _standing(_view: Any, _context: Any, row: Coupon, _name: str) -> Markup:
    if not row.active:
        return status("off", "switched off")
    if row.max_uses is not None and row.used >= row.max_uses:
        return status("off", "used up")
    return status("active", "accepted", "ok")


def _uses(_view: Any, _context: Any, row: Coupon, _name: str) -> str:
    return f"{row.used} of {row.max_uses}" if row.max_uses is not None else str(row.used)


def _valid(_view: Any, _context: Any, row: Coupon, _name: str) -> Markup | str:
    parts = []
    if row.valid_from:
        parts.append(Markup("from {}").format(day(row.valid_from)))
    if row.valid_until:
        parts.append(Markup("until {}").format(day(row.valid_until)))
    return Markup(" ").join(parts) or "always"


def _payments(_view: Any, _context: Any, row: Coupon, _name: str) -> str:
    if row.payments is None:
        return "all"
    return "the first" if row.payments == 1 else f"the first {row.payments}"


class CouponView(Deletable, EditableView):
    """All coupons."""

    singular = "Coupon"
    form = CouponForm
    intro = (
        "Codes that customers enter when they order. They take a part or an amount off, once or for longer."
    )
    empty_message = "Make the first one: a code, and what it takes off."
    details_template = "operator/coupon.html"
    delete_consequence = "The coupon is deleted. This is refused once an order was placed with it."
    column_list = ("code", "worth", "payments", "used", "valid", "standing", "description")
    column_details_list = (
        "code", "worth", "covers_setup_fee", "payments", "used", "max_uses_per_account", "first_order_only", "valid",
        "products", "periods", "standing", "description",
    )  # fmt: skip
    column_labels = {
        "worth": "Takes off", "used": "Orders", "valid": "Valid", "description": "Note", "standing": "Standing",
        "covers_setup_fee": "Off the set-up fee", "max_uses_per_account": "Uses by one account",
        "first_order_only": "Only first orders", "products": "Products", "periods": "Periods",
    }  # fmt: skip
    column_formatters = {
        "code": lambda _v, _c, row, _n: Markup('<span class="mono">{}</span>').format(row.code),
        "payments": _payments,
        "used": _uses,
        "valid": _valid,
        "standing": _standing,
        "description": lambda _v, _c, row, _n: row.description or NOTHING,
        "covers_setup_fee": yes_no("covers_setup_fee"),
        "first_order_only": yes_no("first_order_only"),
        "max_uses_per_account": lambda _v, _c, row, _n: row.max_uses_per_account or "no limit",
        "products": lambda _v, _c, row, _n: (
            Markup("<br>").join(link.product.name for link in row.links) or "all"
        ),
        "periods": lambda _v, _c, row, _n: ", ".join(row.periods) or "all",
    }
    right_columns = ("used",)
    default_order = ("id", True)
    sorts = {"code": "code"}
    details_options = (selectinload(Coupon.links).joinedload(CouponProduct.product),)
    choices = (yes_or_no(Coupon.active, name="active", label="Standing", yes="accepted", no="switched off"),)
    search_hint = "Code"

    def narrow(self, session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find coupons by the beginning of their code."""
        return query.where(begins_with(session, Coupon.code, text.upper()))

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; lists and amounts are shown as people write them."""
        form = super().edit_form(obj)
        if obj is not None and not form.is_submitted():
            form.percent.data = _percent_text(obj)
            form.amounts.data = "" if obj.millipercent else obj.worth
            form.products.data = "\n".join(link.product.name for link in obj.links)
            form.periods.data = ", ".join(obj.periods)
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a coupon."""
        return coupons.save(
            db, coupon_id=None if model is None else model.id, fields=form.fields(), actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a coupon that was never used."""
        coupons.delete(db, coupon_id=model.id, actor=actor, now=now)

    def details_arguments(self, model: Any) -> dict[str, Any]:
        """Add the orders that it was used for, and what it took off in all."""
        query = (
            sa.select(CouponUse)
            .where(CouponUse.coupon_id == model.id)
            .options(joinedload(CouponUse.account), joinedload(CouponUse.order), selectinload(CouponUse.discounts))
            .order_by(CouponUse.id.desc())
            .limit(SHOWN_USES)
        )  # fmt: skip
        uses = reading().scalars(query).all()
        return {**super().details_arguments(model), "uses": [(use, taken_off(use)) for use in uses]}


def taken_off(use: CouponUse) -> Money:
    """Return what a use took off so far, invoices that were cancelled among them."""
    return Money(sum(one.amount_minor for one in use.discounts), use.currency)
