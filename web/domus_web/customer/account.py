"""The customer's own account."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from domus.accounts.models import Account, ContactKind
from domus.core.clock import utc_now
from domus.core.countries import country_names
from domus.core.errors import InvalidInput
from domus.core.languages import LANGUAGES
from domus.workflows import billing_data
from domus.workflows.billing_data import BillingData
from domus_web.auth.sessions import customer_required
from domus_web.context import current_account_id, current_actor, current_db
from domus_web.forms import Form, country_choices, language_choices, strip

blueprint = Blueprint("account", __name__, url_prefix="/account")


class BillingForm(Form):
    """What invoices and mails are made out to."""

    name = StringField("Name", [DataRequired("Enter a name."), Length(max=200)], filters=[strip])
    company = StringField("Company", [Length(max=200)], filters=[strip])
    address = TextAreaField("Address", [Length(max=500)], filters=[strip])
    country = SelectField("Country", choices=country_choices)
    vat_number = StringField("VAT number", [Length(max=40)], filters=[strip])
    language = SelectField("Language of invoices and mails", choices=language_choices)
    billing = TextAreaField("Billing", [Length(max=3000)])
    technical = TextAreaField("Technical", [Length(max=3000)])
    abuse = TextAreaField("Abuse", [Length(max=3000)])

    def entered(self) -> BillingData:
        """Return what was entered, in the house's form."""
        values = {k: v or "" for k, v in self.data.items() if k not in {"csrf_token", *ContactKind}}
        return BillingData(
            **values, contacts={kind: str(self[kind.value].data or "") for kind in ContactKind}
        )


def _form(account: Account) -> BillingForm:
    contacts = {
        kind.value: "\n".join(row.email for row in account.contacts if row.kind is kind)
        for kind in ContactKind
    }
    return BillingForm(obj=account, **contacts)


@blueprint.get("")
@customer_required
def show() -> str:
    """Show who the account is."""
    account = billing_data.get(current_db(), account_id=current_account_id(), actor=current_actor())
    return render_template(
        "customer/account.html", account=account, countries=country_names(), languages=LANGUAGES
    )


@blueprint.route("/billing", methods=["GET", "POST"])
@customer_required
def billing() -> ResponseReturnValue:
    """Change what invoices and mails are made out to."""
    account_id, actor = current_account_id(), current_actor()
    form = _form(billing_data.get(current_db(), account_id=account_id, actor=actor))
    if form.validate_on_submit():
        try:
            billing_data.save(
                current_db(), account_id=account_id, data=form.entered(), actor=actor, now=utc_now()
            )
        except InvalidInput as error:
            form.refuse(error)
        else:
            flash("Saved. Invoices that have a number already stay as they are.")
            return redirect(url_for("account.show"), 303)
    return render_template("customer/billing.html", form=form), 422 if form.is_submitted() else 200
