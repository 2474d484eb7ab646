"""Pays many renewals from their accounts' balances at once: the same rows as one payment makes, in a few statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import ledger
from domus.billing.invoice_mails import tell_paid
from domus.billing.invoicing import may_be_renamed
from domus.billing.ledger import Booking
from domus.billing.models import Invoice, InvoiceState, LedgerEntry, Payment, PaymentState, Subscription
from domus.billing.numbers import INVOICE, next_documents
from domus.billing.parties import buyer_of, seller_of
from domus.db.bulk import among, insert_rows, take_ids, update_rows
from domus.renewals.models import Renewal
from domus.renewals.opening import Fault, Sales, open_invoices, write_renewals
from domus.renewals.prices import PriceList
from domus.tax.models import Company
from domus.vps.models import Suspension, SuspensionReason, Vps


def open_renewals(
    session: Session,
    contracts: Sequence[Any],
    prices: PriceList,
    sales: Sales,
    *,
    actor: Actor,
    now: datetime,
) -> tuple[int, int, list[Fault]]:
    """Ask for the next period of contracts, as `open_invoices` does, and pay at once for those whose balance covers it.

    Returns how many were opened, how many of them are paid, and what was wrong with the others. To find those again that
    can be paid, and to change their rows, would take as long as to write them.
    """
    opened, faults = open_invoices(session, contracts, prices, sales, now=now)
    paid = _affordable(session, _running(session, opened))
    write_renewals(session, opened, settled={row.id for row in paid}, now=now)
    _book(session, paid, actor=actor, now=now)
    return len(opened), len(paid), faults


def settle_from_balances(session: Session, renewals: Sequence[Any], *, actor: Actor, now: datetime) -> int:
    """Pay renewals (rows of `queries.to_pay_from_balance`, whose contracts the caller has locked); return how many.

    Where a balance does not cover all of its account's, the first ones are paid. The VPSs run, so that nothing is to be done
    on any dom0; those that another run suspended a moment ago are left for the path that starts them again.
    """
    paid = _affordable(session, _running(session, renewals))
    ids = [row.id for row in paid]
    session.execute(
        sa.update(Renewal).where(among(session, Renewal.invoice_id, ids)).values(settled_at=now),
        execution_options={"synchronize_session": False},
    )
    _book(session, paid, actor=actor, now=now)
    return len(paid)


def _book(session: Session, paid: Sequence[Any], *, actor: Actor, now: datetime) -> None:
    """Book the money of renewals that are settled, extend their contracts, number their invoices and tell the customers."""
    if not paid:
        return
    payments = _add_payments(session, paid, now=now)
    ledger.book_many(session, _bookings(paid, payments), actor=actor, now=now)
    update_rows(
        session, Subscription, ("id", "paid_until"), [(row.subscription_id, row.ends_on) for row in paid]
    )
    # Late, because whoever wants a number of the same series waits from here on.
    _number(session, paid, now=now)
    tell_paid(session, [row.id for row in paid], now=now)


def _running(session: Session, renewals: Sequence[Any]) -> list[Any]:
    """Return the renewals whose VPSs are not suspended as unpaid, now that nobody can suspend them any more.

    The lock alone does not tell: a suspension that was committed while it was waited for changes no row of the contract.
    """
    suspended = session.scalars(
        sa.select(Subscription.id)
        .join(Vps, Vps.order_id == Subscription.order_id)
        .join(Suspension, Suspension.vps_id == Vps.id)
        .where(
            among(session, Subscription.id, [row.subscription_id for row in renewals]),
            Suspension.reason == SuspensionReason.UNPAID,
        )
    )
    left = set(suspended)
    return [row for row in renewals if row.subscription_id not in left]


def _affordable(session: Session, renewals: Sequence[Any]) -> list[Any]:
    """Lock the accounts, in the order of their ids, and return those renewals that the balances cover.

    Those that cost nothing are none of them: nothing is booked for them.
    """
    ids = {row.account_id for row in renewals}
    locked = sa.select(Account.id).where(among(session, Account.id, ids)).order_by(Account.id)
    session.execute(locked.with_for_update(key_share=True)).all()
    names = {ledger.balance(account_id): account_id for account_id in ids}
    total = sa.func.sum(LedgerEntry.amount_minor)
    sums = session.execute(
        sa.select(LedgerEntry.ledger_account, LedgerEntry.currency, total)
        .where(among(session, LedgerEntry.ledger_account, names))
        .group_by(LedgerEntry.ledger_account, LedgerEntry.currency)
    )
    left = {(names[name], currency): -int(minor) for name, currency, minor in sums}
    paid = []
    for row in renewals:
        purse = row.account_id, row.currency
        if 0 < row.gross_minor <= left.get(purse, 0):
            left[purse] -= row.gross_minor
            paid.append(row)
    return paid


def _add_payments(session: Session, paid: Sequence[Any], *, now: datetime) -> Sequence[int]:
    ids = take_ids(session, Payment, len(paid))
    columns = (
        "id", "invoice_id", "account_id", "gateway", "reference", "state", "currency", "amount_minor", "received_at"
    )  # fmt: skip
    state = PaymentState.CONFIRMED
    insert_rows(
        session,
        Payment,
        columns,
        (
            (
                key, row.id, row.account_id, ledger.FROM_BALANCE, _reference(row), state, row.currency,
                row.gross_minor, now,
            )
            for key, row in zip(ids, paid, strict=True)
        ),
    )  # fmt: skip
    return ids


def _bookings(paid: Sequence[Any], payments: Sequence[int]) -> list[Booking]:
    """Return the sale and the payment of each renewal, as `billing.services.settle` books them."""
    bookings = []
    for row, payment_id in zip(paid, payments, strict=True):
        owed, gross = ledger.receivable(row.account_id), row.gross_minor
        sale = [(owed, gross), (ledger.REVENUE, -row.net_minor), (ledger.TAX, -row.tax_minor)]
        bookings.append(Booking("invoice", f"invoice:{row.id}", row.currency, sale, {}))
        moved = [(ledger.balance(row.account_id), gross), (owed, -gross)]
        details = {"gateway": ledger.FROM_BALANCE, "reference": _reference(row)}
        bookings.append(Booking("payment", f"payment:{payment_id}", row.currency, moved, details))
    return bookings


def _number(session: Session, paid: Sequence[Any], *, now: datetime) -> None:
    """Number the invoices, company by company, and mark them paid; names and addresses become those of this moment."""
    companies = {row.id: row for row in session.scalars(sa.select(Company))}
    _rename(session, paid, companies, now=now)
    by_company: dict[int | None, list[int]] = {}
    for row in paid:
        by_company.setdefault(row.company_id, []).append(row.id)
    # The order of the series is the same for everybody, so that nobody waits for another in a circle.
    for company_id in sorted(by_company, key=lambda key: key or 0):
        company = companies.get(company_id) if company_id is not None else None
        prefix, ids = "" if company is None else company.invoice_prefix, by_company[company_id]
        numbers = next_documents(session, INVOICE, prefix, len(ids), now=now)
        update_rows(
            session,
            Invoice,
            ("id", "number", "state", "paid_at"),
            [(key, number, InvoiceState.PAID, now) for key, number in zip(ids, numbers, strict=True)],
        )


def _rename(session: Session, paid: Sequence[Any], companies: dict[int, Company], *, now: datetime) -> None:
    """Bring the parties of invoices up to date that were opened before this moment."""
    older = [row.id for row in paid if row.issued_at != now]
    if not older:
        return
    sellers = {key: seller_of(company).as_stored() for key, company in companies.items()}
    changed = []
    query = sa.select(Invoice.id, Invoice.company_id, Invoice.buyer, Invoice.seller, Account)
    for row in session.execute(query.join(Invoice.account).where(among(session, Invoice.id, older))):
        party = buyer_of(row.Account)
        buyer, seller = party.as_stored(), sellers.get(row.company_id, row.seller)
        if (buyer, seller) != (row.buyer, row.seller) and may_be_renamed(row.buyer, party):
            changed.append((row.id, buyer, seller))
    if changed:
        update_rows(session, Invoice, ("id", "buyer", "seller"), changed)


def _reference(row: Any) -> str:
    return f"invoice:{row.id}"
