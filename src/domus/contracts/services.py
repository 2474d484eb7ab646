"""Changes of contracts in the caller's transaction, which holds VPS and contract locked."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing import invoicing
from domus.billing import services as billing
from domus.billing.line_texts import change_line, unused_line
from domus.billing.models import Invoice, Subscription
from domus.catalog.models import Price
from domus.contracts.models import ChangeState, ContractChange
from domus.contracts.quotes import Quote
from domus.core.errors import Conflict
from domus.db.rows import changed_rows
from domus.vps.models import Vps, VpsState


def open_change(
    session: Session,
    contract: Subscription,
    vps: Vps,
    quote: Quote,
    *,
    restart: bool,
    hold: timedelta,
    actor: Actor,
    now: datetime,
) -> ContractChange:
    """Write down what was agreed to, with its invoice when something is to be paid. The database lets one be open."""
    invoice = _invoice(session, contract, vps, quote, now=now) if quote.to_pay else None
    change = ContractChange(
        subscription_id=contract.id,
        vps_id=vps.id,
        from_price_id=contract.price_id,
        to_price_id=quote.price.id,
        effective_on=quote.effective_on,
        until=quote.until,
        currency=quote.price.currency,
        credit_minor=quote.proration.credit.minor,
        charge_minor=quote.proration.charge.minor,
        memory_mib=quote.new.memory_mib,
        vcpus=quote.new.vcpus,
        disk_mib=quote.new.disk_mib,
        restart=restart and quote.needs_restart,
        invoice_id=None if invoice is None else invoice.id,
        actor=actor.name,
        created_at=now,
        expires_at=now + hold,
    )
    session.add(change)
    session.flush()
    return change


def open_of(session: Session, subscription_id: int) -> ContractChange | None:
    """Return the change of a contract that waits for its money."""
    query = sa.select(ContractChange).where(
        ContractChange.subscription_id == subscription_id, ContractChange.state == ChangeState.OPEN
    )
    return session.scalar(query.execution_options(populate_existing=True))


def finish(session: Session, change: ContractChange, *, revision: int | None, now: datetime) -> bool:
    """Let a change be done; False when it was, or was withdrawn, already."""
    return _leave_open(session, change, state=ChangeState.DONE, done_at=now, revision=revision)


def withdraw(session: Session, change: ContractChange, *, note: str, now: datetime) -> bool:
    """Take a change back that is not paid, with its invoice; False when it is not open any more.

    Raises Conflict when its invoice was paid: then it is about to be done.
    """
    if change.state is not ChangeState.OPEN:
        return False
    if change.invoice_id is not None:
        billing.cancel_invoice(session, session.get_one(Invoice, change.invoice_id))
    return _leave_open(session, change, state=ChangeState.WITHDRAWN, withdrawn_at=now, note=note[:300])


def overtaken(session: Session, change: ContractChange, contract: Subscription, vps: Vps) -> str:
    """Return what happened to the contract since a change was agreed to, so that its amounts fit no longer; else nothing."""
    if vps.state is not VpsState.ACTIVE or contract.ended_on is not None:
        return "the contract has ended"
    if contract.cancel_on is not None:
        return "the contract was cancelled"
    if contract.paid_until != change.until:
        return "the contract was renewed meanwhile"
    if contract.price_id != change.from_price_id:
        return "the contract was changed meanwhile"
    if vps.suspensions:
        return "the VPS was suspended meanwhile"
    return ""


def refuse_second(session: Session, contract: Subscription) -> None:
    """Raise Conflict when a change waits for its money already."""
    if open_of(session, contract.id) is not None:
        raise Conflict("A change of this VPS waits to be paid already. Pay it, or withdraw it first.")


def _invoice(session: Session, contract: Subscription, vps: Vps, quote: Quote, *, now: datetime) -> Invoice:
    account = session.get_one(Account, contract.account_id)
    days = {"first": quote.effective_on, "until": quote.until}
    lines = [(change_line(quote.price, vps.hostname, account.language, **days), quote.proration.charge)]
    if quote.proration.credit:
        former = session.get_one(Price, contract.price_id)
        text = unused_line(former, vps.hostname, account.language, **days)
        lines.append((text, -quote.proration.credit))
    return invoicing.draft(session, account, lines, now=now)


def _leave_open(session: Session, change: ContractChange, **values: object) -> bool:
    still = (ContractChange.id == change.id, ContractChange.state == ChangeState.OPEN)
    done = bool(changed_rows(session, sa.update(ContractChange).where(*still).values(**values)))
    session.refresh(change)
    return done
