"""Commissions: what products earn whoever brings their customers, and what was earned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import joinedload
from wtforms import BooleanField, SelectField

from domus.accounts.actor import Actor
from domus.catalog.models import Product
from domus.commissions.models import Commission, CommissionRate, CommissionState
from domus.core.clock import utc_now
from domus.core.money import CURRENCY_DECIMALS, Money
from domus.db.engine import Database
from domus.tax.models import percent_text
from domus.tax.services import parse_percent
from domus.workflows import commissions
from domus.workflows.commissions import RateFields
from domus_web.filters import money
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, link, state, when, yes_no
from domus_web.operator.editing import Deletable, EditableView, WithLookups
from domus_web.operator.fields import LookupField, NameLoader
from domus_web.operator.forms import MoneyField, OperatorForm, option, text


class RateForm(OperatorForm):
    """What a product earns whoever brought the customer."""

    aliases = {"millipercent": "percent", "fixed_minor": "fixed"}

    currency = SelectField("Currency", choices=[option(code) for code in CURRENCY_DECIMALS], default="EUR")
    percent = text(
        "Per cent", maximum=8, required=False, description="Of the net amount of an invoice, such as 10."
    )
    fixed = MoneyField(
        "And an amount", default="0", description="For each invoice, such as 2.50; 0 for none."
    )
    on_renewals = BooleanField(
        "On renewals, too", description="And on changes of a contract. Off: only the order earns."
    )

    def fields(self, product_id: int) -> RateFields:
        """Return what was entered, in the house's form; raise InvalidInput for what cannot be read."""
        currency = str(self.currency.data)
        return RateFields(
            product_id=product_id,
            currency=currency,
            millipercent=parse_percent(self.percent.data, field="percent") if self.percent.data else 0,
            fixed_minor=self.fixed.minor(currency),
            on_renewals=bool(self.on_renewals.data),
        )


class NewRateForm(RateForm):
    """A rate of a product."""

    product_id = LookupField("Product", lookup="product", description="The name of a product.")


class CommissionRateView(WithLookups, Deletable, EditableView):
    """What products earn."""

    singular = "Commission rate"
    form = NewRateForm
    intro = "Products that earn whoever brought their customer something, when they are paid in a currency."
    empty_message = "No product earns anything."
    delete_consequence = "The product earns nothing from now on. What was earned stays."
    column_list = ("product", "currency", "worth", "on_renewals", "since")
    column_details_list = column_list
    column_labels = {"worth": "Earns", "on_renewals": "On renewals"}
    column_formatters = {
        "product": lambda _v, _c, row, _n: str(row.product),
        "on_renewals": yes_no("on_renewals"),
        "since": when("since"),
    }
    default_order = ("id", False)
    list_options = details_options = (joinedload(CommissionRate.product),)
    lookups = (NameLoader("product", "product", Product.name),)

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; the product stays."""
        form = RateForm(obj=obj)
        if not form.is_submitted():
            form.percent.data = percent_text(obj.millipercent).removesuffix(" %") if obj.millipercent else ""
            form.fixed.process_data(Money(obj.fixed_minor, obj.currency))
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a rate."""
        product_id = self.resolve(form.product_id) if model is None else model.product_id
        return commissions.save_rate(
            db, rate_id=None if model is None else model.id, fields=form.fields(product_id), actor=actor, now=now
        )  # fmt: skip

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Let the product earn nothing from now on."""
        commissions.delete_rate(db, rate_id=model.id, actor=actor, now=now)


class PayOutForm(ActForm):
    """How it was paid."""

    reference = text(
        "Reference", maximum=128, description="Such as the number of the transfer. Kept with it."
    )


def _pay_out(doing: Doing) -> str:
    paid = commissions.pay_out(
        doing.db, commission_id=doing.model.id, reference=str(doing.form.reference.data), actor=doing.actor,
        now=doing.now,
    )  # fmt: skip
    return f"{paid.left} are noted as paid out."


def _credit(doing: Doing) -> str:
    paid = commissions.credit(doing.db, commission_id=doing.model.id, actor=doing.actor, now=doing.now)
    return f"{paid.left} are in the balance."


def _is_due(commission: Commission) -> bool:
    return commission.state is CommissionState.PENDING and commission.payable_at <= utc_now()


class CommissionView(ActingView):
    """What was earned."""

    singular = "Commission"
    has_name = False
    intro = "What customers earned by bringing others. The daily run puts what is due into their balances."
    empty_message = (
        "Nobody has earned one yet. Commission rates, in the catalogue, say which products earn something."
    )
    column_list = (
        "id",
        "state",
        "account",
        "amount",
        "left",
        "invoice",
        "product",
        "earned_at",
        "payable_at",
    )
    column_details_list = (*column_list, "settled_at", "reference")
    column_labels = {
        "id": "Id", "account": "Who earns it", "left": "Not taken back", "earned_at": "Earned", "payable_at": "Due",
        "settled_at": "Paid or taken back",
    }  # fmt: skip
    column_formatters = {
        "state": state("state"),
        "account": lambda _v, _c, row, _n: link(
            "operator_accounts.details_view", row.account.name, id=row.account_id
        ),
        "amount": lambda _v, _c, row, _n: money(row.amount),
        "left": lambda _v, _c, row, _n: money(row.left),
        "invoice": lambda _v, _c, row, _n: link(
            "operator_invoices.details_view", row.invoice, id=row.invoice_id
        ),
        "product": lambda _v, _c, row, _n: str(row.product),
        "earned_at": when("earned_at"),
        "payable_at": when("payable_at"),
        "settled_at": when("settled_at", "not yet"),
        "reference": lambda _v, _c, row, _n: row.reference or NOTHING,
    }
    right_columns = ("amount", "left")
    default_order = ("id", True)
    list_options = details_options = (
        joinedload(Commission.account), joinedload(Commission.invoice), joinedload(Commission.product),
    )  # fmt: skip
    choices = (by_state(Commission.state, CommissionState), Of("account", "account", Commission.account_id))
    acts = (
        Act(
            name="credit", label="Put into the balance", run=_credit, form=ActForm, offered=_is_due,
            consequence=lambda one: f"{one.left} go to the balance of {one.account.name}.",
        ),
        Act(
            name="pay-out", label="Mark as paid out", run=_pay_out, form=PayOutForm, offered=_is_due,
            consequence=lambda one: f"You have paid {one.left} to {one.account.name} yourself; nothing goes to the balance.",
        ),
    )  # fmt: skip

    def title_of(self, model: Any) -> str:
        """Name a commission by its id."""
        return f"Commission {model.id}"
