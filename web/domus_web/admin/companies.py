"""Who sells: companies, which of them invoices which country, and the rates of tax."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload
from wtforms import BooleanField, DateField, FileField
from wtforms.validators import InputRequired

from domus.accounts.actor import Actor
from domus.db.engine import Database
from domus.tax.models import Company, InvoicingCountry, TaxRate, percent_text
from domus.tax.services import parse_percent
from domus.workflows import companies
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.columns import lines, link, plain, status, yes_no
from domus_web.operator.editing import Deletable, EditableView, WithLookups
from domus_web.operator.fields import LookupField, NameLoader
from domus_web.operator.forms import OperatorForm, long_text, text


class CompanyForm(OperatorForm):
    """Who sells."""

    name = text("Name", maximum=200, description="As it is registered.")
    address = long_text("Address", maximum=500, description="As on an envelope, without the country.")
    country = text("Country", maximum=2, required=False, description="Two letters, such as DE.")
    email = text("E-mail", maximum=254, required=False, description="For questions about invoices.")
    vat_number = text("VAT number", maximum=40, required=False)
    registration = text(
        "Registration", maximum=200, required=False, description="Such as HRB 12345, Amtsgericht Köln."
    )
    bank_details = long_text("Bank details", maximum=500, rows=3, description="For the foot of invoices.")
    invoice_prefix = text(
        "Prefix of numbers",
        maximum=8,
        required=False,
        description="Letters before the year: DE makes DE-2026-00001. It stays once an invoice was numbered.",
    )
    charges_tax = BooleanField(
        "Charges tax", description="Off: nobody is charged any, as by small businesses."
    )
    one_stop_shop = BooleanField(
        "One-stop shop",
        description="On: consumers in other EU countries pay their own country's VAT (OSS). Off: this company's.",
    )
    prices_include_tax = BooleanField(
        "Prices include tax",
        description="On: catalogue prices are gross, with the tax of this company's country in them. Off: tax is added.",
    )
    untaxed_note = text(
        "Note where no tax is charged",
        maximum=300,
        required=False,
        description="Such as the law that frees it.",
    )


class LogoForm(ActForm):
    """A picture, or none."""

    logo = FileField(
        "PNG or JPEG", description="At most 300,000 bytes. No file: documents have no logo any more."
    )


def _set_logo(doing: Doing) -> str:
    file = doing.form.logo.data
    content = file.read() if file else b""
    companies.set_logo(
        doing.db, company_id=doing.model.id, content=content or None, actor=doing.actor, now=doing.now
    )
    return f"Documents of {doing.model} {'bear the logo' if content else 'have no logo'} now."


def _default(_view: Any, _context: Any, row: Company, _name: str) -> Markup:
    return status("active", "invoices all others", "ok") if row.is_default else status("", "named countries")


def _make_default(doing: Doing) -> str:
    company = companies.make_default(doing.db, company_id=doing.model.id, actor=doing.actor, now=doing.now)
    return f"{company} invoices everybody whom no other company does."


class CompanyView(Deletable, ActingView, EditableView):
    """The companies."""

    singular = "Company"
    form = CompanyForm
    intro = "Who stands on invoices. Which company invoices which country is said under Invoicing."
    delete_consequence = (
        "The company is deleted. This is refused once it issued an invoice, or invoices a country."
    )
    column_list = ("name", "country", "invoice_prefix", "charges_tax", "is_default")
    column_details_list = (
        "name", "address", "country", "email", "vat_number", "registration", "bank_details", "invoice_prefix",
        "charges_tax", "one_stop_shop", "prices_include_tax", "untaxed_note", "is_default",
    )  # fmt: skip
    column_labels = {
        "email": "E-mail", "vat_number": "VAT number", "invoice_prefix": "Prefix", "one_stop_shop": "One-stop shop",
        "untaxed_note": "Note where no tax is charged", "is_default": "Invoices", "bank_details": "Bank details",
        "charges_tax": "Charges tax", "prices_include_tax": "Prices",
    }  # fmt: skip
    column_formatters = {
        **{name: plain(name) for name in (
            "country", "email", "vat_number", "registration", "invoice_prefix", "untaxed_note",
        )},
        **{name: yes_no(name) for name in ("charges_tax", "one_stop_shop")},
        "prices_include_tax": yes_no("prices_include_tax", "gross", "net"),
        **{name: lines(name) for name in ("address", "bank_details")},
        "is_default": _default,
    }  # fmt: skip
    default_order = ("id", False)
    acts = (
        Act(
            name="make-default",
            label="Make default",
            run=_make_default,
            consequence=lambda _model: (
                "It invoices everybody whom no other company does, from the next order on."
            ),
            offered=lambda model: not model.is_default,
            form=ActForm,
        ),
        Act(
            name="logo",
            label="Logo",
            run=_set_logo,
            consequence=lambda _model: (
                "It stands in the head of documents, also of those that were issued before."
            ),
            form=LogoForm,
        ),
    )

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a company."""
        values = {name: value for name, value in form.data.items() if name != "csrf_token"}
        fields = companies.CompanyFields(**values)
        return companies.save_company(
            db, company_id=None if model is None else model.id, fields=fields, actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a company that nothing refers to."""
        companies.delete_company(db, company_id=model.id, actor=actor, now=now)


class InvoicingForm(OperatorForm):
    """Which company invoices a country."""

    aliases = {"company_id": "company"}

    country = text("Country of the customer", maximum=2, description="Two letters, such as CN.")
    company = LookupField("Company", lookup="company")


class InvoicingView(WithLookups, Deletable, EditableView):
    """Which company invoices which country."""

    singular = "Invoicing country"
    form = InvoicingForm
    intro = "Customers of these countries are invoiced by the company beside them; all others by the default company."
    empty_message = "The default company invoices everybody."
    delete_consequence = "Customers of this country are then invoiced by the default company."
    lookups = (NameLoader("company", "company", Company.name),)
    column_list = column_details_list = ("country", "company")
    column_formatters = {
        "company": lambda _v, _c, row, _n: link(
            "operator_companies.details_view", row.company.name, id=row.company_id
        ),
    }
    default_order = ("country", False)
    list_options = details_options = (joinedload(InvoicingCountry.company),)

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save who invoices a country."""
        fields = companies.InvoicingFields(
            country=str(form.country.data), company_id=self.resolve(form.company)
        )
        return companies.save_invoicing(
            db, row_id=None if model is None else model.id, fields=fields, actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Leave the country to the default company."""
        companies.delete_invoicing(db, row_id=model.id, actor=actor, now=now)


class RateForm(OperatorForm):
    """A rate from a day on."""

    aliases = {"millipercent": "percent"}

    country = text("Country", maximum=2, description="Two letters, such as DE.")
    percent = text("Rate", maximum=12, description="In percent, such as 19 or 25.5.")
    valid_from = DateField(
        "Valid from",
        [InputRequired("Enter a day.")],
        description="Until the next rate of the country begins.",
    )


class RateView(Deletable, EditableView):
    """The rates of tax."""

    singular = "Tax rate"
    form = RateForm
    intro = "Standard rates of value added tax. Invoices keep the rate that they were issued with."
    delete_consequence = "The rate before it holds on. Invoices keep the rate that they were issued with."
    column_list = column_details_list = ("country", "millipercent", "valid_from")
    column_labels = {"millipercent": "Rate", "valid_from": "Valid from"}
    column_formatters = {
        "millipercent": lambda _v, _c, row, _n: Markup('<span class="num">{}</span>').format(
            percent_text(row.millipercent)
        ),
        "valid_from": lambda _v, _c, row, _n: Markup('<span class="num">{}</span>').format(row.valid_from),
    }
    right_columns = ("millipercent",)
    default_order = ("country", False)
    search_hint = "Country, such as DE"

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find the rates of a country."""
        return query.where(TaxRate.country == text.upper())

    def edit_form(self, obj: Any = None) -> Any:
        """Return the form; rates are entered in percent."""
        form = super().edit_form(obj)
        if obj is not None and not form.is_submitted():
            form.percent.data = percent_text(obj.millipercent).removesuffix(" %")
        return form

    def save(self, form: Any, model: Any | None, *, db: Database, actor: Actor, now: datetime) -> Any:
        """Save a rate."""
        fields = companies.RateFields(
            country=str(form.country.data),
            valid_from=form.valid_from.data,
            millipercent=parse_percent(str(form.percent.data)),
        )
        return companies.save_rate(
            db, rate_id=None if model is None else model.id, fields=fields, actor=actor, now=now
        )

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Delete a rate."""
        companies.delete_rate(db, rate_id=model.id, actor=actor, now=now)
