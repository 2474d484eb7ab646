"""The days of a product's contracts: when they are billed, reminded, suspended and ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import joinedload

from domus.accounts.actor import Actor
from domus.catalog.models import Product
from domus.db.engine import Database
from domus.renewals.models import RenewalTerms
from domus.workflows.renewals import terms as renewal_terms
from domus.workflows.renewals.terms import Terms, parse_days
from domus_web.operator.columns import link
from domus_web.operator.editing import Deletable, EditableView, WithLookups
from domus_web.operator.fields import LookupField, NameLoader, QuantityField
from domus_web.operator.forms import OperatorForm, text

_DAYS = Terms()


def _list(days: tuple[int, ...]) -> str:
    return ", ".join(map(str, days))


class DaysForm(OperatorForm):
    """Days before and after the one on which a contract runs out. DTC's stand there to begin with."""

    invoice_days = QuantityField(
        "Invoice", unit="days before", default=_DAYS.invoice_days, description="The next period is asked for."
    )
    remind_before = text(
        "Reminders before", maximum=40, required=False, default=_list(_DAYS.remind_before),
        description="Days before, such as 10, 5; not earlier than the invoice.",
    )  # fmt: skip
    remind_after = text(
        "Reminders after", maximum=40, required=False, default=_list(_DAYS.remind_after),
        description="Days after, such as 3, 7; before the last warning.",
    )  # fmt: skip
    last_warning_days = QuantityField("Last warning", unit="days after", default=_DAYS.last_warning_days)
    suspend_days = QuantityField(
        "Suspension", unit="days after", default=_DAYS.suspend_days,
        description="The VPS is shut down; never sooner than a day after the last warning.",
    )  # fmt: skip
    end_days = QuantityField(
        "End", unit="days after", default=_DAYS.end_days,
        description="The contract ends; the disk is kept for the grace time, and then wiped.",
    )  # fmt: skip
    grace_days = QuantityField("Grace", unit="days", default=_DAYS.grace_days)

    def terms(self) -> Terms:
        """Return the days; raise InvalidInput for what are none."""
        # The form was validated, so that a number stands in each of these.
        numbers = {
            name: int(self._fields[name].data)
            for name in ("invoice_days", "last_warning_days", "suspend_days", "end_days", "grace_days")
        }
        return Terms(
            remind_before=parse_days(str(self.remind_before.data), field="remind_before"),
            remind_after=parse_days(str(self.remind_after.data), field="remind_after"),
            **numbers,
        )


class NewDaysForm(DaysForm):
    """The days of a product that has none of its own yet."""

    product_id = LookupField("Product", lookup="product", description="The name of a product.")


class RenewalTermsView(WithLookups, Deletable, EditableView):
    """Products that have days of their own."""

    singular = "Renewal days"
    form = NewDaysForm
    intro = (
        f"Products whose contracts have days of their own. All others: invoice {_DAYS.invoice_days} days before, "
        f"reminders {_list(_DAYS.remind_before)} before and {_list(_DAYS.remind_after)} after, last warning "
        f"{_DAYS.last_warning_days}, suspension {_DAYS.suspend_days}, end {_DAYS.end_days} after."
    )
    empty_message = "All products have the usual days."
    delete_consequence = "The product has the usual days again. Steps that were taken are not taken again."
    column_list = (
        "product", "invoice_days", "remind_before", "remind_after", "last_warning_days", "suspend_days", "end_days",
        "grace_days",
    )  # fmt: skip
    column_details_list = column_list
    column_labels = {
        "invoice_days": "Invoice", "remind_before": "Reminders before", "remind_after": "Reminders after",
        "last_warning_days": "Last warning", "suspend_days": "Suspension", "end_days": "End", "grace_days": "Grace",
    }  # fmt: skip
    column_formatters = {
        "product": lambda _v, _c, row, _n: str(row.product),
        "remind_before": lambda _v, _c, row, _n: _list(row.remind_before) or "none",
        "remind_after": lambda _v, _c, row, _n: _list(row.remind_after) or "none",
    }
    column_formatters_detail = column_formatters | {
        "product": lambda _v, _c, row, _n: link(
            "operator_products.details_view", row.product, id=row.product_id
        ),
    }
    default_order = ("product_id", False)
    list_options = details_options = (joinedload(RenewalTerms.product),)
    lookups = (NameLoader("product", "product", Product.name),)

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; the product stays, and lists of days are shown as people write them."""
        form = DaysForm(obj=obj)
        if not form.is_submitted():
            form.remind_before.data = _list(obj.remind_before)
            form.remind_after.data = _list(obj.remind_after)
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save the days of a product."""
        product_id = self.resolve(form.product_id) if model is None else model.product_id
        return renewal_terms.save(
            db, product_id=product_id, terms=form.terms(), is_new=model is None, actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Let the product have the usual days again."""
        renewal_terms.remove(db, product_id=model.product_id, actor=actor, now=now)
