"""Who invoices whom, with which rates. Reads only."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.tax.models import Company, InvoicingCountry, TaxRate
from domus.tax.rules import Rate, Seller


def company_for(session: Session, country: str) -> Company:
    """Return the company that invoices the customers of a country; the default one where none is named."""
    named = sa.select(Company).join(InvoicingCountry).where(InvoicingCountry.country == country)
    return session.scalar(named) or session.scalars(sa.select(Company).where(Company.is_default)).one()


def known_rates(session: Session, *countries: str) -> list[Rate]:
    """Return all rates of the countries, past and future; without countries, of all."""
    query = sa.select(TaxRate)
    if countries:
        query = query.where(TaxRate.country.in_(countries))
    return [
        Rate(country=row.country, valid_from=row.valid_from, millipercent=row.millipercent)
        for row in session.scalars(query)
    ]


def as_seller(company: Company) -> Seller:
    """Return a company as far as tax asks."""
    return Seller(
        country=company.country, charges_tax=company.charges_tax, one_stop_shop=company.one_stop_shop
    )
