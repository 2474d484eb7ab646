"""Asks for the next period of many contracts at once: what is the same for all is read and calculated once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.models import Account
from domus.billing.invoicing import invoice_columns
from domus.billing.line_texts import coupon_line
from domus.billing.models import Invoice, InvoiceLine
from domus.billing.parties import buyer_of
from domus.core.errors import Conflict, DomusError
from domus.core.money import Money
from domus.coupons import running
from domus.coupons.discounts import Discount
from domus.coupons.running import Running
from domus.db.bulk import among, insert_rows, take_ids
from domus.renewals.addons import Pieces, addon_lines, pieces_of
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


class Opened(NamedTuple):
    """A renewal whose invoice was just opened, with what `queries.to_pay_from_balance` gives of those of earlier runs."""

    id: int
    """Of its invoice."""
    subscription_id: int
    price_id: int
    starts_on: date
    ends_on: date
    account_id: int
    company_id: int
    currency: str
    net_minor: int
    tax_minor: int
    gross_minor: int
    issued_at: datetime

    @classmethod
    def of(
        cls, key: int, invoice: Mapping[str, Any], renewal: tuple[int, int, date, date], now: datetime
    ) -> Opened:
        """Return what was just written: the columns of an invoice and its renewal."""
        return cls(
            key, *renewal, invoice["account_id"], invoice["company_id"], invoice["currency"],
            invoice["net_minor"], invoice["tax_minor"], invoice["gross_minor"], now,
        )  # fmt: skip


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
        self._frames: dict[tuple[Money, str, str, str], dict[str, Any]] = {}
        self.has_coupons = running.are_any(session)
        """Whether any contract has a coupon that goes on; without one nothing more is asked about coupons."""

    def to(self, account: Account) -> tuple[Company, Decision]:
        """Return who invoices an account, with which tax; raise PreconditionFailed when its rate is not known."""
        key = (account.country, account.vat_number)
        if key not in self._decisions:
            company = self._by_country.get(account.country, self._default)
            buyer = Buyer(country=account.country, vat_number=account.vat_number)
            seller = tax_queries.as_seller(company)
            self._decisions[key] = company, decide(seller, buyer, rates=self._rates, on=self._on)
        return self._decisions[key]

    def invoice(self, price: Money, account: Account, *, now: datetime) -> dict[str, Any]:
        """Return the columns of an account's invoice over one price, as `invoice_columns` does."""
        key = (price, account.country, account.vat_number, account.language)
        frame = self._frames.get(key)
        if frame is None:
            refuse_nothing(price)
            company, decision = self.to(account)
            amounts = net_and_tax([price], decision, include_tax=company.prices_include_tax)
            frame = self._frames[key] = invoice_columns(account, company, decision, amounts, now=now)
        # All else is the same for everybody who bears the same tax.
        return frame | {"account_id": account.id, "buyer": buyer_of(account).as_stored()}

    def combined(
        self, prices: Sequence[Money], account: Account, *, is_reduced: bool, now: datetime
    ) -> tuple[dict[str, Any], list[tuple[Money, Money]]]:
        """Return the columns of an account's invoice over a price, its add-ons and a discount, and (net, tax) of each line.

        Only where a discount makes it so (``is_reduced``) may they come to nothing.
        """
        if not is_reduced:
            refuse_nothing(sum(prices[1:], prices[0]))
        company, decision = self.to(account)
        amounts = net_and_tax(prices, decision, include_tax=company.prices_include_tax)
        return invoice_columns(account, company, decision, amounts, now=now), amounts


def open_invoices(
    session: Session, contracts: Sequence[Any], prices: PriceList, sales: Sales, *, now: datetime
) -> tuple[list[Opened], list[Fault]]:
    """Open the invoice of the next period of each contract (rows of `queries.to_invoice`, which the caller has locked).

    Returns those that were opened, whose renewals `write_renewals` is to write, and what was wrong with the others.
    """
    accounts = _accounts(session, {row.account_id for row in contracts})
    coupons = running.of_contracts(session, [row.id for row in contracts]) if sales.has_coupons else {}
    pieces = pieces_of(session, [row.id for row in contracts]) if prices.addons else {}
    invoices: list[dict[str, Any]] = []
    lines: list[tuple[int, str, int, int]] = []
    taken_off: dict[int, tuple[Running, Discount]] = {}
    renewals: list[tuple[int, int, date, date]] = []
    faults: list[Fault] = []
    for row in contracts:
        offer = prices.offers[row.price_id]
        account = accounts[row.account_id]
        try:
            ends_on = offer.period.end(row.paid_until, anchor_day=row.anchor_day)
            coupon = coupons.get(row.id)
            off = None if coupon is None else coupon.off(offer.amount)
            more = _more(offer, pieces[row.id], prices, account.language) if row.id in pieces else []
            if off is not None:
                more.append((discount_text(off, account.language), -off.amount))
            if more:
                amounts_of = [offer.amount, *(amount for _, amount in more)]
                invoice, amounts = sales.combined(amounts_of, account, is_reduced=off is not None, now=now)
            else:
                invoice, amounts = sales.invoice(offer.amount, account, now=now), None
        except (DomusError, ValueError, OverflowError) as error:
            faults.append(Fault(row.id, str(error)))
            continue
        place = len(invoices)
        invoices.append(invoice)
        text = line_text(offer, row.hostname, row.paid_until, ends_on)
        if amounts is None:
            lines.append((place, text, invoice["net_minor"], invoice["tax_minor"]))
        else:
            texts = (text, *(said for said, _ in more))
            lines += [
                (place, said, net.minor, tax.minor) for said, (net, tax) in zip(texts, amounts, strict=True)
            ]
        if coupon is not None and off is not None:
            taken_off[place] = coupon, off
        renewals.append((row.id, offer.price_id, row.paid_until, ends_on))
    ids = _insert(session, invoices, lines) if invoices else ()
    if taken_off:
        running.note_many(session, {ids[place]: both for place, both in taken_off.items()})
    return [Opened.of(*parts, now) for parts in zip(ids, invoices, renewals, strict=True)], faults


def write_renewals(
    session: Session, opened: Sequence[Opened], *, settled: Collection[int], now: datetime
) -> None:
    """Write the renewals of invoices that were just opened; those with these ids are paid already."""
    insert_rows(
        session,
        Renewal,
        ("invoice_id", "subscription_id", "price_id", "starts_on", "ends_on", "settled_at"),
        (
            (*(row.id, row.subscription_id, row.price_id, row.starts_on, row.ends_on), now if row.id in settled else None)
            for row in opened
        ),
    )  # fmt: skip


def discount_text(off: Discount, language: str) -> str:
    """Return the line of what a coupon takes off."""
    return coupon_line(off.code, off.millipercent, off.amount, language)


def refuse_nothing(price: Money) -> None:
    """Raise Conflict when a renewal would ask for nothing: nobody could ever pay it."""
    if not price:
        raise Conflict(
            "Its renewal costs nothing, so it can be neither asked for nor paid; add a renewal price."
        )


def line_text(offer: Offer, hostname: str, starts_on: date, ends_on: date) -> str:
    """Return the line of a renewal's invoice; both days are meant with it."""
    last = ends_on - timedelta(days=1)
    return f"{offer.line()}, {hostname}: {starts_on:%Y-%m-%d} to {last:%Y-%m-%d}"[:MAX_LINE]


def _more(offer: Offer, pieces: Pieces, prices: PriceList, language: str) -> list[tuple[str, Money]]:
    """Return the lines of a contract's add-ons."""
    return addon_lines(
        pieces, prices.addons, product=offer.product, period=offer.period, currency=offer.amount.currency,
        language=language,
    )  # fmt: skip


def _insert(
    session: Session,
    invoices: Sequence[dict[str, Any]],
    lines: Sequence[tuple[int, str, int, int]],
) -> Sequence[int]:
    """Insert invoices with their lines, each of which says at which place its invoice stands; return the invoices' ids."""
    ids = take_ids(session, Invoice, len(invoices))
    names = tuple(invoices[0])
    insert_rows(
        session,
        Invoice,
        ("id", *names),
        ((key, *invoice.values()) for key, invoice in zip(ids, invoices, strict=True)),
    )
    insert_rows(
        session,
        InvoiceLine,
        ("invoice_id", "text", "net_minor", "tax_minor"),
        ((ids[place], *line) for place, *line in lines),
    )
    return ids


def _accounts(session: Session, ids: set[int]) -> dict[int, Any]:
    """Return what an invoice says of these accounts, as rows: objects would cost more than all the rest."""
    columns = (
        Account.id, Account.name, Account.company, Account.address, Account.country, Account.email,
        Account.vat_number, Account.language,
    )  # fmt: skip
    return {
        row.id: row for row in session.execute(sa.select(*columns).where(among(session, Account.id, ids)))
    }
