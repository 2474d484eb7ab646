"""Asks for the next period of many contracts at once: what is the same for all is read and calculated once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.invoicing import invoice_columns
from domus.billing.models import Invoice, InvoiceLine
from domus.core.errors import Conflict, DomusError
from domus.core.money import Money
from domus.renewals.models import Renewal
from domus.renewals.prices import Offer, PriceList
from domus.tax import queries as tax_queries
from domus.tax.amounts import net_and_tax
from domus.tax.models import Company, InvoicingCountry
from domus.tax.rules import Buyer, Decision, decide

#: The length of the database's column.
MAX_LINE = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing was done about one contract."""

    subscription_id: int
    text: str


class Sales:
    """Who sells to whom at which tax, for one run: every answer is worked out once."""

    def __init__(self, session: Session, *, on: date) -> None:
        self._on = on
        self._rates = tax_queries.known_rates(session)
        companies = session.scalars(sa.select(Company)).all()
        by_id = {company.id: company for company in companies}
        named = session.execute(sa.select(InvoicingCountry.country, InvoicingCountry.company_id))
        self._by_country = {country: by_id[company_id] for country, company_id in named}
        self._default = next(company for company in companies if company.is_default)
        self._decisions: dict[tuple[str, str], tuple[Company, Decision]] = {}
        self._amounts: dict[tuple[Money, int, Decision], tuple[Money, Money]] = {}

    def to(self, account: Account) -> tuple[Company, Decision]:
        """Return who invoices an account, with which tax; raise PreconditionFailed when its rate is not known."""
        key = (account.country, account.vat_number)
        if key not in self._decisions:
            company = self._by_country.get(account.country, self._default)
            buyer = Buyer(country=account.country, vat_number=account.vat_number)
            seller = tax_queries.as_seller(company)
            self._decisions[key] = company, decide(seller, buyer, rates=self._rates, on=self._on)
        return self._decisions[key]

    def amounts(self, price: Money, company: Company, decision: Decision) -> tuple[Money, Money]:
        """Return net and tax of a price."""
        key = (price, company.id, decision)
        if key not in self._amounts:
            [self._amounts[key]] = net_and_tax([price], decision, include_tax=company.prices_include_tax)
        return self._amounts[key]


def open_renewals(
    session: Session, contracts: Sequence[Any], prices: PriceList, sales: Sales, *, now: datetime
) -> tuple[int, list[Fault]]:
    """Open the invoice of the next period of each contract (rows of `queries.to_invoice`, which the caller has locked).

    Returns how many were opened, and what was wrong with the others.
    """
    accounts = _accounts(session, {row.account_id for row in contracts})
    invoices: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    renewals: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for row in contracts:
        offer = prices.offers[row.price_id]
        account = accounts[row.account_id]
        try:
            ends_on = offer.period.end(row.paid_until, anchor_day=row.anchor_day)
            company, decision = sales.to(account)
            net, tax = sales.amounts(offer.amount, company, decision)
            refuse_nothing(net + tax)
        except (DomusError, ValueError, OverflowError) as error:
            faults.append(Fault(row.id, str(error)))
            continue
        invoices.append(invoice_columns(account, company, decision, [(net, tax)], now=now))
        text = line_text(offer, row.hostname, row.paid_until, ends_on)
        lines.append({"text": text, "net_minor": net.minor, "tax_minor": tax.minor})
        renewals.append(
            {
                "subscription_id": row.id,
                "price_id": offer.price_id,
                "starts_on": row.paid_until,
                "ends_on": ends_on,
            }
        )
    if invoices:
        _insert(session, invoices, lines, renewals)
    return len(invoices), faults


def refuse_nothing(gross: Money) -> None:
    """Raise Conflict when a renewal would ask for nothing: nobody could ever pay it."""
    if not gross:
        raise Conflict(
            "Its renewal costs nothing, so it can be neither asked for nor paid; add a renewal price."
        )


def line_text(offer: Offer, hostname: str, starts_on: date, ends_on: date) -> str:
    """Return the line of a renewal's invoice; both days are meant with it."""
    last = ends_on - timedelta(days=1)
    return f"{offer.line()}, {hostname}: {starts_on:%Y-%m-%d} to {last:%Y-%m-%d}"[:MAX_LINE]


def _insert(
    session: Session,
    invoices: Sequence[dict[str, Any]],
    lines: Sequence[dict[str, Any]],
    renewals: Sequence[dict[str, Any]],
) -> None:
    insert = sa.insert(Invoice).returning(Invoice.id, sort_by_parameter_order=True)
    ids = session.scalars(insert, list(invoices)).all()
    session.execute(
        sa.insert(InvoiceLine), [line | {"invoice_id": key} for key, line in zip(ids, lines, strict=True)]
    )
    session.execute(
        sa.insert(Renewal), [one | {"invoice_id": key} for key, one in zip(ids, renewals, strict=True)]
    )


def _accounts(session: Session, ids: set[int]) -> dict[int, Account]:
    return {row.id: row for row in session.scalars(sa.select(Account).where(Account.id.in_(ids)))}
