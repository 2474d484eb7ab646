"""A contract gets another owner: from that moment on VPS, console, addresses and what is still to be paid are theirs.

What was paid stays with whom paid it: the order, its invoices, credit notes and the balance. What waits to be paid is
withdrawn; the next run asks the new owner.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts import audit
from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.billing.models import Subscription
from domus.core.errors import Conflict, InvalidInput
from domus.core.texts import one_line
from domus.db.engine import Database
from domus.mail import services as mail
from domus.placement import addresses
from domus.renewals import services as renewals
from domus.vps import queries as vps_queries
from domus.vps import services as vps_services
from domus.vps.models import Vps, VpsState
from domus.workflows.contracts import changing

MAX_REASON = 300


def hand_over(
    db: Database, *, vps_id: uuid.UUID, email: str, reason: str, actor: Actor, now: datetime
) -> Account:
    """Give a VPS and its contract to the account with an e-mail address, and return that; operators only.

    Keys and passwords inside the guest stay as they are. Raises InvalidInput when there is no such account, Conflict when
    the contract has ended or is that account's already.
    """
    actor.require_operator()
    cleaned = one_line(" ".join(reason.split()), field="reason", maximum=MAX_REASON)
    with db.unit_of_work() as session:
        changing.lock_dom0_of(session, vps_id, actor)
        vps = vps_queries.lock(session, vps_id, actor=actor)
        contract = renewals.lock(session, vps)
        if contract is None or contract.ended_on is not None or vps.state is not VpsState.ACTIVE:
            raise Conflict(
                "Only a VPS that was handed over and whose contract goes on can get another owner."
            )
        new = session.scalar(sa.select(Account).where(Account.email == email.strip().lower()))
        if new is None:
            raise InvalidInput(
                f"No account has the e-mail address {email.strip()!r}; it has to be made first.",
                field="email",
            )
        if new.id == vps.account_id:
            raise Conflict(f"{vps} is {new}'s already.")
        old = session.get_one(Account, vps.account_id)
        renewals.withdraw_open(session, contract, now=now)
        changing.withdraw_of(
            session, vps, contract, note="the contract got another owner", actor=actor, now=now
        )
        _move(session, vps, contract, new, now=now)
        vps_services.record(
            session, vps.id, "owner", f"account {old.id}", f"account {new.id}", actor=actor, reason=cleaned,
            now=now,
        )  # fmt: skip
        for account in (old, new):
            audit.record(
                session, actor=actor, action="contract.handed_over", object_type="vps", object_id=vps.id,
                account_id=account.id, reason=cleaned, details={"from": old.id, "to": new.id}, now=now,
            )  # fmt: skip
            mail.enqueue(
                session, "contract_handed_over", account,
                {
                    "vps": vps.name, "hostname": vps.hostname, "paid_until": contract.paid_until,
                    "is_new_owner": int(account is new), "path": f"/vps/{vps.id}" if account is new else "/vps",
                },
                now=now,
            )  # fmt: skip
    return new


def _move(session: Session, vps: Vps, contract: Subscription, new: Account, *, now: datetime) -> None:
    vps.account_id = contract.account_id = new.id
    addresses.hand_over(session, vps_id=vps.id, account_id=new.id, now=now)
    session.flush()
